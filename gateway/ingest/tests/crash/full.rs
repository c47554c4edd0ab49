//! A disk that is really full: a small tmpfs in a mount namespace of its own.

use std::{
    fs,
    path::Path,
    process::{Command, ExitCode},
};

use ingest::{
    Family, Ingest, IngestError, Line,
    read::{Follow, Stop},
};

/// The status of a process that was not allowed to mount.
const NOT_ALLOWED: i32 = 77;

pub(crate) fn test() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = std::env::current_exe().expect("this program");
    let script = format!("mount -t tmpfs -o size=4m none \"$1\" 2>/dev/null || exit {NOT_ALLOWED}; exec \"$2\"");
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"]).arg(directory.path()).arg(program);
    match command.env(super::FILL, directory.path()).status() {
        Ok(status) if status.success() => {}
        // unshare itself ends with 1 when there are no user namespaces, a panic of ours with 101.
        Ok(status) if matches!(status.code(), Some(NOT_ALLOWED | 1)) => {
            super::told("not run: nobody may mount a tmpfs here");
        }
        Err(error) => super::told(&format!("not run: {error}")),
        Ok(status) => panic!("{status}"),
    }
}

/// Fills the disk, makes room, goes on, and looks whether everything acknowledged is there once.
pub(crate) fn fill(directory: &Path) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let acknowledged = runtime.block_on(async {
        let filler = directory.join("filler");
        fs::write(&filler, vec![1; 2 << 20]).expect("there is room");
        let ingest = Ingest::open(super::config(), super::parts(directory)).expect("the store opens");
        let mut next = 0;
        let refused = push_until_refused(&ingest, &mut next).await;
        assert!(matches!(refused, IngestError::DiskFull { .. }), "{refused}");
        fs::remove_file(&filler).expect("it is there");
        let full = next;
        while next < full + 100 {
            match ingest.accept(super::push("ads", &event(next))).await {
                Ok(_) => next += 1,
                // The writer looks at the disk by itself, four times a second.
                Err(IngestError::DiskFull { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
        ingest.close().await;
        next
    });
    let mut follow = Follow::new(directory, Family::Events, None, Stop::Complete);
    let lines = std::iter::from_fn(|| follow.next_line().expect("segments can be read"));
    let found: Vec<_> = lines.map(|line| Line::read(&line).expect("a line").event_id.into_owned()).collect();
    let expected: Vec<_> = (0..acknowledged).map(|number| number.to_string()).collect();
    assert_eq!(found, expected);
    ExitCode::SUCCESS
}

fn event(number: u32) -> String {
    format!("{{\"event_id\":{number},\"pad\":\"{}\"}}", "x".repeat(3000))
}

async fn push_until_refused(ingest: &Ingest, next: &mut u32) -> IngestError {
    loop {
        match ingest.accept(super::push("ads", &event(*next))).await {
            Ok(_) => *next += 1,
            Err(error) => return error,
        }
    }
}
