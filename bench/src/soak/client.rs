//! A client that means well, and judges what it is answered.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use super::faults::Faults;
use super::gate::Pass;
use crate::load::http::{Response, post};

/// Longer than the server may take for a request.
const ANSWER_WITHIN: Duration = Duration::from_secs(45);

/// What came of a request.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// The answer, which reports no error.
    Answered(Value),
    /// The codes of the errors in the answer.
    Refused(Vec<String>),
    /// The server says that it has recorded nothing and is to be asked again, or no answer came.
    Retry,
}

/// One connection, opened again whenever it is lost.
pub(super) struct Client<'a> {
    pass: &'a Pass<'a>,
    faults: &'a Faults,
    stream: Option<TcpStream>,
}

impl<'a> Client<'a> {
    pub(super) fn new(pass: &'a Pass<'a>, faults: &'a Faults) -> Self {
        Self { pass, faults, stream: None }
    }

    /// Sends a request and judges its answer.
    pub(super) fn ask(&mut self, request: &[u8]) -> Outcome {
        let stream = match self.stream.take() {
            Some(stream) => Ok(stream),
            None => connect(self.pass.address),
        };
        let sent = stream.and_then(|mut stream| stream.write_all(request).map(|()| stream));
        match sent {
            Ok(stream) => self.receive(stream),
            Err(error) => self.lost(&error.to_string()),
        }
    }

    /// Waits for the answer to what was sent on `stream`, and judges it.
    pub(super) fn receive(&mut self, mut stream: TcpStream) -> Outcome {
        let mut input = Vec::new();
        match read_response(&mut stream, &mut input) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                self.faults.add("no HTTP", &String::from_utf8_lossy(&input));
                return Outcome::Retry;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.faults.add("no answer", &format!("within {ANSWER_WITHIN:?}"));
                return Outcome::Retry;
            }
            Err(error) => return self.lost(&error.to_string()),
        }
        let Ok(Some(response)) = Response::read(&input) else {
            return self.lost("half an answer");
        };
        let closes = response.header(b"connection").is_some_and(|value| value == b"close");
        if !closes {
            self.stream = Some(stream);
        }
        judge(response, self.faults)
    }

    fn lost(&self, how: &str) -> Outcome {
        if self.pass.calm {
            self.faults.add("connection lost", how);
        }
        Outcome::Retry
    }
}

/// Connects, with a limit on how long an answer may take.
pub(super) fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    if stream.local_addr()? == address {
        // Where nobody listens, a socket can happen to connect to itself.
        return Err(ErrorKind::ConnectionRefused.into());
    }
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(ANSWER_WITHIN))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads one whole response into `input`. What is no response is `InvalidData`.
pub(super) fn read_response(stream: &mut TcpStream, input: &mut Vec<u8>) -> std::io::Result<()> {
    let mut room = [0; 16 * 1024];
    loop {
        match Response::read(input) {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => {}
            Err(_) => return Err(ErrorKind::InvalidData.into()),
        }
        match stream.read(&mut room) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => input.extend_from_slice(&room[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Judges an answer to a request that was right.
fn judge(response: Response<'_>, faults: &Faults) -> Outcome {
    let text = String::from_utf8_lossy(response.body);
    let Ok(body) = serde_json::from_slice::<Value>(response.body) else {
        faults.add("no JSON", &format!("{}: {text}", response.status));
        return Outcome::Retry;
    };
    let codes = codes_in(&body);
    let overloaded = !codes.is_empty() && codes.iter().all(|code| code == OVERLOADED);
    match response.status {
        _ if overloaded => Outcome::Retry,
        200 if codes.is_empty() => Outcome::Answered(body),
        200 if !codes.iter().any(|code| code == INTERNAL) => Outcome::Refused(codes),
        status => {
            faults.add("wrong status or code", &format!("{status}: {text}"));
            Outcome::Retry
        }
    }
}

const OVERLOADED: &str = "OVERLOADED";
const INTERNAL: &str = "INTERNAL_SERVER_ERROR";

/// The codes of all errors in a body, of whichever surface.
fn codes_in(body: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let in_errors =
        list(&body["errors"]).into_iter().map(|mut error| error["extensions"]["code"].take());
    let in_refused = list(&body["refused"]).into_iter().map(|mut refused| refused["code"].take());
    let in_batch = body["data"].as_object().into_iter().flat_map(serde_json::Map::values);
    let in_batch = in_batch.flat_map(list).map(|mut result| result["errorCode"].take());
    in_errors
        .chain(in_refused)
        .chain(in_batch)
        .chain([body["code"].clone()])
        .filter_map(|code| code.as_str().map(str::to_owned))
        .collect()
}

/// A GraphQL request.
pub(super) fn graphql(key: &str, query: &str, variables: &Value) -> Vec<u8> {
    let body = json!({ "query": query, "variables": variables }).to_string();
    post("/graphql", key, "application/json", body.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, body: &str) -> (Outcome, usize) {
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
        let bytes = format!("{head}{body}").into_bytes();
        let faults = Faults::default();
        let outcome = judge(Response::read(&bytes).unwrap().unwrap(), &faults);
        (outcome, faults.into_kinds().len())
    }

    #[test]
    fn only_overload_may_be_answered_with_503() {
        let error =
            |code| format!(r#"{{"data":null,"errors":[{{"extensions":{{"code":"{code}"}}}}]}}"#);
        assert_eq!(judged(503, &error(OVERLOADED)), (Outcome::Retry, 0));
        assert_eq!(judged(503, r#"{"status":503,"code":"OVERLOADED"}"#), (Outcome::Retry, 0));
        assert_eq!(judged(503, r#"{"status":503}"#), (Outcome::Retry, 1));
        assert_eq!(judged(500, r#"{"status":500}"#), (Outcome::Retry, 1));
        assert_eq!(judged(200, &error(INTERNAL)), (Outcome::Retry, 1));
        assert_eq!(judged(200, "<html>"), (Outcome::Retry, 1));
        assert_eq!(judged(200, &error("CONFLICT")), (Outcome::Refused(vec!["CONFLICT".into()]), 0));
        assert_eq!(judged(200, r#"{"data":1}"#).1, 0);
        let refused = r#"{"refused":[{"code":"NOT_FOUND"}]}"#;
        assert_eq!(judged(200, refused).0, Outcome::Refused(vec!["NOT_FOUND".into()]));
        let batch = r#"{"data":{"done":[{"errorCode":null},{"errorCode":"NOT_FOUND"}]}}"#;
        assert_eq!(judged(200, batch).0, Outcome::Refused(vec!["NOT_FOUND".into()]));
    }
}
