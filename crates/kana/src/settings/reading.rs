//! Finds out what each setting is set to, and where: by a flag, an environment variable or
//! `kana.toml`. What is wrong is reported with where it comes from, all of it at once.

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
/// The most characters of a value that a message repeats.
const VALUE_CHARS_MAX: usize = 200;
/// The exit code for wrong settings and wrong use.
const WRONG_USE: u8 = 2;

/// Why there is no command to carry out.
#[derive(Debug)]
enum Unusable {
    /// What the command line says is wrong, or asks for help.
    CommandLine(clap::Error),
    /// Settings are wrong; a line for each.
    Settings(Vec<String>),
}

/// Where a value comes from that no flag gives.
enum Source {
    Variable(String),
    File,
}

/// Environment variables, as [`variable::read`] answers them.
type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The command that the settings ask for. If they are wrong, or ask for help, says so, and returns
/// the exit code.
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

/// Reports wrong settings, a line each, and returns the exit code.
pub(crate) fn report_wrong(problems: &[String]) -> ExitCode {
    let lines: String = problems.iter().map(|problem| format!("error: {problem}\n")).collect();
    // A reader that is gone cannot be told anything.
    let _ = std::io::stderr().write_all(lines.as_bytes());
    ExitCode::from(WRONG_USE)
}

/// Prints what the parser says about the command line, without passwords that stand there.
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

/// An argument as a message repeats it: whole, and what stands after `--flag=`.
fn values(argument: &OsStr) -> Vec<String> {
    let whole = argument.to_string_lossy().into_owned();
    let after = whole.strip_prefix("--").and_then(|flag| flag.split_once('='));
    let after = after.map(|(_, value)| value.to_owned());
    after.into_iter().chain([whole]).collect()
}

/// The command that command line, variables and file come to.
fn command(
    arguments: &[OsString],
    variables: Variables<'_>,
    file: impl FnOnce() -> Result<String, String>,
) -> Result<Command, Unusable> {
    let mut names = HashMap::new();
    let definition = definition(Cli::command(), &mut names);
    // Without variables and file at first: they do not matter where help is asked for, and what is
    // wrong here is wrong on the command line.
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

/// The definition with the names of variables in its help, and without their values; `names` gets
/// the variable of each setting.
///
/// The variables are read by us: for the parser, one that is set and empty would be a value, and
/// help would show what they hold.
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

/// The settings of the command that is asked for, those of the commands above it included, which
/// no flag sets.
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

/// Checks a value as the parser would, were it given by the flag.
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

/// A wrong value with where it comes from.
fn describe(arg: &Arg, value: &OsStr, source: &Source, problem: &str) -> String {
    let value = value.to_string_lossy();
    let flag = arg.get_long().unwrap_or_default();
    let source = match source {
        Source::Variable(name) => name.clone(),
        Source::File => format!("{} in {FILE}", arg.get_id()),
    };
    invalid_value(&value, &format!(" for --{flag}, from {source}"), problem)
}

/// The message about an invalid value, in one line and without passwords; `origin` continues the
/// sentence after the value.
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

/// Reads the file: for each setting, its value as a flag would be given.
fn read_file(
    text: &str,
    names: &HashMap<String, String>,
) -> Result<HashMap<String, String>, Vec<String>> {
    // What the parser shows of the text can be a line with a password.
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

/// A value of the file as a flag would be given.
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

/// The command with another default for a setting, in itself and below.
fn with_default(mut command: clap::Command, id: &str, value: &OsStr) -> clap::Command {
    if command.get_arguments().any(|arg| arg.get_id() == id) {
        command = command.mut_arg(id, |arg| arg.default_value(value.to_owned()));
    }
    command.mut_subcommands(|subcommand| with_default(subcommand, id, value))
}

#[cfg(test)]
mod tests;
