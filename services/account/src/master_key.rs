//! The master key on the embedded default: made once, kept in a file that only its owner can read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use common::clock::{Random, random_bytes};

pub use crate::domain::master_key::{MasterKey, NotAMasterKey};

/// The key's file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyFileError {
    /// Reading or writing failed.
    #[error("the master key file {} can't be used", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("the master key file {} is damaged: {source}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What was expected.
        source: NotAMasterKey,
    },
}

/// The key in `path`; if there is no such file, a new key is written there first, with mode 0600.
///
/// Blocks on the file system: for the start of the process. Two processes that start at once end with one key.
pub fn load_or_create(path: &Path, random: &dyn Random) -> Result<MasterKey, MasterKeyFileError> {
    let failed = |source| MasterKeyFileError::File { path: path.to_owned(), source };
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(path, random).map_err(failed)?;
            fs::read_to_string(path).map_err(failed)?
        }
        text => text.map_err(failed)?,
    };
    MasterKey::parse(&text).map_err(|source| MasterKeyFileError::Damaged { path: path.to_owned(), source })
}

/// Writes a new key beside `path` and links it into place: nobody ever reads half a key, and whoever is second keeps
/// the first one's.
fn create(path: &Path, random: &dyn Random) -> io::Result<()> {
    let draft = path.with_extension(hex::encode(random_bytes::<8>(random)));
    let written = write_private(&draft, MasterKey::generate(random).reveal().as_bytes());
    let linked = written.and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file: File = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use common::clock::testing::SeededRandom;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_only_its_owner_can_read_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("master-key");
        let first = load_or_create(&path, &SeededRandom::new(1)).expect("made");
        let second = load_or_create(&path, &SeededRandom::new(2)).expect("read");
        assert_eq!(first.reveal(), second.reveal());
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1);
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).expect("there").permissions());
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn starts_at_the_same_moment_agree_on_one_key() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("master-key");
        let start = |seed| {
            let path = path.clone();
            std::thread::spawn(move || load_or_create(&path, &SeededRandom::new(seed)).expect("a key").reveal())
        };
        let keys: Vec<_> =
            (0..8).map(start).collect::<Vec<_>>().into_iter().map(|one| one.join().expect("ends")).collect();
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[test]
    fn a_damaged_file_is_named_and_never_replaced() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("master-key");
        fs::write(&path, "not a key").expect("written");
        let error = load_or_create(&path, &SeededRandom::new(1)).expect_err("damaged").to_string();
        assert!(error.contains("master-key") && !error.contains("not a key"), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("there"), "not a key");
    }
}
