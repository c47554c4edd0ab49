//! Requests that are timed one by one, many at a time: for scenarios that the generator can't play because what comes
//! next depends on the time, on the answer, or on patience that ends.

use std::time::{Duration, Instant};

use anyhow::Result;
use reqwest::header::RETRY_AFTER;

use crate::client::Request;

/// Keeps connections open from one request to the next. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    http: reqwest::Client,
    base: String,
}

/// One request and what became of it.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// From sending it to the end of the answer, or of the patience.
    pub(crate) took: Duration,
    pub(crate) outcome: Result<Answer, Failure>,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// It has a `Retry-After` of at least a second.
    pub(crate) says_when: bool,
    pub(crate) body: String,
}

/// There was no answer.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The caller's patience ended first.
    TimedOut,
    /// The connection was refused or lost.
    Broken(String),
}

impl Caller {
    pub(crate) fn new(address: &str) -> Result<Self> {
        // A proxy of the environment is not what is measured.
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { http, base: format!("http://{address}") })
    }

    /// Sends it once.
    pub(crate) async fn send(&self, request: &Request, patience: Duration) -> Attempt {
        let sent = Instant::now();
        let outcome = self.exchange(request, patience).await.map_err(|error| match error.is_timeout() {
            true => Failure::TimedOut,
            false => Failure::Broken(format!("{:#}", anyhow::Error::from(error))),
        });
        Attempt { took: sent.elapsed(), outcome }
    }

    async fn exchange(&self, request: &Request, patience: Duration) -> reqwest::Result<Answer> {
        let url = format!("{}{}", self.base, request.path);
        let mut sending = match request.method {
            "GET" => self.http.get(url),
            _ => self.http.post(url),
        };
        for (name, value) in &request.headers {
            sending = sending.header(*name, value);
        }
        let answer = sending.body(request.body.clone()).timeout(patience).send().await?;
        let status = answer.status().as_u16();
        let says_when = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
            .is_some_and(|seconds| seconds > 0);
        Ok(Answer { status, says_when, body: answer.text().await? })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
        thread,
    };

    use super::*;

    fn listener() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        (listener, address)
    }

    /// Asks somebody who answers with this text and hangs up.
    async fn asked(answer: &'static str) -> Attempt {
        let (listener, address) = listener();
        let server = thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let attempt = Caller::new(&address).unwrap().send(&Request::get("/"), Duration::from_secs(20)).await;
        server.join().unwrap();
        attempt
    }

    #[tokio::test]
    async fn an_answer_that_says_when_to_come_back_is_told_from_one_that_does_not() {
        for (text, says_when) in [
            ("HTTP/1.1 503 -\r\nRetry-After: 2\r\nContent-Length: 2\r\n\r\n{}", true),
            ("HTTP/1.1 503 -\r\nRetry-After: 0\r\nContent-Length: 2\r\n\r\n{}", false),
            ("HTTP/1.1 503 -\r\nContent-Length: 2\r\n\r\n{}", false),
        ] {
            let answer = asked(text).await.outcome.unwrap();
            assert_eq!((answer.status, answer.says_when, answer.body.as_str()), (503, says_when, "{}"));
        }
    }

    #[tokio::test]
    async fn silence_is_told_from_a_connection_that_is_lost() {
        assert!(matches!(asked("").await.outcome, Err(Failure::Broken(_))));
        // Takes connections, and nobody is there to say anything.
        let (_listener, address) = listener();
        let attempt = Caller::new(&address).unwrap().send(&Request::get("/"), Duration::from_millis(50)).await;
        assert!(matches!(attempt.outcome, Err(Failure::TimedOut)), "{attempt:?}");
    }
}
