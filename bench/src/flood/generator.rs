//! Sends the mix over many connections from one thread.
//!
//! In turn ([`Pace::InTurn`]): every connection sends its next request when the last one is answered. That finds out how
//! much can be taken.
//!
//! At a pace ([`Pace::Even`]): a request is due at its time, whatever became of those before it, and its time counts from
//! there and not from when a connection was free for it. Coordinated omission, which hides a server's worst moments by
//! not asking in them, can't happen. Whoever asked loses patience after [`PATIENCE`] and hangs up, as players and game
//! servers do; what had no connection by then was never sent, and counts as impatience, too.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use memchr::memmem;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime,
    sync::Notify,
    task::{JoinSet, LocalSet},
    time::{interval, sleep, timeout},
};

use super::mix::{Class, Mix, Rendered};

/// How long anybody waits.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// Between two looks at what is due.
const LOOK: Duration = Duration::from_micros(500);

/// How long to leave a server alone that accepts no connection.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);

/// An answer has no longer head than that.
const LONGEST_HEAD: usize = 16 * 1024;

/// When the next request is sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// When the one before it is answered, on each of the connections.
    InTurn,
    /// So many a second.
    Even(f64),
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// As it should be.
    Good,
    /// 429 or 503, and when to come back.
    ToldWhen,
    /// 429 or 503, and nothing else.
    Refused,
    /// Any other answer.
    Wrong(u16),
    /// Nobody waited any longer.
    Impatient,
    /// The same before there was a connection for it: all of them were waiting, or the generator could not keep up.
    NeverSent,
    /// The connection was refused or lost.
    Broken,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) class: Class,
    /// Since the beginning.
    pub(super) due: Duration,
    /// From when it was due until the answer was there, or nobody waited any longer.
    pub(super) took: Duration,
    /// From when it was on its way: without what the generator itself was late.
    pub(super) answered_in: Duration,
    pub(super) outcome: Outcome,
}

/// A load.
#[derive(Debug)]
pub(super) struct Generator {
    pub(super) address: String,
    pub(super) mix: Arc<Mix>,
    pub(super) connections: usize,
}

struct Job {
    number: usize,
    due: Instant,
}

/// What the connections share.
struct Shared {
    began: Instant,
    jobs: RefCell<VecDeque<Job>>,
    is_over: RefCell<bool>,
    there_is_more: Notify,
    sent: RefCell<Vec<Sent>>,
}

impl Generator {
    /// Blocks for `duration`, and for as long as anybody waits after it.
    pub(super) fn run(&self, pace: Pace, duration: Duration) -> Result<Vec<Sent>> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = Rc::new(Shared {
            began: Instant::now(),
            jobs: RefCell::default(),
            is_over: RefCell::new(false),
            there_is_more: Notify::new(),
            sent: RefCell::default(),
        });
        LocalSet::new().block_on(&runtime, async {
            let mut connections = open_connections(self, &shared);
            match pace {
                Pace::InTurn => self.hand_out_in_turn(&shared, duration).await,
                Pace::Even(per_second) => hand_out_at_a_pace(&shared, per_second, duration).await,
            }
            *shared.is_over.borrow_mut() = true;
            shared.there_is_more.notify_waiters();
            while connections.join_next().await.is_some() {}
        });
        Ok(shared.sent.take())
    }

    /// There is always one more than there are connections.
    async fn hand_out_in_turn(&self, shared: &Shared, duration: Duration) {
        let mut number = 0;
        let mut look = interval(LOOK);
        while shared.began.elapsed() < duration {
            while shared.jobs.borrow().len() < 4 * self.connections {
                shared.hand_out(number, Instant::now());
                number += 1;
            }
            look.tick().await;
        }
        shared.jobs.borrow_mut().clear();
    }
}

async fn hand_out_at_a_pace(shared: &Shared, per_second: f64, duration: Duration) {
    let between = Duration::from_secs_f64(per_second.recip());
    let (mut number, mut due) = (0, shared.began);
    let mut look = interval(LOOK);
    while due < shared.began + duration {
        look.tick().await;
        let now = Instant::now();
        while due <= now {
            shared.hand_out(number, due);
            number += 1;
            due += between;
        }
    }
}

fn open_connections(generator: &Generator, shared: &Rc<Shared>) -> JoinSet<()> {
    let mut connections = JoinSet::new();
    for _ in 0..generator.connections {
        let (shared, mix, address) = (Rc::clone(shared), Arc::clone(&generator.mix), generator.address.clone());
        connections.spawn_local(async move {
            let mut connection = Connection { address, stream: None, buffer: Vec::with_capacity(8192) };
            while let Some(job) = shared.next().await {
                connection.send(&job, &mix, &shared).await;
            }
        });
    }
    connections
}

impl Shared {
    fn hand_out(&self, number: usize, due: Instant) {
        self.jobs.borrow_mut().push_back(Job { number, due });
        self.there_is_more.notify_one();
    }

    async fn next(&self) -> Option<Job> {
        loop {
            let job = self.jobs.borrow_mut().pop_front();
            if job.is_some() {
                return job;
            }
            if *self.is_over.borrow() {
                return None;
            }
            self.there_is_more.notified().await;
        }
    }

    fn record(&self, class: Class, job: &Job, sent: Instant, outcome: Outcome) {
        let due = job.due.saturating_duration_since(self.began);
        let (took, answered_in) = (job.due.elapsed(), sent.elapsed());
        self.sent.borrow_mut().push(Sent { class, due, took, answered_in, outcome });
    }
}

struct Connection {
    address: String,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

impl Connection {
    async fn send(&mut self, job: &Job, mix: &Mix, shared: &Shared) {
        let request = mix.number(job.number);
        let patience = PATIENCE.saturating_sub(job.due.elapsed());
        let sent = Instant::now();
        if patience.is_zero() {
            return shared.record(request.class, job, sent, Outcome::NeverSent);
        }
        let outcome = match timeout(patience, self.exchange(request)).await {
            Ok(Ok((outcome, stays_open))) => {
                if !stays_open {
                    self.stream = None;
                }
                outcome
            }
            Ok(Err(_)) => {
                self.stream = None;
                sleep(REFUSED_PAUSE).await;
                Outcome::Broken
            }
            Err(_) => {
                self.stream = None;
                Outcome::Impatient
            }
        };
        shared.record(request.class, job, sent, outcome);
    }

    async fn exchange(&mut self, request: &Rendered) -> io::Result<(Outcome, bool)> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(&self.address).await?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        stream.write_all(&request.bytes).await?;
        self.buffer.clear();
        loop {
            if let Some(answer) = Answer::parse(&self.buffer)? {
                self.stream = Some(stream);
                return Ok((answer.judge(request), answer.stays_open));
            }
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// What is needed of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer<'a> {
    status: u16,
    says_when: bool,
    pub(super) stays_open: bool,
    body: &'a [u8],
}

impl<'a> Answer<'a> {
    /// `None`: it is not all there yet.
    pub(super) fn parse(bytes: &'a [u8]) -> io::Result<Option<Self>> {
        let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
            return if bytes.len() > LONGEST_HEAD { Err(io::ErrorKind::InvalidData.into()) } else { Ok(None) };
        };
        let head = str::from_utf8(&bytes[..end]).map_err(io::Error::other)?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.get(9..12)?.parse().ok());
        let status = status.ok_or(io::ErrorKind::InvalidData)?;
        let (mut length, mut says_when, mut stays_open) = (0, false, true);
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().map_err(io::Error::other)?;
            } else if name.eq_ignore_ascii_case("retry-after") {
                says_when = value.parse::<u64>().is_ok_and(|seconds| seconds > 0);
            } else if name.eq_ignore_ascii_case("connection") {
                stays_open = !value.eq_ignore_ascii_case("close");
            }
        }
        let body = bytes.get(end + 4..end + 4 + length);
        Ok(body.map(|body| Self { status, says_when, stays_open, body }))
    }

    pub(super) fn judge(&self, request: &Rendered) -> Outcome {
        match self.status {
            status if status == request.status && memmem::find(self.body, request.text.as_bytes()).is_some() => {
                Outcome::Good
            }
            429 | 503 if self.says_when => Outcome::ToldWhen,
            429 | 503 => Outcome::Refused,
            status => Outcome::Wrong(status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Rendered {
        Rendered { class: Class::Verify, bytes: Vec::new(), status: 200, text: "valid" }
    }

    #[test]
    fn an_answer_is_read_when_it_is_all_there_and_judged_by_what_it_says() {
        let whole = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\ncontent-length: 2\r\n\r\n{}";
        for end in 0..whole.len() {
            assert_eq!(Answer::parse(&whole[..end]).unwrap(), None, "{end}");
        }
        let refused = Answer::parse(whole).unwrap().unwrap();
        assert_eq!(refused, Answer { status: 503, says_when: true, stays_open: true, body: b"{}" });
        assert_eq!(refused.judge(&request()), Outcome::ToldWhen);
        let judged = |answer: &[u8]| Answer::parse(answer).unwrap().unwrap().judge(&request());
        assert_eq!(judged(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\n\r\n"), Outcome::Refused);
        assert_eq!(judged(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nvalid"), Outcome::Good);
        assert_eq!(judged(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother"), Outcome::Wrong(200));
        assert_eq!(judged(b"HTTP/1.1 504 Late\r\nConnection: close\r\n\r\n"), Outcome::Wrong(504));
        assert!(Answer::parse(&[b'x'; LONGEST_HEAD + 1]).is_err());
    }
}
