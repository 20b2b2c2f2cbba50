//! The command line. The parser stops at the first flag that is wrong; here all of them are found.

use std::ffi::OsString;

use clap::ArgMatches;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::message::invalid_value;

/// What follows the flag where the parser names it: `--listen <ADDRESS>`, `--trust-proxy[=<true|false>]`.
const AFTER_FLAG: [char; 3] = [' ', '=', '['];
/// What the parser says of a value that is neither true nor false.
const NOT_BOOLEAN: &str = "value was not a boolean";

/// A command line without the flags that are wrong.
pub(super) struct CommandLine {
    pub(super) arguments: Vec<OsString>,
    pub(super) matches: ArgMatches,
    /// What the parser said of each flag that is wrong.
    pub(super) wrong: Vec<clap::Error>,
}

/// Parses a command line. Fails with what the parser says if nothing can be left out of it: there is no
/// command, something is missing, or help is asked for.
pub(super) fn parse(
    definition: &clap::Command,
    arguments: &[OsString],
) -> Result<CommandLine, clap::Error> {
    let mut arguments = arguments.to_vec();
    let mut wrong: Vec<clap::Error> = Vec::new();
    loop {
        let error = match definition.clone().try_get_matches_from(&arguments) {
            Ok(matches) => return Ok(CommandLine { arguments, matches, wrong }),
            Err(error) => error,
        };
        match without(&arguments, &error) {
            Some(rest) => arguments = rest,
            // Without a wrong flag something may be missing, but the flag is there.
            None => return Err(wrong.into_iter().next().unwrap_or(error)),
        }
        wrong.push(error);
    }
}

/// Returns a message of one line about a flag that is wrong.
pub(super) fn describe(error: &clap::Error) -> String {
    let context = |kind| text_of(error, kind);
    if error.kind() == ErrorKind::UnknownArgument {
        let unknown = context(ContextKind::InvalidArg).unwrap_or_default();
        let nearest = context(ContextKind::SuggestedArg);
        let nearest = nearest.map(|nearest| format!("; the nearest is {nearest}"));
        return format!("there is no flag {unknown}{}", nearest.unwrap_or_default());
    }
    let value = context(ContextKind::InvalidValue).unwrap_or_default();
    let flag = context(ContextKind::InvalidArg).unwrap_or_default();
    let flag = flag.split(AFTER_FLAG).next().unwrap_or_default();
    let problem = problem(error).unwrap_or_else(|| "is not allowed".to_owned());
    invalid_value(value, &format!(" for {flag}"), &problem)
}

/// Returns what is wrong with a value: the words that are allowed, or what its parser says.
pub(super) fn problem(error: &clap::Error) -> Option<String> {
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(valid)) if !valid.is_empty() => {
            Some(format!("must be {}", valid.join(" or ")))
        }
        _ => std::error::Error::source(error).map(|source| match source.to_string() {
            text if text == NOT_BOOLEAN => "must be true or false".to_owned(),
            text => text,
        }),
    }
}

fn text_of(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text),
        ContextValue::Strings(texts) => texts.first().map(String::as_str),
        _ => None,
    }
}

/// Returns the arguments without the flag that an error is about; `None` if it is about something else.
fn without(arguments: &[OsString], error: &clap::Error) -> Option<Vec<OsString>> {
    let flag = text_of(error, ContextKind::InvalidArg)?.split(AFTER_FLAG).next()?;
    if !flag.starts_with("--") {
        return None;
    }
    let is_value = |argument: &OsString| match error.kind() {
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            text_of(error, ContextKind::InvalidValue)
                .is_some_and(|value| argument.to_string_lossy() == value)
        }
        // What an unknown flag is followed by is its value, unless it is a flag.
        ErrorKind::UnknownArgument => !argument.to_string_lossy().starts_with('-'),
        _ => false,
    };
    let with_value = format!("{flag}=");
    for (at, argument) in arguments.iter().enumerate() {
        let argument = argument.to_string_lossy();
        let length = if let Some(value) = argument.strip_prefix(&with_value) {
            let is_it =
                error.kind() == ErrorKind::UnknownArgument || is_value(&OsString::from(value));
            usize::from(is_it)
        } else if argument == flag {
            match arguments.get(at + 1) {
                Some(value) if is_value(value) => 2,
                _ => usize::from(error.kind() == ErrorKind::UnknownArgument),
            }
        } else {
            0
        };
        if length > 0 {
            let rest = arguments[..at].iter().chain(&arguments[at + length..]);
            return Some(rest.cloned().collect());
        }
    }
    None
}
