//! Writes to a directory that nobody sees half of, and that a power cut does not undo.
//!
//! A file is written under a name of its own, flushed, and then gets its place in one step: by a link, which fails if the
//! place is taken, or by a rename, which replaces what was there. The directory is flushed afterwards.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use common::clock::{SharedRandom, random_bytes};
use tokio::task::spawn_blocking;

use super::{Creation, ObjectError};

/// What a file is called until it has its place. A process that is killed leaves one behind.
const UNFINISHED: &str = ".unfinished-";

#[derive(Clone, Debug)]
pub(super) struct Disk {
    root: Arc<Path>,
    random: SharedRandom,
}

impl Disk {
    pub(super) fn new(root: &Path, random: SharedRandom) -> Self {
        Self { root: root.into(), random }
    }

    /// Whether the directory itself exists.
    pub(super) fn is_there(&self) -> bool {
        self.root.is_dir()
    }

    pub(super) async fn create(&self, path: &str, bytes: Vec<u8>) -> Result<Creation, ObjectError> {
        let write = self.write(path, bytes);
        off_the_runtime(move || {
            let unfinished = write.unfinished()?;
            let linked = fs::hard_link(&unfinished, &write.place);
            // Not needed any more either way; one that stays only takes space.
            let _ = fs::remove_file(&unfinished);
            match linked {
                Ok(()) => write.flush_directory().map(|()| Creation::Created),
                Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => Ok(Creation::Exists),
                Err(cause) => Err(cause),
            }
        })
        .await
    }

    pub(super) async fn replace(&self, path: &str, bytes: Vec<u8>) -> Result<(), ObjectError> {
        let write = self.write(path, bytes);
        off_the_runtime(move || {
            let unfinished = write.unfinished()?;
            fs::rename(&unfinished, &write.place).inspect_err(|_| drop(fs::remove_file(&unfinished)))?;
            write.flush_directory()
        })
        .await
    }

    pub(super) async fn names(&self, directory: &str) -> Result<Vec<String>, ObjectError> {
        let (root, directory) = (Arc::clone(&self.root), self.root.join(directory));
        off_the_runtime(move || {
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                // Where the root is gone nothing is known; its own error says so.
                Err(absent) if absent.kind() == io::ErrorKind::NotFound => {
                    return fs::read_dir(&root).map(|_| Vec::new());
                }
                Err(cause) => return Err(cause),
            };
            let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
            names.filter(|name| !name.as_ref().is_ok_and(|name: &String| name.starts_with(UNFINISHED))).collect()
        })
        .await
    }

    fn write(&self, path: &str, bytes: Vec<u8>) -> Write {
        let own_name = format!("{UNFINISHED}{}", hex::encode(random_bytes::<8>(&*self.random)));
        Write { root: Arc::clone(&self.root), place: self.root.join(path), own_name, bytes }
    }
}

/// A file on its way to its place.
struct Write {
    root: Arc<Path>,
    place: PathBuf,
    own_name: String,
    bytes: Vec<u8>,
}

impl Write {
    fn directory(&self) -> &Path {
        self.place.parent().unwrap_or(&self.root)
    }

    /// Writes and flushes the file under a name of its own, in the directory where it belongs.
    fn unfinished(&self) -> io::Result<PathBuf> {
        self.make_directory()?;
        let unfinished = self.directory().join(&self.own_name);
        let mut file = File::create_new(&unfinished)?;
        let written = file.write_all(&self.bytes).and_then(|()| file.sync_all());
        written.inspect_err(|_| drop(fs::remove_file(&unfinished)))?;
        Ok(unfinished)
    }

    /// Makes what is missing of the directories below the root, but not the root: where it is gone something is wrong,
    /// such as a mount that is not there, and what is written would be lost with it.
    fn make_directory(&self) -> io::Result<()> {
        let missing = self.directory().ancestors().take_while(|above| *above != &*self.root && !above.is_dir());
        let missing: Vec<&Path> = missing.collect();
        for directory in missing.into_iter().rev() {
            match fs::create_dir(directory) {
                Err(made) if made.kind() == io::ErrorKind::AlreadyExists => (),
                made => made?,
            }
            flush(directory.parent().unwrap_or(&self.root))?;
        }
        Ok(())
    }

    fn flush_directory(&self) -> io::Result<()> {
        flush(self.directory())
    }
}

fn flush(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, ObjectError> {
    match spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(lost) => Err(ObjectError::Disk(io::Error::other(lost))),
    }
}

#[cfg(test)]
mod tests {
    use common::clock::testing::SeededRandom;
    use tempfile::TempDir;

    use super::*;

    fn disk() -> (TempDir, Disk) {
        let root = TempDir::new().expect("a temporary directory");
        let disk = Disk::new(root.path(), Arc::new(SeededRandom::new(1)));
        (root, disk)
    }

    #[tokio::test]
    async fn what_a_killed_process_left_unfinished_is_no_object_and_keeps_nobody_from_its_place() {
        let (root, disk) = disk();
        fs::create_dir_all(root.path().join("a")).expect("makes it");
        fs::write(root.path().join("a/.unfinished-00"), "half").expect("writes");
        assert_eq!(disk.names("a/").await.expect("lists"), [""; 0]);
        assert_eq!(disk.create("a/1", b"whole".to_vec()).await.expect("creates"), Creation::Created);
        assert_eq!(disk.names("a/").await.expect("lists"), ["1"]);
        assert_eq!(fs::read(root.path().join("a/1")).expect("reads"), b"whole");
    }

    #[tokio::test]
    async fn a_root_that_is_gone_is_not_made_again_by_a_write() {
        let (root, disk) = disk();
        fs::remove_dir(root.path()).expect("removes");
        assert!(disk.create("a/1", Vec::new()).await.is_err());
        assert!(disk.replace("b", Vec::new()).await.is_err());
        assert!(disk.names("a/").await.is_err());
        assert!(!root.path().exists());
    }

    #[tokio::test]
    async fn a_write_that_fails_leaves_nothing_behind() {
        let (root, disk) = disk();
        fs::create_dir_all(root.path().join("a/taken/by a directory")).expect("makes it");
        assert!(disk.replace("a/taken", b"x".to_vec()).await.is_err());
        let names = fs::read_dir(root.path().join("a")).expect("lists").count();
        assert_eq!(names, 1);
    }
}
