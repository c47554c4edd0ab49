//! The seam to the disk: what the writer does to files, in the terms it reasons in.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::Arc,
};

/// Files that are written, renamed and deleted. All of it blocks: only the writer's thread and whoever opens the store
/// call it.
pub(crate) trait Disk: Send + Sync + fmt::Debug + 'static {
    /// Creates a file that does not exist, for appending.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file that exists, for appending.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Renames a file; afterwards it has one name or the other, never both or none.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Deletes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes what was created, renamed and deleted in a directory durable.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;

    /// Bytes on the disk of `directory` that this process may still use.
    fn free_bytes(&self, directory: &Path) -> io::Result<u64>;
}

/// A file that is appended to.
pub(crate) trait DiskFile: Send + fmt::Debug {
    /// Appends the beginning of `bytes`; answers how much of it.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Makes what was appended durable. After a failure nobody knows what of it is.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file off. What is appended afterwards follows there.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;
}

/// A disk as it is handed around.
pub(crate) type SharedDisk = Arc<dyn Disk>;

/// Appends all of `bytes`.
pub(crate) fn append_all(file: &mut dyn DiskFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.append(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => bytes = bytes.get(taken..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Replaces a small file so that afterwards it has the old contents or the new ones, whatever happens.
pub(crate) fn replace(disk: &dyn Disk, path: &Path, contents: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    match disk.remove(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = disk.create(&new)?;
    append_all(&mut *file, contents)?;
    file.sync()?;
    disk.rename(&new, path)?;
    disk.sync_directory(path.parent().unwrap_or(path))
}

/// The machine's disk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().append(true).create_new(true).open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().append(true).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }

    fn free_bytes(&self, directory: &Path) -> io::Result<u64> {
        let found = rustix::fs::statvfs(directory)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

impl DiskFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }
}
