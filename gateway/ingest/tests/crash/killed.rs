//! A process that takes events on a socket and acknowledges them, killed again and again under load.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream as BlockingStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use ingest::{
    Family, Ingest, Line,
    read::{Follow, Stop},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

const CONNECTIONS: u32 = 6;
const PARTNERS: [&str; 3] = ["ads", "shop", "forum"];

/// Kills of an ordinary run.
const ROUNDS: u32 = 15;

/// Takes pushes on `socket` in its directory until its standard input ends.
pub(crate) fn serve(directory: &Path) -> ExitCode {
    let ingest = Ingest::open(super::config(), super::parts(directory)).expect("the store opens after any kill");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let socket = directory.join("socket");
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).expect("a socket");
        let mut connections = tokio::task::JoinSet::new();
        // Its end is that of the test, however that ends.
        let mut input = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (stream, _) = accepted.expect("a connection");
                    connections.spawn(connection(ingest.clone(), stream));
                }
                _ended = &mut input => break,
            }
        }
        ingest.close().await;
    });
    ExitCode::SUCCESS
}

async fn connection(ingest: Ingest, mut stream: UnixStream) {
    let (read, mut write) = stream.split();
    let mut lines = tokio::io::BufReader::new(read).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let (partner, body) = line.split_once(' ').expect("a partner and a body");
        let answer = match ingest.accept(super::push(partner, body)).await {
            Ok(receipt) => format!("ok {}\n", receipt.accepted + receipt.duplicates),
            Err(error) => format!("{}\n", error.label()),
        };
        if write.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

pub(crate) fn test() {
    let rounds = std::env::var("INGEST_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    let directory = tempfile::tempdir().expect("a directory");
    let mut child = start(directory.path());
    let load = Load::on(directory.path());
    let mut random = fastrand::Rng::with_seed(u64::from(rounds));
    for _ in 0..rounds {
        // At any moment: one time in four while it opens or mends, otherwise under load.
        load.await_progress(if random.u8(0..4) == 0 { 0 } else { random.u32(1..60) });
        thread::sleep(Duration::from_micros(random.u64(0..20_000)));
        child.kill().expect("it was running");
        child.wait().expect("it has ended");
        child = start(directory.path());
    }
    let acknowledged = load.end();
    end(child);
    verify(directory.path(), &acknowledged);
    let pushes: u32 = acknowledged.iter().sum();
    super::told(&format!("{rounds} kills, {pushes} pushes acknowledged"));
}

pub(super) fn start(directory: &Path) -> Child {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.env(super::SERVE_IN, directory).stdin(Stdio::piped()).spawn().expect("a process")
}

/// Lets a process complete its segments and end.
pub(super) fn end(mut child: Child) {
    drop(child.stdin.take());
    assert!(child.wait().expect("it ends").success());
}

/// Connections that push all the time.
pub(super) struct Load {
    connections: Vec<thread::JoinHandle<u32>>,
    stopping: Arc<AtomicBool>,
    progress: Arc<AtomicU32>,
}

impl Load {
    pub(super) fn on(directory: &Path) -> Self {
        let (stopping, progress) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let connections = (0..CONNECTIONS).map(|number| {
            let socket = directory.join("socket");
            let (stopping, progress) = (Arc::clone(&stopping), Arc::clone(&progress));
            thread::spawn(move || push_on(number, &socket, &stopping, &progress))
        });
        Self { connections: connections.collect(), stopping, progress }
    }

    /// Waits until so many more pushes were acknowledged.
    pub(super) fn await_progress(&self, pushes: u32) {
        let wanted = self.progress.load(Ordering::SeqCst) + pushes;
        while self.progress.load(Ordering::SeqCst) < wanted {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Answers how many pushes of each connection were acknowledged.
    pub(super) fn end(self) -> Vec<u32> {
        self.stopping.store(true, Ordering::SeqCst);
        self.connections.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    }
}

/// One to five events.
pub(super) fn ids(connection: u32, push: u32) -> impl Iterator<Item = String> {
    (0..1 + (connection + push) % 5).map(move |event| format!("{connection}-{push}-{event}"))
}

/// Pushes one after the other, each again until it is acknowledged. Answers how many were.
fn push_on(connection: u32, socket: &PathBuf, stopping: &AtomicBool, progress: &AtomicU32) -> u32 {
    let partner = PARTNERS[usize::try_from(connection).expect("few") % PARTNERS.len()];
    let mut stream = None;
    let mut number = 0;
    loop {
        let events: Vec<_> = ids(connection, number)
            .map(|id| format!("{{\"event_id\":\"{id}\",\"pad\":\"{}\"}}", "x".repeat(100)))
            .collect();
        let request = format!("{partner} [{}]\n", events.join(","));
        match ask(&mut stream, socket, &request) {
            Some(answer) if answer.trim() == format!("ok {}", events.len()) => {
                number += 1;
                progress.fetch_add(1, Ordering::SeqCst);
                if stopping.load(Ordering::SeqCst) {
                    return number;
                }
            }
            Some(answer) if answer.ends_with('\n') => panic!("{answer}"),
            // It was killed: perhaps before, perhaps after this push was stored.
            _ => {
                stream = None;
                // Nothing is waited for: it only leaves the processor to the process that starts.
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

pub(super) fn ask(stream: &mut Option<BufReader<BlockingStream>>, socket: &PathBuf, request: &str) -> Option<String> {
    let stream = match stream {
        Some(stream) => stream,
        none => none.insert(BufReader::new(BlockingStream::connect(socket).ok()?)),
    };
    stream.get_mut().write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_line(&mut answer).ok()?;
    Some(answer)
}

/// Every acknowledged event is there, none twice, and those of a connection in its order.
fn verify(directory: &Path, acknowledged: &[u32]) {
    let mut follow = Follow::new(directory, Family::Events, None, Stop::Complete);
    let mut found: HashMap<u32, Vec<String>> = HashMap::new();
    let mut last_seq = None;
    while let Some(line) = follow.next_line().expect("segments can be read") {
        let line = Line::read(&line).expect("a line");
        assert!(last_seq < Some(line.seq), "{last_seq:?} before {}", line.seq);
        last_seq = Some(line.seq);
        let connection = line.event_id.split('-').next().and_then(|number| number.parse().ok()).expect("an id of ours");
        assert_eq!(line.partner, PARTNERS[usize::try_from(connection).expect("few") % PARTNERS.len()]);
        found.entry(connection).or_default().push(line.event_id.into_owned());
    }
    assert_eq!(follow.skipped(), 0, "complete segments are undamaged");
    for (connection, pushes) in (0..).zip(acknowledged) {
        let expected: Vec<_> = (0..*pushes).flat_map(|push| ids(connection, push)).collect();
        assert_eq!(found.remove(&connection).unwrap_or_default(), expected, "connection {connection}");
    }
}
