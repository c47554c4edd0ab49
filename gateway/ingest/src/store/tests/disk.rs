//! [`TestDisk`]: real files behind a disk that fails and stalls on command, and forgets what was not made durable when
//! its power goes.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard},
};

use crate::disk::{Disk, DiskFile, RealDisk};

/// Errors of Linux.
pub(super) const EIO: i32 = 5;
pub(super) const ENOSPC: i32 = 28;

#[derive(Debug, Default)]
pub(super) struct TestDisk(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    files: HashMap<PathBuf, FileState>,
    free_bytes: u64,
    /// One of so many operations fails; 0: none.
    fails_one_in: u64,
    random: fastrand::Rng,
    /// The next appends fail with this, after having written half.
    append_error: Option<i32>,
    /// The next syncs fail with this.
    sync_error: Option<i32>,
    /// Nothing works any more.
    is_dead: bool,
    /// Syncs wait.
    is_held: bool,
    /// How many syncs wait.
    held: usize,
    syncs: u64,
}

/// What a power failure would leave of a file.
#[derive(Clone, Debug, Default)]
struct FileState {
    /// The name it has after a power failure; none: it was never there.
    durable_name: Option<PathBuf>,
    synced: u64,
    /// From here on the system believes that it has written, and has not.
    lost_from: Option<u64>,
    /// What was cut off and may come back.
    cut: Vec<u8>,
}

#[derive(Debug)]
struct TestFile {
    disk: Arc<Shared>,
    path: PathBuf,
    file: Box<dyn DiskFile>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            files: HashMap::new(),
            free_bytes: 1 << 40,
            fails_one_in: 0,
            random: fastrand::Rng::with_seed(0),
            append_error: None,
            sync_error: None,
            is_dead: false,
            is_held: false,
            held: 0,
            syncs: 0,
        }
    }
}

impl State {
    /// Whether this operation works.
    fn works(&mut self) -> io::Result<()> {
        let fails = self.is_dead || (self.fails_one_in > 0 && self.random.u64(0..self.fails_one_in) == 0);
        if fails {
            return Err(io::Error::from_raw_os_error(if self.random.bool() { EIO } else { ENOSPC }));
        }
        Ok(())
    }
}

impl TestDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    pub(super) fn set_free_bytes(&self, bytes: u64) {
        self.state().free_bytes = bytes;
    }

    /// From now on one of so many operations fails.
    pub(super) fn fail_one_in(&self, operations: u64, seed: u64) {
        let mut state = self.state();
        state.fails_one_in = operations;
        state.random = fastrand::Rng::with_seed(seed);
    }

    pub(super) fn fail_appends(&self, error: Option<i32>) {
        self.state().append_error = error;
    }

    pub(super) fn fail_syncs(&self, error: Option<i32>) {
        self.state().sync_error = error;
    }

    pub(super) fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Holds syncs up until they are let go.
    pub(super) fn hold(&self) {
        self.state().is_held = true;
    }

    pub(super) fn let_go(&self) {
        self.state().is_held = false;
        self.0.changed.notify_all();
    }

    /// Waits until a sync is held up.
    pub(super) fn wait_until_held(&self) {
        let state = self.state();
        drop(self.0.changed.wait_while(state, |state| state.held == 0).unwrap());
    }

    /// The power goes: nothing works any more.
    pub(super) fn cut_power(&self) {
        self.state().is_dead = true;
    }

    /// The power comes back. What was not durable is there or not, in part, or as zeros; nobody may have the files open.
    pub(super) fn restore_power(&self) {
        let mut state = self.state();
        state.is_dead = false;
        let files = std::mem::take(&mut state.files);
        for (path, file) in files {
            if path.exists() {
                after_power_failure(&mut state.random, &path, file);
            }
        }
    }
}

fn after_power_failure(random: &mut fastrand::Rng, path: &Path, file: FileState) {
    let mut contents = fs::read(path).unwrap();
    let synced = usize::try_from(file.synced).unwrap();
    if contents.len() == synced && random.bool() {
        contents.extend_from_slice(&file.cut);
    } else if contents.len() > synced {
        let kept = random.usize(synced..=contents.len());
        match random.u8(0..3) {
            0 => contents.truncate(kept),
            1 => contents[kept..].fill(0),
            _ => contents[kept..].iter_mut().for_each(|byte| *byte = random.u8(..)),
        }
    }
    fs::write(path, contents).unwrap();
    match file.durable_name {
        None if random.bool() => fs::remove_file(path).unwrap(),
        Some(name) if name != path && random.bool() => fs::rename(path, name).unwrap(),
        _ => {}
    }
}

impl Disk for TestDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.state().works()?;
        let file = RealDisk.create(path)?;
        self.state().files.insert(path.to_owned(), FileState::default());
        Ok(Box::new(TestFile { disk: Arc::clone(&self.0), path: path.to_owned(), file }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.state().works()?;
        let file = RealDisk.open(path)?;
        let known = FileState { durable_name: Some(path.to_owned()), ..FileState::default() };
        self.state().files.entry(path.to_owned()).or_insert(known);
        Ok(Box::new(TestFile { disk: Arc::clone(&self.0), path: path.to_owned(), file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.works()?;
        RealDisk.rename(from, to)?;
        let file = state.files.remove(from).unwrap_or_default();
        state.files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.works()?;
        state.files.remove(path);
        RealDisk.remove(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.works()?;
        for (path, file) in &mut state.files {
            if path.parent() == Some(directory) {
                file.durable_name = Some(path.clone());
            }
        }
        Ok(())
    }

    fn free_bytes(&self, _directory: &Path) -> io::Result<u64> {
        Ok(self.state().free_bytes)
    }
}

impl DiskFile for TestFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.disk.state.lock().unwrap();
        let error = state.append_error.map(io::Error::from_raw_os_error).or_else(|| state.works().err());
        if let Some(error) = error {
            if !state.is_dead {
                self.file.append(&bytes[..bytes.len() / 2])?;
            }
            return Err(error);
        }
        let short = if state.fails_one_in > 0 { state.random.usize(1..=bytes.len()) } else { bytes.len() };
        self.file.append(&bytes[..short])
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.state.lock().unwrap();
        state.held += 1;
        self.disk.changed.notify_all();
        state = self.disk.changed.wait_while(state, |state| state.is_held).unwrap();
        state.held -= 1;
        state.syncs += 1;
        let error = state.sync_error.map(io::Error::from_raw_os_error).or_else(|| state.works().err());
        let length = fs::metadata(&self.path).map(|metadata| metadata.len());
        let file = state.files.entry(self.path.clone()).or_default();
        if let Some(error) = error {
            // The pages count as written from now on.
            file.lost_from.get_or_insert(file.synced);
            return Err(error);
        }
        file.synced = length?.min(file.lost_from.unwrap_or(u64::MAX));
        file.cut.clear();
        Ok(())
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state.lock().unwrap();
        state.works()?;
        let contents = fs::read(&self.path)?;
        let file = state.files.entry(self.path.clone()).or_default();
        file.cut = contents.get(usize::try_from(bytes).unwrap()..).unwrap_or_default().to_vec();
        file.synced = file.synced.min(bytes);
        if file.lost_from.is_some_and(|lost| lost >= bytes) {
            file.lost_from = None;
        }
        self.file.truncate(bytes)
    }
}
