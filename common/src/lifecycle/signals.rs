//! The only place that listens to the operating system's signals, and what the rest of the process sees of them.

use std::io;

use tokio::{
    signal::unix::{self, SignalKind},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

/// The two moments of an end that everything watches.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    /// Cancelled at the first signal: readiness is false, answers say `Connection: close`, but everything is accepted.
    pub draining: CancellationToken,
    /// Cancelled after the drain delay: nothing new is accepted, what is in flight is finished.
    pub stopping: CancellationToken,
}

/// A request to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: somebody pressed Ctrl-C.
    Interrupt,
    /// SIGTERM: an orchestrator replaces the process.
    Terminate,
}

impl Signal {
    /// The number of POSIX.
    pub fn number(self) -> u8 {
        match self {
            Signal::Interrupt => 2,
            Signal::Terminate => 15,
        }
    }
}

/// Where requests to end come from: the process's signals, or a [`Trigger`].
#[derive(Debug)]
pub struct StopRequests(Source);

#[derive(Debug)]
enum Source {
    Process { interrupt: unix::Signal, terminate: unix::Signal },
    Manual(mpsc::UnboundedReceiver<Signal>),
}

/// Asks for an end by hand: for tests, and for commands that end a platform they started themselves.
#[derive(Clone, Debug)]
pub struct Trigger(mpsc::UnboundedSender<Signal>);

impl StopRequests {
    /// SIGINT and SIGTERM of this process. From here on neither kills it any more.
    ///
    /// # Errors
    /// When the operating system refuses the handlers.
    pub fn of_process() -> io::Result<Self> {
        let interrupt = unix::signal(SignalKind::interrupt())?;
        let terminate = unix::signal(SignalKind::terminate())?;
        Ok(Self(Source::Process { interrupt, terminate }))
    }

    /// Requests that are made through the trigger, and nothing else.
    pub fn manual() -> (Trigger, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Trigger(sender), Self(Source::Manual(receiver)))
    }

    /// The next request. Never ends: without a source of requests there is none.
    pub(super) async fn next(&mut self) -> Signal {
        match &mut self.0 {
            Source::Process { interrupt, terminate } => tokio::select! {
                Some(()) = interrupt.recv() => Signal::Interrupt,
                Some(()) = terminate.recv() => Signal::Terminate,
                else => std::future::pending().await,
            },
            Source::Manual(requests) => match requests.recv().await {
                Some(signal) => signal,
                None => std::future::pending().await,
            },
        }
    }
}

impl Trigger {
    /// Asks for an end; asked a second time, the end is at once. After the end it does nothing.
    pub fn fire(&self, signal: Signal) {
        // The receiver is gone only when the process has already ended.
        let _ = self.0.send(signal);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn the_signals_of_the_process_are_told_apart() {
        let mut requests = StopRequests::of_process().expect("handlers");
        for (name, expected) in [("INT", Signal::Interrupt), ("TERM", Signal::Terminate)] {
            // The shell's parent is this process, whose handlers are in place.
            let sent = Command::new("sh").args(["-c", &format!("kill -{name} $PPID")]).status().expect("a shell");
            assert!(sent.success());
            assert_eq!(requests.next().await, expected);
        }
    }
}
