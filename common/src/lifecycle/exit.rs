//! How a process ended, as the number that its parent sees.

use std::process::ExitCode;

use super::signals::Signal;

/// What was compared differs, as diff(1) says it.
pub const EXIT_DIFFERS: u8 = 1;

/// Bad arguments or configuration: `EX_USAGE` of sysexits.h.
pub const EXIT_USAGE: u8 = 64;

/// Some of what it was given can't be used: `EX_DATAERR` of sysexits.h.
pub const EXIT_DATA: u8 = 65;

/// A fault of ours: `EX_SOFTWARE` of sysexits.h.
pub const EXIT_SOFTWARE: u8 = 70;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It was asked to end, or had nothing left to do.
    Clean,
    /// It did what it was asked to, and what it compared differs.
    Differs,
    /// The command line or the configuration can't be used.
    Usage,
    /// It did what could be done; some of what it was given can't be used.
    Data,
    /// A part of it failed.
    Failed,
    /// It was told to end at once, before it had finished.
    Forced(Signal),
}

impl ExitStatus {
    /// The number: 0, 1, 64, 65, 70, or 128 and the signal's number, as shells count.
    pub fn code(self) -> u8 {
        match self {
            ExitStatus::Clean => 0,
            ExitStatus::Differs => EXIT_DIFFERS,
            ExitStatus::Usage => EXIT_USAGE,
            ExitStatus::Data => EXIT_DATA,
            ExitStatus::Failed => EXIT_SOFTWARE,
            ExitStatus::Forced(signal) => 128 + signal.number(),
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        ExitCode::from(status.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forced_end_is_numbered_as_shells_do() {
        assert_eq!(ExitStatus::Forced(Signal::Interrupt).code(), 130);
        assert_eq!(ExitStatus::Forced(Signal::Terminate).code(), 143);
        assert_eq!((ExitStatus::Differs.code(), ExitStatus::Data.code()), (1, 65));
        assert_eq!((ExitStatus::Clean.code(), ExitStatus::Usage.code(), ExitStatus::Failed.code()), (0, 64, 70));
    }
}
