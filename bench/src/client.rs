//! One HTTP/1.1 request at a time, on a connection of its own: for setting scenarios up and for checking answers.
//! Not for load.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a server may take to come up.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Between two looks at whether it has.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// A request as the generator repeats it.
#[derive(Clone, Debug)]
pub struct Request {
    /// GET, POST, PUT, PATCH.
    pub method: &'static str,
    /// With the query, if any.
    pub path: String,
    /// Without `Host` and `Content-Length`: whoever sends it adds those.
    pub headers: Vec<(&'static str, String)>,
    /// Empty for none.
    pub body: String,
}

/// What came back.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// As text.
    pub body: String,
    /// The lines of the head.
    head: String,
}

impl Response {
    /// The value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let (_, value) = fields.find(|(field, _)| field.eq_ignore_ascii_case(name))?;
        Some(value.trim())
    }
}

impl Request {
    /// A GET.
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), headers: Vec::new(), body: String::new() }
    }

    /// A POST of a JSON document.
    pub fn post_json(path: impl Into<String>, body: &Value) -> Self {
        let headers = vec![("Content-Type", "application/json".to_owned())];
        Self { method: "POST", path: path.into(), headers, body: body.to_string() }
    }

    /// Sends it to `address` and reads the whole answer.
    pub fn send(&self, address: &str) -> Result<Response> {
        let answer = self.exchange(address).with_context(|| format!("{} {address}{}", self.method, self.path))?;
        parse(&answer)
    }

    /// Sends it, expects 200, and answers the envelope's `data`.
    pub fn data(&self, address: &str) -> Result<Value> {
        let response = self.send(address)?;
        ensure!(response.status == 200, "{} answered {}: {}", self.path, response.status, response.body);
        let mut envelope: Value = serde_json::from_str(&response.body)?;
        Ok(envelope["data"].take())
    }

    /// The request as it is sent. `connection` is what becomes of it afterwards: `close` or `keep-alive`.
    pub(crate) fn text(&self, address: &str, connection: &str) -> String {
        let Self { method, path, body, .. } = self;
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: {connection}\r\n");
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        text
    }

    fn exchange(&self, address: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.write_all(self.text(address, "close").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

fn parse(answer: &str) -> Result<Response> {
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no end of headers")?;
    let status = head.split(' ').nth(1).context("the answer has no status")?.parse()?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding:");
    ensure!(!chunked, "the answer has no length");
    Ok(Response { status, body: body.to_owned(), head: head.to_owned() })
}

/// Repeats `request` until it is answered with 200. The time that took.
pub fn wait_until_answered(address: &str, request: &Request) -> Result<Duration> {
    let start = Instant::now();
    loop {
        let last = match request.send(address) {
            Ok(response) if response.status == 200 => return Ok(start.elapsed()),
            Ok(response) => format!("{}: {}", response.status, response.body),
            Err(error) => format!("{error:#}"),
        };
        if start.elapsed() > START_LIMIT {
            bail!("{address}{} is not ready after {START_LIMIT:?}; the last answer: {last}", request.path);
        }
        thread::sleep(LOOK_AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_status_and_its_body() {
        let response = parse("HTTP/1.1 503 Service Unavailable\r\nA: b\r\n\r\n{}\r\n\r\n").expect("parses");
        assert_eq!((response.status, response.body.as_str()), (503, "{}\r\n\r\n"));
        assert_eq!((response.header("a"), response.header("http/1.1 503")), (Some("b"), None));
        assert!(parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        assert!(parse("HTTP/1.1 200 OK\r\n").is_err());
    }
}
