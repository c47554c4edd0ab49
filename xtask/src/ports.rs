//! Loopback ports that stay reserved for as long as somebody needs them.
//!
//! Asking the kernel for a free port and closing it again loses it to whoever asks next: another test, or any
//! outgoing connection. So ports come from below the range the kernel hands out by itself, and each is held by a lock
//! on a file that every test process of this user looks at.

use std::{
    fs::{self, File},
    io,
    net::TcpListener,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::atomic::{AtomicU16, Ordering},
};

/// Linux hands out 32768 and above to outgoing connections; the well-known servers live below 20000.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// Where the next search begins in this process.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A loopback port nobody else takes while this value lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// The lock goes when the file is closed, also when the process is killed.
    _reservation: File,
}

impl Port {
    /// Reserves a port nothing listens on.
    ///
    /// # Errors
    /// When every port of the range is taken, or the directory of the locks cannot be written.
    pub fn reserve() -> io::Result<Self> {
        for _ in 0..COUNT {
            let number = FIRST + (process_offset().wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed))) % COUNT;
            if let Some(port) = Self::reserve_exactly(number)? {
                return Ok(port);
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "no free loopback port is left between 20000 and 32000"))
    }

    /// Reserves this port; `None` when somebody has it.
    ///
    /// # Errors
    /// When the directory of the locks cannot be written.
    pub fn reserve_exactly(number: u16) -> io::Result<Option<Self>> {
        let reservation = File::create(locks_directory()?.join(number.to_string()))?;
        let is_free = reservation.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", number)).is_ok();
        Ok(is_free.then_some(Self { number, _reservation: reservation }))
    }

    /// The port's number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.number)
    }
}

/// Two processes that start at the same time look at different ends of the range first.
fn process_offset() -> u16 {
    u16::try_from(u64::from(std::process::id()) * 127 % u64::from(COUNT)).unwrap_or(0)
}

/// One directory per user: another user's lock files could not be opened.
fn locks_directory() -> io::Result<PathBuf> {
    let user = fs::metadata("/proc/self")?.uid();
    let directory = std::env::temp_dir().join(format!("playgate-ports-{user}"));
    fs::create_dir_all(&directory)?;
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_reservations_never_share_a_port() {
        let first = Port::reserve().unwrap();
        let second = Port::reserve().unwrap();
        assert_ne!(first.number(), second.number());
    }

    #[test]
    fn a_port_that_is_taken_cannot_be_had_by_its_number() {
        let first = Port::reserve().unwrap();
        let number = first.number();
        assert!(Port::reserve_exactly(number).unwrap().is_none());
        drop(first);
        assert!(Port::reserve_exactly(number).unwrap().is_some());
    }

    #[test]
    fn a_port_somebody_listens_on_is_passed_over() {
        let reserved = Port::reserve().unwrap();
        let (taken, _listener) = (reserved.number(), TcpListener::bind(reserved.address()).unwrap());
        drop(reserved);
        NEXT.store(taken.wrapping_sub(FIRST).wrapping_sub(process_offset()), Ordering::Relaxed);
        assert_ne!(Port::reserve().unwrap().number(), taken);
    }
}
