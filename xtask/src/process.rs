//! A process that is ours: it is only ever signalled while it is certainly still the one we started, and it ends when
//! its owner does, whatever way the owner goes.
//!
//! Never here: looking processes up by name, or signalling one that somebody else started.

use std::{
    io,
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Between two looks at whether a process has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A process that moves this long after it was told to stand still is not going to.
const STANDSTILL_LIMIT: Duration = Duration::from_secs(20);

/// What can be sent to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: please stop.
    Terminate,
    /// SIGINT: what Ctrl-C sends.
    Interrupt,
    /// SIGKILL: gone, with nothing flushed.
    Kill,
    /// SIGSTOP: still there, connections still open, but nothing moves.
    Freeze,
    /// SIGCONT: moves again.
    Thaw,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Terminate => "TERM",
            Self::Interrupt => "INT",
            Self::Kill => "KILL",
            Self::Freeze => "STOP",
            Self::Thaw => "CONT",
        }
    }
}

/// A running child that is killed when this value is dropped, and also when the owning process is killed itself.
#[derive(Debug)]
pub struct OwnedProcess {
    child: Child,
    _leash: Leash,
}

impl OwnedProcess {
    /// Starts `command`. `scratch` is a directory that is of no use without the process: it is removed if the owner is
    /// killed before it can clean up.
    ///
    /// # Errors
    /// When the program or `/bin/sh` cannot be started.
    pub fn spawn(command: &mut Command, scratch: Option<&Path>) -> io::Result<Self> {
        let mut child = command.spawn()?;
        match Leash::on(child.id(), scratch) {
            Ok(leash) => Ok(Self { child, _leash: leash }),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error)
            }
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input, if it was started with a pipe. Answers it once.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Sends a signal. A process that has already ended is left alone: its id may belong to somebody else by now. A
    /// frozen process stands still when this returns.
    ///
    /// # Errors
    /// When the signal could not be sent.
    pub fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        // The shell's own `kill`: the program of that name is not part of a minimal installation.
        let sent =
            Command::new("/bin/sh").args(["-c", &format!("kill -{} {}", signal.name(), self.child.id())]).status()?;
        if !sent.success() {
            return Err(io::Error::other(format!("SIG{} was not sent", signal.name())));
        }
        if signal == Signal::Freeze { self.await_standstill() } else { Ok(()) }
    }

    /// On a busy machine a process goes on for a moment after SIGSTOP was sent, and a signal that overtakes it kills.
    fn await_standstill(&mut self) -> io::Result<()> {
        let give_up = Instant::now() + STANDSTILL_LIMIT;
        while self.child.try_wait()?.is_none() && !std::fs::read_to_string(self.status_file())?.contains(") T ") {
            if Instant::now() >= give_up {
                return Err(io::Error::other(format!("the process still moves {STANDSTILL_LIMIT:?} after SIGSTOP")));
            }
            thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    fn status_file(&self) -> String {
        format!("/proc/{}/stat", self.child.id())
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits until it ends, at most `limit`; `None` when it is still running then. Blocks the calling thread.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn wait_at_most(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let give_up = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= give_up {
                return Ok(None);
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// When it could not be killed.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }
}

impl Drop for OwnedProcess {
    fn drop(&mut self) {
        // Errors mean that it has ended already, which is what is wanted.
        let _already_gone = self.child.kill();
        let _already_reaped = self.child.wait();
    }
}

/// A shell that waits at the other end of a pipe. The pipe closes when the owner ends, however it ends, and then the
/// shell kills the process. (Ctrl-C reaches it too, so it ignores the polite signals.)
#[derive(Debug)]
struct Leash {
    shell: Child,
}

impl Leash {
    fn on(process: u32, scratch: Option<&Path>) -> io::Result<Self> {
        let script = r#"trap '' INT TERM HUP; read -r _; kill -KILL "$1" 2>/dev/null; [ -z "$2" ] || rm -rf -- "$2""#;
        let shell = Command::new("/bin/sh")
            .args(["-c", script, "leash", &process.to_string()])
            .arg(scratch.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { shell })
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        // Killed before its pipe closes: the process is already gone, and its id may be somebody else's by now.
        let _already_gone = self.shell.kill();
        let _already_reaped = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn sleeper() -> OwnedProcess {
        OwnedProcess::spawn(Command::new("sleep").arg("1000"), None).unwrap()
    }

    fn is_running(id: u32) -> bool {
        // A killed process nobody waited for is still listed, as a zombie.
        std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }

    fn eventually(condition: impl Fn() -> bool) -> bool {
        let give_up = Instant::now() + PATIENCE;
        while Instant::now() < give_up {
            if condition() {
                return true;
            }
            thread::sleep(LOOK_AGAIN);
        }
        false
    }

    #[test]
    fn a_process_ends_with_its_owner() {
        let process = sleeper();
        let id = process.id();
        assert!(is_running(id));
        drop(process);
        assert!(!is_running(id));
    }

    #[test]
    fn a_process_and_its_scratch_end_when_the_owner_is_killed() {
        let scratch = tempfile::tempdir().unwrap();
        let mut process = OwnedProcess::spawn(Command::new("sleep").arg("1000"), Some(scratch.path())).unwrap();
        let id = process.id();
        // All that is left of a killed owner is the closed pipe.
        drop(process._leash.shell.stdin.take());
        assert!(eventually(|| !is_running(id) && !scratch.path().exists()));
        assert!(process.ended().unwrap().is_some());
    }

    #[test]
    fn a_frozen_process_does_not_react_until_it_is_thawed() {
        let mut process = sleeper();
        process.signal(Signal::Freeze).unwrap();
        assert!(std::fs::read_to_string(process.status_file()).unwrap().contains(") T "));
        process.signal(Signal::Terminate).unwrap();
        assert_eq!(process.ended().unwrap(), None);
        process.signal(Signal::Thaw).unwrap();
        assert!(process.wait_at_most(PATIENCE).unwrap().is_some_and(|status| !status.success()));
    }

    #[test]
    fn signalling_a_process_that_has_ended_does_nothing() {
        let mut process = OwnedProcess::spawn(&mut Command::new("true"), None).unwrap();
        assert!(process.wait_at_most(PATIENCE).unwrap().is_some_and(|status| status.success()));
        process.signal(Signal::Kill).unwrap();
    }
}
