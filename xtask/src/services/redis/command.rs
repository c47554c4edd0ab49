//! Just enough of the Redis protocol (RESP2, inline commands) to set servers up and to look at them.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// A server that takes longer is frozen or broken.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// Between two looks at whether something has become true.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Sends one command, written as in a terminal, and answers the reply; the parts of a list are joined by spaces.
pub(super) fn ask(address: &str, command: &str) -> Result<String> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(ANSWER_LIMIT))?;
    connection.write_all(format!("{command}\r\n").as_bytes())?;
    read_reply(&mut BufReader::new(connection)).with_context(|| format!("{address} on `{command}`"))
}

fn read_reply(connection: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = String::new();
    connection.read_line(&mut line)?;
    let (kind, rest) = line.trim_end().split_at_checked(1).context("the connection was closed")?;
    match kind {
        "+" | ":" => Ok(rest.to_owned()),
        "$" => {
            let mut text = vec![0; rest.parse::<usize>().unwrap_or(0) + 2];
            connection.read_exact(&mut text)?;
            Ok(String::from_utf8_lossy(&text).trim_end().to_owned())
        }
        "*" => {
            let parts: Result<Vec<_>> = (0..rest.parse::<usize>()?).map(|_| read_reply(connection)).collect();
            Ok(parts?.join(" "))
        }
        _ => bail!("{rest}"),
    }
}

/// Asks again and again until the reply is as wanted.
pub(super) fn await_reply(
    address: &str,
    command: &str,
    limit: Duration,
    wanted: impl Fn(&str) -> bool,
) -> Result<String> {
    let give_up = Instant::now() + limit;
    loop {
        match ask(address, command) {
            Ok(reply) if wanted(&reply) => return Ok(reply),
            outcome if Instant::now() >= give_up => {
                bail!("{address} did not answer `{command}` as wanted in {limit:?}; last: {outcome:?}")
            }
            Ok(_) | Err(_) => thread::sleep(LOOK_AGAIN),
        }
    }
}
