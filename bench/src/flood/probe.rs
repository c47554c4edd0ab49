//! One who asks 200 times a second, one question after the other, while the flood goes on: what a single game server sees of
//! it. On a thread of its own, which does nothing else, so that its times are those of the platform and not of a generator
//! that has thousands of answers to read.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{
    generator::{Answer, Outcome, PATIENCE, Sent},
    mix::{Mix, Rendered},
};

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(5);

/// Asks until `is_over`. Blocks.
pub(super) fn ask(address: &str, mix: &Mix, is_over: &AtomicBool) -> Vec<Sent> {
    let (began, mut sent, mut connection) = (Instant::now(), Vec::new(), None);
    for number in 0.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let (request, asked) = (mix.number(number), Instant::now());
        let outcome = exchange(&mut connection, address, request).unwrap_or_else(|error| {
            connection = None;
            match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Outcome::Impatient,
                _ => Outcome::Broken,
            }
        });
        let (due, took) = (asked.duration_since(began), asked.elapsed());
        sent.push(Sent { class: request.class, due, took, answered_in: took, outcome });
        thread::sleep(PAUSE.saturating_sub(took));
    }
    sent
}

fn exchange(connection: &mut Option<TcpStream>, address: &str, request: &Rendered) -> io::Result<Outcome> {
    let mut stream = match connection.take() {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream
        }
    };
    stream.write_all(&request.bytes)?;
    let (mut answer, mut part) = (Vec::new(), [0; 8192]);
    loop {
        match stream.read(&mut part)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => answer.extend_from_slice(&part[..read]),
        }
        if let Some(answer) = Answer::parse(&answer)? {
            if answer.stays_open {
                *connection = Some(stream);
            }
            return Ok(answer.judge(request));
        }
    }
}
