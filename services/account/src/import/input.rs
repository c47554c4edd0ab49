//! Where the lines come from, and what makes a file the same one.

use std::{
    io::{self, SeekFrom},
    path::Path,
    time::UNIX_EPOCH,
};

use aws_lc_rs::digest::{Context, SHA256};
use common::clock::{Random, random_bytes};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt, BufReader},
};

/// How much is read at once.
const BUFFER: usize = 256 * 1024;

/// How much of a file tells it from others of the same length and age.
const IDENTIFYING: u64 = 64 * 1024;

/// Names one import: a file and what it is imported as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ImportId(pub(crate) [u8; 32]);

/// Accounts to be read.
#[derive(Debug)]
pub(super) struct OpenInput {
    file: File,
    /// Of a pipe or the like, which can't be gone on with, it is another one each time.
    pub(super) id: ImportId,
    /// Of a file.
    pub(super) length: Option<u64>,
}

impl OpenInput {
    /// Opens a file and tells its identity: a change of the file, also within, makes it another one.
    pub(super) async fn open(path: &Path, source: &str, random: &dyn Random) -> io::Result<Self> {
        let mut file = File::open(path).await?;
        let metadata = file.metadata().await?;
        if !metadata.is_file() {
            return Ok(Self { file, id: ImportId(random_bytes(random)), length: None });
        }
        let changed_at = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut beginning = Vec::new();
        (&mut file).take(IDENTIFYING).read_to_end(&mut beginning).await?;
        let mut digest = Context::new(&SHA256);
        digest.update(source.as_bytes());
        digest.update(&[0]);
        digest.update(&metadata.len().to_be_bytes());
        digest.update(&changed_at.as_nanos().to_be_bytes());
        digest.update(&beginning);
        let mut id = [0; 32];
        id.copy_from_slice(digest.finish().as_ref());
        Ok(Self { file, id: ImportId(id), length: Some(metadata.len()) })
    }

    /// A pipe is read from where it is.
    pub(super) async fn read_from(mut self, offset: u64) -> io::Result<BufReader<File>> {
        if self.length.is_some() {
            self.file.seek(SeekFrom::Start(offset)).await?;
        }
        Ok(BufReader::with_capacity(BUFFER, self.file))
    }
}

#[cfg(test)]
mod tests {
    use common::clock::SystemRandom;

    use super::*;

    #[tokio::test]
    async fn a_file_is_the_same_until_it_or_what_it_is_imported_as_changes() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("accounts.ndjson");
        std::fs::write(&path, "one").expect("written");
        let id = async |source| OpenInput::open(&path, source, &SystemRandom).await.expect("opened").id;
        let first = id("old").await;
        assert_eq!(id("old").await, first);
        assert_ne!(id("other").await, first);
        std::fs::write(&path, "two").expect("written");
        assert_ne!(id("old").await, first);
    }
}
