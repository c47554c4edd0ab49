//! What a process has used, from `/proc`.

use std::{fs, time::Duration};

use anyhow::{Context, Result};

/// The unit of `/proc/PID/stat` in user space (`USER_HZ`): 1/100 s on every architecture Linux runs on today.
const TICK: Duration = Duration::from_millis(10);

/// User and kernel time of all threads of a process, since it began.
pub fn cpu_time(process: u32) -> Result<Duration> {
    let stat = read(process, "stat")?;
    let ticks = stat_ticks(&stat).with_context(|| format!("/proc/{process}/stat has no CPU time"))?;
    Ok(TICK * u32::try_from(ticks)?)
}

/// Memory of a process that is in RAM (`VmRSS`), in bytes.
pub fn resident_bytes(process: u32) -> Result<u64> {
    let status = read(process, "status")?;
    let kibibytes =
        status_kibibytes(&status, "VmRSS:").with_context(|| format!("/proc/{process}/status has no VmRSS"))?;
    Ok(kibibytes * 1024)
}

fn read(process: u32, file: &str) -> Result<String> {
    fs::read_to_string(format!("/proc/{process}/{file}")).with_context(|| format!("process {process} has ended"))
}

/// Fields 14 (utime) and 15 (stime); counted after the program's name, which may hold anything but ends at the last `)`.
fn stat_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn status_kibibytes(status: &str, key: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strange_program_name_does_not_shift_the_fields() {
        let stat = "42 (a) S 1 (b) R 1 2 3 4 5 6 7 8 9 10 120 30 13 14 15";
        assert_eq!(stat_ticks(stat), Some(150));
        assert_eq!(stat_ticks("42 (a) R 1 2"), None);
    }

    #[test]
    fn this_process_uses_memory() {
        let bytes = resident_bytes(std::process::id()).expect("this process lives");
        assert!((1 << 20..1 << 34).contains(&bytes), "{bytes}");
        assert!(cpu_time(std::process::id()).is_ok());
        assert_eq!(status_kibibytes("Name:\tx\nVmRSS:\t  2048 kB\n", "VmRSS:"), Some(2048));
    }
}
