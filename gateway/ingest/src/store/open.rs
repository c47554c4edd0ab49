//! How a store is opened: one process, mended segments, and a window that knows what came before.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
    sync::{Arc, Condvar, Mutex},
    thread,
};

use common::{
    clock::{Timestamp, random_bytes},
    sequence::UuidSequence,
};
use tokio::sync::watch;

use super::{Ingest, Owner, Parts, Shared, committer::Committer, history::remember, state::State};
use crate::{
    IngestConfig, OpenError,
    backlog::Backlog,
    config::is_instance,
    disk::{RealDisk, SharedDisk, replace},
    metrics::Metrics,
    segment::{
        Family,
        appender::{Appender, AppenderParts, Counters, Rotation},
        listing::segments,
        recovery::{Mended, mend},
    },
    window::{EventHasher, Window},
};

impl Ingest {
    /// Opens the store in `parts.data_dir`: takes it for this process alone, mends what a crash left behind, and fills the
    /// window of known events from the newest segments. `config` must be valid.
    ///
    /// It reads and waits for the disk, some three seconds for a window of a million events: not for an async thread.
    ///
    /// # Errors
    /// [`OpenError`]; nothing runs then.
    pub fn open(config: IngestConfig, parts: Parts) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(RealDisk), config, parts)
    }

    pub(crate) fn open_on(disk: SharedDisk, config: IngestConfig, parts: Parts) -> Result<Self, OpenError> {
        let Parts { data_dir, clock, random, registry } = parts;
        let own = data_dir.join("ingest");
        for directory in [&own, &Family::Events.directory(&data_dir), &Family::Dead.directory(&data_dir)] {
            fs::create_dir_all(directory).map_err(OpenError::at(directory))?;
        }
        disk.sync_directory(&data_dir).map_err(OpenError::at(&data_dir))?;
        let lock = lock(&own)?;
        let instance: Arc<str> = match &config.instance {
            Some(instance) => instance.as_str().into(),
            None => own_instance(&*disk, &own.join("instance"), &random_bytes(&*random))?,
        };
        let metrics = Metrics::register(&registry)?;
        let (hasher, ids) = (EventHasher::new(&*random), UuidSequence::new(&*random));
        let mut window = Window::new(config.dedupe.entries, config.dedupe.age);
        let now = clock.now();

        let appender = |family: Family, found: Found| {
            let counters_file = counters_file(&own, family);
            let parts = AppenderParts {
                disk: Arc::clone(&disk),
                family,
                directory: family.directory(&data_dir),
                counters_file,
                durability: config.durability,
                rotation: Rotation { bytes: config.segment_bytes.get(), age: config.segment_age },
                instance: Arc::clone(&instance),
            };
            Appender::new(parts, found.counters, found.latest)
        };
        let mut find = |family: Family| {
            let directory = family.directory(&data_dir);
            mend(&*disk, &data_dir, family)
                .and_then(|mended| {
                    told(family, mended);
                    metrics.cut_bytes.inc_by(mended.cut_bytes);
                    let past = match family {
                        Family::Events => (config.dedupe.entries, now.minus(config.dedupe.age)),
                        Family::Dead => (0, now),
                    };
                    find(&data_dir, &own, family, |files| remember(files, &hasher, &mut window, past))
                })
                .map_err(OpenError::at(directory))
        };
        let events = appender(Family::Events, find(Family::Events)?);
        let dead = appender(Family::Dead, find(Family::Dead)?);

        let backlog = Backlog::new(config.commit_bytes.get(), config.ack_timeout);
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(config.queue_bytes.get(), backlog, window)),
            config,
            clock,
            random,
            ids,
            hasher,
            metrics,
            wake: Condvar::new(),
            ended: watch::Sender::new(false),
            #[cfg(test)]
            rounds: watch::Sender::new(0),
        });
        let committer = Committer {
            shared: Arc::clone(&shared),
            disk,
            data_dir: data_dir.clone(),
            events,
            dead,
            _lock: lock,
            buffer: Vec::new(),
            dead_buffer: Vec::new(),
            last_pushes: 0,
            is_failing: false,
            is_stuck: false,
            has_told_full: false,
            looked_at: None,
            deleted_at: None,
        };
        let writer = thread::Builder::new().name("ingest-writer".to_owned());
        writer.spawn(move || committer.run()).map_err(OpenError::at(data_dir))?;
        Ok(Self(Arc::new(Owner(shared))))
    }
}

/// Two processes that write one directory would cut each other's segments. The operating system gives the lock back when
/// the process ends, however it ends.
fn lock(own: &Path) -> Result<File, OpenError> {
    let path = own.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(OpenError::at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { directory: own.to_owned() }),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { path, source }),
    }
}

/// The name that was made for this instance at its first start.
fn own_instance(disk: &dyn crate::disk::Disk, path: &Path, random: &[u8; 4]) -> Result<Arc<str>, OpenError> {
    match fs::read_to_string(path) {
        Ok(kept) if is_instance(kept.trim()) => Ok(kept.trim().into()),
        Ok(_) => Err(OpenError::Instance { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = format!("{:08x}", u32::from_be_bytes(*random));
            replace(disk, path, made.as_bytes()).map_err(OpenError::at(path))?;
            Ok(made.into())
        }
        Err(error) => Err(OpenError::at(path)(error)),
    }
}

/// Where the next segment and line are.
struct Found {
    counters: Counters,
    /// When the newest segment was begun.
    latest: Timestamp,
}

fn counters_file(own: &Path, family: Family) -> std::path::PathBuf {
    own.join(match family {
        Family::Events => "segments.json",
        Family::Dead => "segments-dead.json",
    })
}

/// The larger of what was kept and what the segments say: either may be lost alone.
fn find(
    data_dir: &Path,
    own: &Path,
    family: Family,
    remember: impl FnOnce(&[crate::SegmentFile]) -> io::Result<Option<u64>>,
) -> io::Result<Found> {
    let files = segments(&family.directory(data_dir), family)?;
    let kept = fs::read(counters_file(own, family)).ok().and_then(|kept| serde_json::from_slice(&kept).ok());
    let kept: Counters = kept.unwrap_or_default();
    let next_number = files.iter().map(|file| file.name.number() + 1).max().unwrap_or(0).max(kept.next_number);
    let next_seq = remember(&files)?.map_or(0, |last| last + 1).max(kept.next_seq);
    let latest = files.last().map(|file| file.name.begun_at()).unwrap_or_default();
    Ok(Found { counters: Counters { next_number, next_seq }, latest })
}

fn told(family: Family, mended: Mended) {
    if mended != Mended::default() {
        let Mended { segments, cut_bytes } = mended;
        tracing::info!(?family, segments, cut_bytes, "completed the segments that were left open");
    }
}
