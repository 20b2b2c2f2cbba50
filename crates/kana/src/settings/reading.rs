//! Reads each setting from a flag, an environment variable or `kana.toml`. Reports all invalid
//! values at once, each with its source.

mod command_line;
mod file;
mod in_force;
mod message;
mod nearest;
mod secret_file;
mod variables;

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory as _, FromArgMatches as _};

use self::command_line::CommandLine;
use self::file::{ReadText, SettingsFile};
pub(crate) use self::in_force::{SettingInForce, Source};
pub(crate) use self::message::invalid_value;
use super::{Cli, Command, LogSettings, variable, without_passwords};
use crate::version;

/// The exit code for invalid settings and wrong usage.
pub(crate) const WRONG_USE: u8 = 2;
/// The command that reports wrong settings instead of failing.
const DOCTOR: &str = "doctor";
/// Settings that are only set together.
const PAIRS: [(&str, &str); 1] = [("tls_cert", "tls_key")];
/// Variables of others that count where ours is not set, by the ids of settings.
const OTHER_VARIABLES: [(&str, &str); 1] = [("otlp_endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT")];
/// The setting that names the file of settings, which cannot stand in it.
const CONFIG: &str = "config";

/// A command, and the settings that it runs with.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) command: Command,
    pub(crate) log: LogSettings,
    pub(crate) settings: Vec<SettingInForce>,
    /// A message for each setting that is wrong. Only `kana doctor` runs then, and reports them; where
    /// they stood, the next source or the default is in force.
    pub(crate) wrong: Vec<String>,
    /// A warning for each environment variable that looks like a setting and is none.
    pub(crate) warnings: Vec<String>,
}

/// Why there is no command to run.
#[derive(Debug)]
enum Unusable {
    /// The command line is invalid, or asks for help.
    CommandLine(clap::Error),
    /// Settings are invalid; one message for each.
    Settings(Vec<String>),
}

/// Looks up an environment variable, as [`variable::read`] does.
type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Returns the command with its settings. If they are invalid, or help is asked for, prints that
/// and fails with the exit code.
pub(crate) fn read() -> Result<Invocation, ExitCode> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let read_text = |path: &Path| std::fs::read_to_string(path);
    let mut invocation =
        invocation(&arguments, &variable::read, &read_text).map_err(|unusable| match unusable {
            Unusable::CommandLine(error) => report(&error, &arguments),
            Unusable::Settings(problems) => report_wrong(&problems),
        })?;
    let set = std::env::vars_os().map(|(name, _)| name);
    invocation.warnings = variables::unknown(set, &names_of_variables());
    Ok(invocation)
}

/// Reads the settings of the log anew, from the same flags and variables and the file as it is now. Fails
/// with a message for each invalid setting.
pub(crate) fn read_log_settings() -> Result<LogSettings, Vec<String>> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let read_text = |path: &Path| std::fs::read_to_string(path);
    match invocation(&arguments, &variable::read, &read_text) {
        Ok(invocation) => Ok(invocation.log),
        Err(Unusable::CommandLine(_)) => Err(vec!["the command line cannot be read".to_owned()]),
        Err(Unusable::Settings(problems)) => Err(problems),
    }
}

/// Returns the variables of all settings.
fn names_of_variables() -> Vec<String> {
    let mut names = HashMap::new();
    definition(Cli::command(), &mut names);
    names.into_values().collect()
}

/// Prints a line for each invalid setting, and returns the exit code.
pub(crate) fn report_wrong(problems: &[String]) -> ExitCode {
    let lines: String = problems.iter().map(|problem| format!("error: {problem}\n")).collect();
    // If standard error is closed, there is no way to report anything.
    let _ = std::io::stderr().write_all(lines.as_bytes());
    ExitCode::from(WRONG_USE)
}

/// Prints the parser's message about the command line, with passwords hidden, or what was asked for
/// instead of a command: help, or the version.
fn report(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    if !error.use_stderr() {
        let is_json = error.kind() == ErrorKind::DisplayVersion
            && arguments.iter().any(|argument| argument == "--json");
        let printed = match is_json {
            true => std::io::stdout().write_all(version::as_json().as_bytes()),
            false => error.print(),
        };
        let printed = printed.and_then(|()| std::io::stdout().flush());
        return match printed {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let line = format!("error: cannot write to standard output: {error}\n");
                let _ = std::io::stderr().write_all(line.as_bytes());
                ExitCode::FAILURE
            }
        };
    }
    let text = error.render().to_string();
    let values: Vec<String> = arguments.iter().flat_map(|argument| values(argument)).collect();
    let hidden = without_passwords(&text, values.iter().map(String::as_str));
    if hidden == text {
        let _ = error.print();
    } else {
        let _ = std::io::stderr().write_all(hidden.as_bytes());
    }
    ExitCode::from(WRONG_USE)
}

/// Returns the forms in which a message may repeat an argument: whole, and the part after
/// `--flag=`.
fn values(argument: &OsStr) -> Vec<String> {
    let whole = argument.to_string_lossy().into_owned();
    let after = whole.strip_prefix("--").and_then(|flag| flag.split_once('='));
    let after = after.map(|(_, value)| value.to_owned());
    after.into_iter().chain([whole]).collect()
}

/// Returns the command that the command line, variables and files result in.
fn invocation(
    arguments: &[OsString],
    variables: Variables<'_>,
    read_text: ReadText<'_>,
) -> Result<Invocation, Unusable> {
    let mut names = HashMap::new();
    let definition = definition(Cli::command(), &mut names);
    // First without variables and files: they do not matter for help, and this way an error here is
    // one of the command line.
    let line = command_line::parse(&definition, arguments).map_err(Unusable::CommandLine)?;
    let settings = settings_of(&definition, &line.matches, &names);
    let mut gathered = Gathered::from_flags(&settings, &line);
    gathered.add(&settings, &names, variables, read_text);
    gathered.add_secrets(&settings);
    gathered.check_pairs(&settings);
    let CommandLine { arguments, matches, mut wrong } = line;
    let is_doctor = matches.subcommand_name() == Some(DOCTOR);
    if wrong.len() == 1 && gathered.wrong.is_empty() && !is_doctor {
        return Err(Unusable::CommandLine(wrong.remove(0)));
    }
    let of_flags = wrong.iter().map(command_line::describe);
    let wrong: Vec<String> = of_flags.chain(gathered.wrong).collect();
    if !wrong.is_empty() && !is_doctor {
        return Err(Unusable::Settings(wrong));
    }
    let with_values = gathered
        .values
        .into_iter()
        .fold(definition.clone(), |command, (id, value)| with_default(command, &id, &value));
    let mut matches =
        with_values.try_get_matches_from(&arguments).map_err(Unusable::CommandLine)?;
    let settings = in_force::in_force(&settings, &matches, &gathered.given);
    let cli = Cli::from_arg_matches_mut(&mut matches).map_err(Unusable::CommandLine)?;
    let Cli { command, log, config: _, json: _ } = cli;
    Ok(Invocation { command, log, settings, wrong, warnings: Vec::new() })
}

/// Values of settings that the command line does not have, and where those in force came from.
#[derive(Default)]
struct Gathered {
    values: HashMap<String, OsString>,
    given: HashMap<String, (Source, String)>,
    /// The value of each flag that names a file.
    flags: HashMap<String, OsString>,
    /// A message for each value that is invalid.
    wrong: Vec<String>,
}

impl Gathered {
    fn from_flags(settings: &[&Arg], line: &CommandLine) -> Self {
        let mut gathered = Self::default();
        for arg in settings {
            let id = arg.get_id().as_str();
            if let Some(value) = flag_of(&line.matches, id) {
                let flag = format!("--{}", arg.get_long().unwrap_or(id));
                gathered.given.insert(id.to_owned(), (Source::Flag, flag));
                gathered.flags.insert(id.to_owned(), value);
            }
        }
        gathered
    }

    /// Adds what variables and the file say of the settings that no flag sets.
    fn add(
        &mut self,
        settings: &[&Arg],
        names: &HashMap<String, String>,
        variables: Variables<'_>,
        read_text: ReadText<'_>,
    ) {
        let config = self.flags.get(CONFIG).cloned();
        let config = config.or_else(|| variables(names.get(CONFIG)?)).map(PathBuf::from);
        let known: Vec<&str> =
            names.keys().map(String::as_str).filter(|name| *name != CONFIG).collect();
        let file = match file::read(config.as_deref(), read_text, &known) {
            Ok(file) => file,
            Err(wrong) => {
                self.wrong.extend(wrong);
                SettingsFile::default()
            }
        };
        for arg in settings {
            let id = arg.get_id().as_str();
            if self.given.contains_key(id) {
                continue;
            }
            let Some(name) = names.get(id) else { continue };
            let other = OTHER_VARIABLES.iter().find(|(known, _)| *known == id);
            let mut names = [name.as_str()].into_iter().chain(other.map(|(_, name)| *name));
            let of_variable = names.find_map(|name| {
                Some((variables(name)?, Source::Variable, name.to_owned(), name.to_owned()))
            });
            let of_file = || {
                let value = OsString::from(file.values.get(id)?);
                Some((value, Source::File, file.name.clone(), format!("{id} in {}", file.name)))
            };
            let Some((value, source, from, place)) = of_variable.or_else(of_file) else { continue };
            match check(arg, &value) {
                Ok(()) => {
                    self.values.insert(id.to_owned(), value);
                    self.given.insert(id.to_owned(), (source, from));
                }
                Err(problem) => self.wrong.push(describe(arg, &value, &place, &problem)),
            }
        }
    }

    /// Reads the secrets that stand in files of their own.
    fn add_secrets(&mut self, settings: &[&Arg]) {
        for arg in settings {
            let Some(secret) = secret_file::secret_of(arg.get_id().as_str()) else { continue };
            let Some(secret) = settings.iter().find(|arg| arg.get_id() == secret) else { continue };
            if let Err(problem) = self.add_secret(arg, secret) {
                self.wrong.push(problem);
            }
        }
    }

    /// Reports settings that are of no use without another one.
    fn check_pairs(&mut self, settings: &[&Arg]) {
        for (one, other) in PAIRS.into_iter().flat_map(|(one, other)| [(one, other), (other, one)])
        {
            let is_known = settings.iter().any(|arg| arg.get_id() == one);
            if let Some((_, from)) = self.given.get(one)
                && is_known
                && !self.given.contains_key(other)
            {
                let [flag, missing] = [one, other].map(|id| id.replace('_', "-"));
                self.wrong.push(format!(
                    "--{flag} is set (from {from}), and --{missing} is not: set both, or none"
                ));
            }
        }
    }

    fn add_secret(&mut self, file: &Arg, secret: &Arg) -> Result<(), String> {
        let (id, file_id) = (secret.get_id().as_str(), file.get_id().as_str());
        let Some((source, from)) = self.given.get(file_id).cloned() else { return Ok(()) };
        let flag = file.get_long().unwrap_or(file_id);
        let is_ours = |(_, from): &&(Source, String)| {
            OTHER_VARIABLES.iter().all(|(known, name)| *known != id || name != from)
        };
        if let Some((_, other)) = self.given.get(id).filter(is_ours) {
            let both = "both are set, and only one may be";
            return Err(format!(
                "--{flag} (from {from}) and the value itself (from {other}): {both}"
            ));
        }
        let path = self.flags.get(file_id).or_else(|| self.values.get(file_id));
        let path = PathBuf::from(path.cloned().unwrap_or_default());
        let wrong = |problem: &str| {
            invalid_value(&path.to_string_lossy(), &format!(" for --{flag}, from {from}"), problem)
        };
        let value = secret_file::read(&path).map_err(|problem| wrong(&problem))?;
        // What is wrong with it, and not what stands there.
        check(secret, OsStr::new(&value))
            .map_err(|problem| wrong(&without_passwords(&problem, [value.as_str()])))?;
        self.values.insert(id.to_owned(), value.into());
        self.given.insert(id.to_owned(), (source, from));
        Ok(())
    }
}

/// Replaces the parser's own handling of environment variables: only their names remain, in the
/// help. Adds the variable of each setting to `names`.
///
/// The parser would take an empty variable for a value, and would show values in the help.
fn definition(command: clap::Command, names: &mut HashMap<String, String>) -> clap::Command {
    let command = command.mut_args(|arg| {
        let Some(name) = arg.get_env().map(|name| name.to_string_lossy().into_owned()) else {
            return arg;
        };
        names.insert(arg.get_id().to_string(), name.clone());
        let with_name = |help: &dyn fmt::Display| format!("{help} [env: {name}]");
        let help = arg.get_help().map(|help| with_name(help));
        let long_help = arg.get_long_help().map(|help| with_name(help));
        let arg = arg.env(Resettable::Reset);
        let arg = if let Some(help) = help { arg.help(help) } else { arg };
        if let Some(help) = long_help { arg.long_help(help) } else { arg }
    });
    command.mut_subcommands(|subcommand| definition(subcommand, names))
}

/// Returns the settings of the chosen command and its parent commands, each once.
fn settings_of<'a>(
    mut definition: &'a clap::Command,
    mut matches: &ArgMatches,
    names: &HashMap<String, String>,
) -> Vec<&'a Arg> {
    let mut settings: Vec<&Arg> = Vec::new();
    loop {
        for arg in definition.get_arguments() {
            let is_new = settings.iter().all(|known| known.get_id() != arg.get_id());
            if is_new && names.contains_key(arg.get_id().as_str()) {
                settings.push(arg);
            }
        }
        let Some((name, below)) = matches.subcommand() else { return settings };
        let Some(command) = definition.find_subcommand(name) else { return settings };
        (definition, matches) = (command, below);
    }
}

/// Returns the value of a flag, which may stand before or after a subcommand.
fn flag_of(matches: &ArgMatches, id: &str) -> Option<OsString> {
    if let Some((_, below)) = matches.subcommand()
        && let Some(value) = flag_of(below, id)
    {
        return Some(value);
    }
    let is_known = matches.try_contains_id(id).unwrap_or(false);
    if !is_known || matches.value_source(id) != Some(ValueSource::CommandLine) {
        return None;
    }
    matches.get_raw(id)?.next().map(OsStr::to_owned)
}

/// Checks a value as the parser would if a flag gave it.
fn check(arg: &Arg, value: &OsStr) -> Result<(), String> {
    let Some(long) = arg.get_long() else { return Ok(()) };
    let mut argument = OsString::from(format!("--{long}="));
    argument.push(value);
    let alone = arg.clone().default_value(Resettable::Reset).global(false);
    let parsed = clap::Command::new("kana").no_binary_name(true).arg(alone);
    match parsed.try_get_matches_from([argument]) {
        Ok(_) => Ok(()),
        Err(error) => Err(command_line::problem(&error).unwrap_or_else(|| {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            first.trim_start_matches("error: ").to_owned()
        })),
    }
}

/// Returns the message about an invalid value, with its source.
fn describe(arg: &Arg, value: &OsStr, source: &str, problem: &str) -> String {
    let value = value.to_string_lossy();
    let flag = arg.get_long().unwrap_or_default();
    invalid_value(&value, &format!(" for --{flag}, from {source}"), problem)
}

/// Sets the default of a setting in the command and its subcommands.
fn with_default(mut command: clap::Command, id: &str, value: &OsStr) -> clap::Command {
    if command.get_arguments().any(|arg| arg.get_id() == id) {
        command = command.mut_arg(id, |arg| arg.default_value(value.to_owned()));
    }
    command.mut_subcommands(|subcommand| with_default(subcommand, id, value))
}

#[cfg(test)]
mod tests;
