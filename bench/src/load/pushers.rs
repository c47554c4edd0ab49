//! Requests at a pace of their own, whatever becomes of those before them, over connections that stay open.
//!
//! Each is timed from the moment when it was due, not from when somebody came to send it: a server that stands still for a
//! second has made everybody late who was to come in it, and all of them are in the times ("coordinated omission" leaves
//! them out). A thread and a blocking socket for each connection: both wake up within 0.1 ms.

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    num::NonZeroU32,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};

use crate::client::Request;

/// A request without an answer for so long is broken.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Requests are made anew so often: signatures age.
const MAKE_AGAIN: Duration = Duration::from_secs(60);

/// After a connection broke.
const BREATH: Duration = Duration::from_millis(10);

/// What a connection's thread needs for itself.
const STACK_BYTES: usize = 256 << 10;

/// How many, how fast, for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pushers {
    /// Requests that can be under way at once. With fewer than the pace needs, requests go out late, and are timed so.
    pub(crate) connections: u32,
    /// Requests a second, of all connections together.
    pub(crate) per_second: NonZeroU32,
    /// From the first to the last.
    pub(crate) duration: Duration,
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    /// How often each status came.
    pub(crate) by_status: BTreeMap<u16, u64>,
    /// Of 429 and above, those without a `Retry-After` of at least a second.
    pub(crate) silent: u64,
    /// Connections that were refused or lost, and requests that took too long.
    pub(crate) broken: u64,
    /// Of answers below 400: from when the request was due until the end of the answer.
    pub(crate) times: Vec<Duration>,
}

/// What the connections share.
struct Plan<'a> {
    pushers: Pushers,
    address: &'a str,
    request: &'a (dyn Fn() -> Request + Sync),
    began: Instant,
    next: AtomicU32,
    stopping: &'a AtomicBool,
}

struct Connection<'a> {
    address: &'a str,
    stream: Option<BufReader<TcpStream>>,
}

struct Answer {
    status: u16,
    says_when: bool,
}

impl Pushers {
    /// Pushes until the time is over, or `stopping` is set. Blocks.
    pub(crate) fn push(
        self,
        address: &str,
        request: &(dyn Fn() -> Request + Sync),
        stopping: &AtomicBool,
    ) -> Result<Answers> {
        let plan = Plan { pushers: self, address, request, began: Instant::now(), next: AtomicU32::new(0), stopping };
        let plan = &plan;
        thread::scope(|scope| {
            let threads: Vec<_> = (0..self.connections)
                .map(|_| thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, || plan.go_on()))
                .collect::<io::Result<_>>()?;
            let mut all = Answers::default();
            for thread in threads {
                all.add(thread.join().map_err(|_| anyhow!("the generator panicked"))?);
            }
            Ok(all)
        })
    }
}

impl Plan<'_> {
    /// One connection.
    fn go_on(&self) -> Answers {
        let (mut connection, mut answers) = (Connection { address: self.address, stream: None }, Answers::default());
        let (mut text, mut made) = (String::new(), None::<Instant>);
        while !self.stopping.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let due = self.began + Duration::from_secs(1) * number / self.pushers.per_second.get();
            if due >= self.began + self.pushers.duration {
                break;
            }
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if made.is_none_or(|made| made.elapsed() >= MAKE_AGAIN) {
                text = (self.request)().text(self.address, "keep-alive");
                made = Some(Instant::now());
            }
            let answer = connection.exchange(&text);
            answers.note(due.elapsed(), answer.as_ref().ok());
            if connection.stream.is_none() {
                thread::sleep(BREATH);
            }
        }
        answers
    }
}

impl Answers {
    /// How many came with a status.
    pub(crate) fn with(&self, status: u16) -> u64 {
        self.by_status.get(&status).copied().unwrap_or(0)
    }

    fn note(&mut self, took: Duration, answer: Option<&Answer>) {
        let Some(&Answer { status, says_when }) = answer else {
            self.broken += 1;
            return;
        };
        *self.by_status.entry(status).or_default() += 1;
        if status < 400 {
            self.times.push(took);
        }
        if status >= 429 && !says_when {
            self.silent += 1;
        }
    }

    /// Adds what others have seen.
    pub(crate) fn add(&mut self, other: Self) {
        for (status, count) in other.by_status {
            *self.by_status.entry(status).or_default() += count;
        }
        self.silent += other.silent;
        self.broken += other.broken;
        self.times.extend(other.times);
    }
}

impl Connection<'_> {
    /// Sends a request and reads the whole answer.
    fn exchange(&mut self, text: &str) -> io::Result<Answer> {
        // Whatever ends this early leaves no connection behind.
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.address)?,
        };
        stream.get_mut().write_all(text.as_bytes())?;
        let (mut status, mut length, mut says_when, mut stays) = (None, 0, false, true);
        let mut line = String::new();
        loop {
            line.clear();
            if stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let field = line.trim_end();
            if field.is_empty() {
                break;
            }
            match field.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim())) {
                None => status = field.split(' ').nth(1).and_then(|status| status.parse().ok()),
                Some((name, value)) if name == "content-length" => length = value.parse().unwrap_or(0),
                Some((name, value)) if name == "retry-after" => {
                    says_when = value.parse::<u64>().is_ok_and(|seconds| seconds > 0);
                }
                Some((name, value)) if name == "connection" => stays = !value.eq_ignore_ascii_case("close"),
                Some(_) => {}
            }
        }
        let status = status.ok_or(io::ErrorKind::InvalidData)?;
        io::copy(&mut stream.by_ref().take(length), &mut io::sink())?;
        self.stream = stays.then_some(stream);
        Ok(Answer { status, says_when })
    }
}

fn connect(address: &str) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(BufReader::new(stream))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Takes one connection and answers each request on it with the next of these texts.
    fn server(answers: &'static [&'static str], pause: Duration) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            for answer in answers {
                assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
                thread::sleep(pause);
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        address
    }

    fn pushed(answers: &'static [&'static str], pause: Duration) -> Answers {
        let pushers = Pushers {
            connections: 1,
            per_second: NonZeroU32::new(1000).unwrap(),
            duration: Duration::from_millis(1) * u32::try_from(answers.len()).unwrap(),
        };
        pushers.push(&server(answers, pause), &|| Request::get("/"), &AtomicBool::new(false)).unwrap()
    }

    #[test]
    fn answers_are_counted_and_a_refusal_that_does_not_say_when_is_told() {
        let answers = pushed(
            &[
                "HTTP/1.1 202 -\r\nContent-Length: 2\r\n\r\n{}",
                "HTTP/1.1 503 -\r\nRetry-After: 2\r\nContent-Length: 2\r\n\r\n{}",
                "HTTP/1.1 429 -\r\nContent-Length: 0\r\n\r\n",
                "HTTP/1.1 503 -\r\nretry-after: 0\r\nContent-Length: 0\r\n\r\n",
            ],
            Duration::ZERO,
        );
        assert_eq!(answers.by_status, BTreeMap::from([(202, 1), (429, 1), (503, 2)]));
        assert_eq!((answers.silent, answers.broken, answers.times.len(), answers.with(202)), (2, 0, 1, 1));
    }

    #[test]
    fn a_server_that_stands_still_makes_those_late_who_were_due_meanwhile() {
        const OK: &str = "HTTP/1.1 204 -\r\n\r\n";
        let pause = Duration::from_millis(50);
        let answers = pushed(&[OK, OK, OK], pause);
        // Each waits for itself and for those before it, though it is sent only once they are answered.
        let waited = |number: u32| {
            answers.times[usize::try_from(number).unwrap()] + Duration::from_millis(2) >= pause * (number + 1)
        };
        assert!((0..3).all(waited), "{:?}", answers.times);
    }
}
