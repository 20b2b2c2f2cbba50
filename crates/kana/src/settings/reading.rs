//! Reads each setting from a flag, an environment variable or `kana.toml`. Reports all invalid
//! values at once, each with its source.

use std::collections::HashMap;
use std::error::Error as _;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory as _, FromArgMatches as _};

use super::{Cli, Command, variable, without_passwords};

/// The file in the working directory. Its keys are the flags' names with underscores.
const FILE: &str = "kana.toml";
/// The maximum number of characters of a value in a message.
const VALUE_CHARS_MAX: usize = 200;
/// The exit code for invalid settings and wrong usage.
const WRONG_USE: u8 = 2;

/// Why there is no command to run.
#[derive(Debug)]
enum Unusable {
    /// The command line is invalid, or asks for help.
    CommandLine(clap::Error),
    /// Settings are invalid; one message for each.
    Settings(Vec<String>),
}

/// The source of a value that is not given by a flag.
enum Source {
    Variable(String),
    File,
}

/// Looks up an environment variable, as [`variable::read`] does.
type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Returns the command with its settings. If they are invalid, or help is asked for, prints that
/// and fails with the exit code.
pub(crate) fn read() -> Result<Command, ExitCode> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let file = || match std::fs::read_to_string(FILE) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(format!("{FILE} cannot be read: {error}")),
    };
    command(&arguments, &variable::read, file).map_err(|unusable| match unusable {
        Unusable::CommandLine(error) => report(&error, &arguments),
        Unusable::Settings(problems) => report_wrong(&problems),
    })
}

/// Prints a line for each invalid setting, and returns the exit code.
pub(crate) fn report_wrong(problems: &[String]) -> ExitCode {
    let lines: String = problems.iter().map(|problem| format!("error: {problem}\n")).collect();
    // If standard error is closed, there is no way to report anything.
    let _ = std::io::stderr().write_all(lines.as_bytes());
    ExitCode::from(WRONG_USE)
}

/// Prints the parser's message about the command line, with passwords hidden.
fn report(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    if !error.use_stderr() {
        let printed = error.print().and_then(|()| std::io::stdout().flush());
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

/// Returns the command that the command line, variables and file result in.
fn command(
    arguments: &[OsString],
    variables: Variables<'_>,
    file: impl FnOnce() -> Result<String, String>,
) -> Result<Command, Unusable> {
    let mut names = HashMap::new();
    let definition = definition(Cli::command(), &mut names);
    // First without variables and file: they do not matter for help, and this way an error here is
    // one of the command line.
    let parse = |definition: clap::Command| {
        definition.try_get_matches_from(arguments).map_err(Unusable::CommandLine)
    };
    let matches = parse(definition.clone())?;
    let file = file().and_then(|text| read_file(&text, &names).map_err(|wrong| wrong.join("\n")));
    let file =
        file.map_err(|wrong| Unusable::Settings(wrong.lines().map(str::to_owned).collect()))?;
    let mut found = Vec::new();
    let mut wrong = Vec::new();
    for arg in unset_settings(&definition, &matches, &names) {
        let id = arg.get_id().as_str();
        let Some(name) = names.get(id) else { continue };
        let of_variable = variables(name).map(|value| (value, Source::Variable(name.clone())));
        let of_file = || file.get(id).map(|value| (value.into(), Source::File));
        let Some((value, source)) = of_variable.or_else(of_file) else { continue };
        match check(arg, &value) {
            Ok(()) => found.push((id.to_owned(), value)),
            Err(problem) => wrong.push(describe(arg, &value, &source, &problem)),
        }
    }
    if !wrong.is_empty() {
        return Err(Unusable::Settings(wrong));
    }
    let definition = found
        .into_iter()
        .fold(definition, |command, (id, value)| with_default(command, &id, &value));
    let mut matches = parse(definition)?;
    Ok(Cli::from_arg_matches_mut(&mut matches).map_err(Unusable::CommandLine)?.command)
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

/// Returns the settings of the chosen command and its parent commands that no flag sets.
fn unset_settings<'a>(
    mut definition: &'a clap::Command,
    mut matches: &ArgMatches,
    names: &HashMap<String, String>,
) -> Vec<&'a Arg> {
    let mut settings: Vec<&Arg> = Vec::new();
    loop {
        let unset = definition.get_arguments().filter(|arg| {
            let id = arg.get_id().as_str();
            names.contains_key(id) && matches.value_source(id) != Some(ValueSource::CommandLine)
        });
        settings.extend(unset);
        let Some((name, below)) = matches.subcommand() else { return settings };
        let Some(command) = definition.find_subcommand(name) else { return settings };
        (definition, matches) = (command, below);
    }
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
        Err(error) => Err(match error.source() {
            Some(source) => source.to_string(),
            None => {
                let text = error.to_string();
                let first = text.lines().next().unwrap_or_default();
                first.trim_start_matches("error: ").to_owned()
            }
        }),
    }
}

/// Returns the message about an invalid value, with its source.
fn describe(arg: &Arg, value: &OsStr, source: &Source, problem: &str) -> String {
    let value = value.to_string_lossy();
    let flag = arg.get_long().unwrap_or_default();
    let source = match source {
        Source::Variable(name) => name.clone(),
        Source::File => format!("{} in {FILE}", arg.get_id()),
    };
    invalid_value(&value, &format!(" for --{flag}, from {source}"), problem)
}

/// Returns the message about an invalid value, on one line and with passwords hidden. `origin`
/// follows the value in the message.
pub(crate) fn invalid_value(value: &str, origin: &str, problem: &str) -> String {
    let hide = |text: &str| without_passwords(text, [value]);
    let mut shown: String = hide(value).chars().take(VALUE_CHARS_MAX).collect();
    if value.chars().nth(VALUE_CHARS_MAX).is_some() {
        shown.push('…');
    }
    let message = format!("invalid value '{shown}'{origin}: {}", hide(problem));
    let escape =
        |c: char| if c.is_control() { c.escape_default().collect() } else { c.to_string() };
    message.chars().map(escape).collect()
}

/// Parses the file. Returns the value of each setting in the form of a flag's value.
fn read_file(
    text: &str,
    names: &HashMap<String, String>,
) -> Result<HashMap<String, String>, Vec<String>> {
    // The parser's whole message quotes a line of the file, which may have a password.
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let message = error.message().lines().next().unwrap_or_default();
        vec![format!("{FILE}, line {line}: it is not valid TOML: {message}")]
    })?;
    let mut values = HashMap::new();
    let mut wrong = Vec::new();
    for (name, value) in &table {
        if !names.contains_key(name) {
            wrong.push(format!("{FILE}: there is no setting {name}; see kana serve --help"));
        } else if let Some(value) = as_flag(value) {
            values.insert(name.clone(), value);
        } else {
            wrong.push(format!(
                "{FILE}: {name} must be a string, a whole number or a list of strings"
            ));
        }
    }
    wrong.sort_unstable();
    if wrong.is_empty() { Ok(values) } else { Err(wrong) }
}

/// Converts a value of the file to the form of a flag's value.
fn as_flag(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Array(items) => {
            let items: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            items.map(|items| items.join(","))
        }
        _ => None,
    }
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
