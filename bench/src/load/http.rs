//! As much of HTTP/1.1 as there is between a client and a server that mean well.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// A response that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Response<'a> {
    /// Its status.
    pub(crate) status: u16,
    /// Its headers, as they came.
    pub(crate) head: &'a [u8],
    /// Its body.
    pub(crate) body: &'a [u8],
    /// All its bytes.
    pub(crate) len: usize,
}

impl<'a> Response<'a> {
    /// Reads the response at the start of `input`; `None` while it is not whole.
    pub(crate) fn read(input: &'a [u8]) -> Result<Option<Self>> {
        let Some(head_end) = input.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = &input[..head_end];
        let length = header(head, b"content-length").context("a response without a length")?;
        let length: usize = number(length).context("a length that is no number")?;
        let body_start = head_end + 4;
        let Some(body) = input.get(body_start..body_start + length) else {
            return Ok(None);
        };
        let status = head.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3));
        let status = status.and_then(number).context("a response without a status")?;
        Ok(Some(Self { status: u16::try_from(status)?, head, body, len: body_start + length }))
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &[u8]) -> Option<&'a [u8]> {
        header(self.head, name)
    }
}

fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let (found, rest) = line.split_at_checked(name.len())?;
        let value = rest.strip_prefix(b":")?;
        found.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
    })
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A POST request with an authorisation.
pub(crate) fn post(path: &str, key: &str, media_type: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\n\
         Host: 127.0.0.1\r\n\
         Authorization: {key}\r\n\
         Content-Type: {media_type}\r\n\
         Accept: application/json\r\n\
         Content-Length: {}\r\n\
         \r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// A GET of a page with the cookie of a session.
pub(crate) fn get(path: &str, cookie: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n").into_bytes()
}

/// A form that a page of the server sends. Its values need no escapes but for spaces.
pub(crate) fn post_form(path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let fields: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}={}", value.replace(' ', "+"))).collect();
    let body = fields.join("&");
    format!(
        "POST {path} HTTP/1.1\r\n\
         Host: 127.0.0.1\r\n\
         Sec-Fetch-Site: same-origin\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\
         \r\n\
         {body}",
        body.len()
    )
    .into_bytes()
}

/// Sends one request and waits for its response; `judge` takes from it what is wanted.
pub(crate) fn exchange<T>(
    address: SocketAddr,
    request: &[u8],
    judge: impl FnOnce(Response<'_>) -> Result<T>,
) -> Result<T> {
    exchange_within(address, request, Duration::from_secs(10), judge)
}

/// The same, where the answer may take longer.
pub(crate) fn exchange_within<T>(
    address: SocketAddr,
    request: &[u8],
    patience: Duration,
    judge: impl FnOnce(Response<'_>) -> Result<T>,
) -> Result<T> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(request)?;
    let mut input = Vec::new();
    let mut room = [0; 4096];
    loop {
        if let Some(response) = Response::read(&input)? {
            return judge(response);
        }
        match stream.read(&mut room) {
            Ok(0) => bail!("the server has closed the connection"),
            Ok(read) => input.extend_from_slice(&room[..read]),
            // By a signal; whoever asked for the end is heard a little later.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_read_once_it_is_whole() {
        let whole = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: a/b\r\nContent-Length: 3\r\n\r\nabcd";
        for end in 0..whole.len() - 1 {
            assert_eq!(Response::read(&whole[..end]).unwrap(), None, "{end}");
        }
        let response = Response::read(whole).unwrap().unwrap();
        assert_eq!((response.status, response.body), (503, &b"abc"[..]));
        assert_eq!(response.len, whole.len() - 1);
        assert_eq!(response.header(b"content-type"), Some(&b"a/b"[..]));
        assert_eq!(response.header(b"content"), None);
    }

    #[test]
    fn what_is_no_response_is_an_error() {
        for bad in
            ["\r\n\r\n", "HTTP/1.1 2\r\ncontent-length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"]
        {
            assert!(Response::read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
