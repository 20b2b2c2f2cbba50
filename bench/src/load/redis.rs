//! Redis' protocol, as far as calling a script needs it: requests are arrays of strings, answers
//! here are one line each.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::talk::{Answer, Talk};
use crate::seed::{FEATURE, LIMIT, USER_DIGITS, user_id, write_user_digits};

/// Checks a limit and counts, as `useFeature` does; -1 when the limit is reached.
const SCRIPT: &str = "local used = tonumber(redis.call('GET', KEYS[1]) or '0') \
     local delta = tonumber(ARGV[1]) \
     if used + delta > tonumber(ARGV[2]) then return -1 end \
     return redis.call('INCRBY', KEYS[1], delta)";

/// Writes a command.
fn write_command(words: &[&str], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
}

/// Reads a line at the start of `input`, its end included; `None` while it is not whole.
fn line(input: &[u8]) -> Option<&[u8]> {
    input.windows(2).position(|two| two == b"\r\n").map(|end| &input[..end + 2])
}

/// Gives the script to Redis and answers the name under which it is called.
pub(crate) fn load_script(address: SocketAddr) -> Result<String> {
    let mut command = Vec::new();
    write_command(&["SCRIPT", "LOAD", SCRIPT], &mut command);
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(&command)?;
    let mut lines = BufReader::new(stream).lines();
    let head = lines.next().context("Redis does not answer")??;
    if head != "$40" {
        bail!("Redis does not take the script: {head}");
    }
    Ok(lines.next().context("Redis does not name the script")??)
}

/// Calls of the script, each for some user.
pub(crate) struct ScriptCalls {
    command: Vec<u8>,
    digits_at: usize,
    pipelined: usize,
    users: u32,
    random: fastrand::Rng,
}

impl ScriptCalls {
    /// Calls of `script` for any of `users` users, `pipelined` in one request.
    pub(crate) fn new(script: &str, users: u32, pipelined: usize) -> Self {
        let mut command = Vec::new();
        let (key, limit) = (format!("{FEATURE}:{}", user_id(0)), LIMIT.to_string());
        write_command(&["EVALSHA", script, "1", &key, "1", &limit], &mut command);
        // The key ends with the digits, and after it come the delta and the limit.
        let after_key = format!("\r\n$1\r\n1\r\n${}\r\n{limit}\r\n", limit.len()).len();
        let digits_at = command.len() - after_key - USER_DIGITS;
        Self { command, digits_at, pipelined, users, random: fastrand::Rng::with_seed(1) }
    }
}

impl Talk for ScriptCalls {
    fn ask(&mut self, out: &mut Vec<u8>) -> usize {
        for _ in 0..self.pipelined {
            let start = out.len() + self.digits_at;
            out.extend_from_slice(&self.command);
            write_user_digits(&mut out[start..start + USER_DIGITS], self.random.u32(..self.users));
        }
        0
    }

    fn read(&mut self, _kind: usize, input: &[u8]) -> Result<Option<Answer>> {
        let mut answer = Answer { len: 0, right: true };
        for _ in 0..self.pipelined {
            let Some(line) = line(&input[answer.len..]) else {
                return Ok(None);
            };
            if !line.starts_with(b":") && !line.starts_with(b"-") {
                bail!("not a number and not an error");
            }
            answer.right &= line.starts_with(b":") && line.get(1) != Some(&b'-');
            answer.len += line.len();
        }
        Ok(Some(answer))
    }

    fn units(&self) -> u32 {
        u32::try_from(self.pipelined).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_about_a_user() {
        let mut calls = ScriptCalls::new(&"a".repeat(40), 1, 2);
        let mut out = Vec::new();
        calls.ask(&mut out);
        let one = format!(
            "*6\r\n$7\r\nEVALSHA\r\n$40\r\n{}\r\n$1\r\n1\r\n$22\r\napi-calls:user-0000000\r\n\
             $1\r\n1\r\n$10\r\n2000000000\r\n",
            "a".repeat(40)
        );
        assert_eq!(String::from_utf8(out).unwrap(), one.repeat(2));
    }

    #[test]
    fn pipelined_answers_are_judged_together() {
        let mut calls = ScriptCalls::new("", 1, 2);
        let whole = |len, right| Some(Answer { len, right });
        assert_eq!(calls.read(0, b":1\r\n:2\r").unwrap(), None);
        assert_eq!(calls.read(0, b":1\r\n:2\r\n").unwrap(), whole(8, true));
        assert_eq!(calls.read(0, b":1\r\n:-1\r\n").unwrap(), whole(9, false));
        assert_eq!(calls.read(0, b"-ERR\r\n:2\r\n").unwrap(), whole(10, false));
        assert!(calls.read(0, b"?\r\n:2\r\n").is_err());
    }
}
