//! rsyslog follows the segments as `deploy/ingest/rsyslog.conf` says, while they are rotated several times a second. What
//! counts is its output: every acknowledged event is there.
//!
//! Needs rsyslog, which `cargo xtask setup` installs. It runs as whoever runs the tests, and sees nothing of the machine's
//! own logs.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use ingest::{
    Family, Line,
    read::{Follow, Stop},
};
use xtask::{
    process::{OwnedProcess, Signal},
    workspace,
};

use super::killed::{Load, ask, end, ids, start};

/// What operators are given.
const SAMPLE: &str = include_str!("../../../../deploy/ingest/rsyslog.conf");

/// Rounds in which the store, the tailer or both are killed.
const KILLS: u32 = 8;

/// Rounds in which the tailer ends in order.
const RESTARTS: u32 = 4;

/// Pushes between two of those: several segments.
const PUSHES_BETWEEN: u32 = 400;

/// Bytes of the largest event that the limits let through.
const LARGEST_EVENT: usize = 256 << 10;

/// A tailer that has not shipped everything by then is not going to.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// rsyslog and its directories.
struct Tailer {
    directory: PathBuf,
    process: OwnedProcess,
}

/// What has come out of a tailer.
#[derive(Debug, Default)]
struct Shipped {
    /// Identifiers of events.
    ids: HashSet<String>,
    /// Places of lines, each once.
    seqs: HashSet<u64>,
    repeated: usize,
    /// Pieces of lines that a kill has cut off.
    torn: usize,
}

pub(crate) fn kills() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut store, mut tailer) = (start(directory.path()), Tailer::start(directory.path()));
    let load = Load::on(directory.path());
    push_the_largest(directory.path(), "before");
    for round in 0..KILLS {
        load.await_progress(PUSHES_BETWEEN);
        if round % 3 != 1 {
            tailer.process.kill().expect("it was running");
        }
        if round % 3 != 0 {
            store.kill().expect("it was running");
            store.wait().expect("it has ended");
            store = start(directory.path());
        }
        if round % 3 != 1 {
            tailer = Tailer::start(directory.path());
        }
    }
    push_the_largest(directory.path(), "after");
    let acknowledged = load.end();
    end(store);

    let shipped = tailer.await_everything();
    let missing: Vec<_> = expected(&acknowledged).filter(|id| !shipped.ids.contains(id)).collect();
    assert!(missing.is_empty(), "{} acknowledged events were not shipped: {missing:?}", missing.len());
    assert!(shipped.ids.contains("largest-before") && shipped.ids.contains("largest-after"), "of the largest size");
    super::told(&format!(
        "{KILLS} rounds of kills, {} segments: {} lines shipped, {} repeated, {} torn",
        segments(directory.path()),
        shipped.seqs.len(),
        shipped.repeated,
        shipped.torn
    ));
}

pub(crate) fn restarts() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, mut tailer) = (start(directory.path()), Tailer::start(directory.path()));
    let load = Load::on(directory.path());
    for _ in 0..RESTARTS {
        load.await_progress(PUSHES_BETWEEN);
        tailer.process.signal(Signal::Terminate).expect("it is running");
        let ended = tailer.process.wait_at_most(PATIENCE).expect("the system says how it ended");
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
        tailer = Tailer::start(directory.path());
    }
    let acknowledged = load.end();
    end(store);
    let shipped = tailer.await_everything();
    assert!(expected(&acknowledged).all(|id| shipped.ids.contains(&id)));
    assert_eq!((shipped.repeated, shipped.torn), (0, 0));
    super::told(&format!(
        "{RESTARTS} restarts, {} segments: {} lines shipped",
        segments(directory.path()),
        shipped.seqs.len()
    ));
}

/// Pushes one event of the largest size until it is acknowledged.
fn push_the_largest(directory: &Path, when: &str) {
    let beginning = format!("{{\"event_id\":\"largest-{when}\",\"pad\":\"");
    let pad = "x".repeat(LARGEST_EVENT - beginning.len() - "\"}".len());
    let request = format!("large {beginning}{pad}\"}}\n");
    let give_up = Instant::now() + PATIENCE;
    while ask(&mut None, &directory.join("socket"), &request).as_deref() != Some("ok 1\n") {
        assert!(Instant::now() < give_up, "the largest event is not taken");
        thread::sleep(LOOK_AGAIN);
    }
}

fn expected(acknowledged: &[u32]) -> impl Iterator<Item = String> {
    (0..).zip(acknowledged).flat_map(|(connection, pushes)| (0..*pushes).flat_map(move |push| ids(connection, push)))
}

fn segments(directory: &Path) -> usize {
    ingest::segments(&directory.join("segments"), Family::Events).expect("a directory of segments").len()
}

impl Tailer {
    fn start(data_dir: &Path) -> Self {
        let directory = data_dir.join("tailer");
        fs::create_dir_all(&directory).expect("a directory");
        let path = |path: &Path| path.display().to_string();
        let config = SAMPLE
            .replace("/var/lib/playgate-rsyslog", &path(&directory))
            .replace("/var/lib/playgate/segments", &path(&data_dir.join("segments")))
            .replace("/var/spool/playgate", &path(&directory));
        assert!(!config.contains("/var/"), "no other directory: {config}");
        let config_file = directory.join("rsyslog.conf");
        fs::write(&config_file, config).expect("a file");
        let program = workspace::program("rsyslogd").expect("rsyslog, which `cargo xtask setup` installs");
        let mut command = Command::new(program);
        command.arg("-n").arg("-f").arg(config_file).arg("-i").arg(directory.join("pid")).stdin(Stdio::null());
        // One that was killed has left its pid file, which another process may have by now.
        let _ = fs::remove_file(directory.join("pid"));
        let process = OwnedProcess::spawn(&mut command, None).expect("rsyslog starts");
        Self { directory, process }
    }

    /// Waits until every line of every segment has come out.
    fn await_everything(&self) -> Shipped {
        let wanted: HashSet<_> = stored_seqs(self.directory.parent().expect("in the data directory"));
        let give_up = Instant::now() + PATIENCE;
        loop {
            let shipped = self.shipped();
            let missing = wanted.difference(&shipped.seqs).count();
            if missing == 0 {
                assert_eq!(shipped.seqs, wanted, "nothing that is not in a segment");
                return shipped;
            }
            assert!(Instant::now() < give_up, "{missing} of {} lines were not shipped", wanted.len());
            thread::sleep(LOOK_AGAIN);
        }
    }

    fn shipped(&self) -> Shipped {
        let output = fs::read(self.directory.join("partner-events.ndjson")).unwrap_or_default();
        let mut shipped = Shipped::default();
        for line in output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let Ok(line) = Line::read(line) else {
                shipped.torn += 1;
                continue;
            };
            shipped.ids.insert(line.event_id.clone().into_owned());
            if !shipped.seqs.insert(line.seq) {
                shipped.repeated += 1;
            }
        }
        shipped
    }
}

fn stored_seqs(data_dir: &Path) -> HashSet<u64> {
    let mut follow = Follow::new(data_dir, Family::Events, None, Stop::Complete);
    let lines = std::iter::from_fn(|| follow.next_line().expect("segments can be read"));
    lines.map(|line| Line::read(&line).expect("a line").seq).collect()
}
