//! Patience when accepting fails.
//!
//! Without descriptors or memory `accept` fails at once, again and again: a loop that just tries again burns a core
//! exactly when the machine has nothing to spare.

use std::{future::Future, io, time::Duration};

use prometheus::IntCounter;
use tokio::time;

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts until it works. An error that concerns one connection only (the client was gone before we looked) costs
/// nothing; every other one is followed by a pause that doubles from 5 ms to 1 s.
pub(super) async fn accept_patiently<T, F>(mut accept: impl FnMut() -> F, errors: &IntCounter) -> T
where
    F: Future<Output = io::Result<T>>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        match accept().await {
            Ok(accepted) => return accepted,
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                errors.inc();
                if pause == FIRST_PAUSE {
                    tracing::warn!(%error, "accepting connections fails; trying again, ever slower");
                }
                time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `EMFILE`: the process has no descriptors left.
    fn no_descriptors() -> io::Error {
        io::Error::from_raw_os_error(24)
    }

    #[tokio::test(start_paused = true)]
    async fn without_descriptors_the_loop_waits_instead_of_spinning_and_recovers() {
        let errors = IntCounter::new("errors", "errors").unwrap();
        let started = time::Instant::now();
        let recovers = started + Duration::from_secs(60);
        let accept =
            || async move { if time::Instant::now() < recovers { Err(no_descriptors()) } else { Ok("connection") } };
        assert_eq!(accept_patiently(accept, &errors).await, "connection");
        assert!(errors.get() < 80, "{} attempts in a minute", errors.get());
        assert!(recovers.elapsed() <= LONGEST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_left_early_costs_no_pause() {
        let errors = IntCounter::new("errors", "errors").unwrap();
        let started = time::Instant::now();
        let mut left = 1000;
        let accept = || {
            left -= 1;
            std::future::ready(if left > 0 { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) })
        };
        accept_patiently(accept, &errors).await;
        assert_eq!((started.elapsed(), errors.get()), (Duration::ZERO, 0));
    }
}
