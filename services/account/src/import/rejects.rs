//! The file that names the lines that were refused: their numbers and why, never what stood in them.

use std::{
    io::{self, SeekFrom},
    path::{Path, PathBuf},
};

use serde::Serialize;
use tokio::{
    fs::{File, OpenOptions, remove_file},
    io::{AsyncSeekExt, AsyncWriteExt},
};

use super::record::Refusal;

/// Made when there is something to write.
#[derive(Debug)]
pub(super) struct Rejects {
    path: PathBuf,
    file: Option<File>,
}

#[derive(Serialize)]
struct Reject<'r> {
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
    reason: &'r str,
}

impl Rejects {
    /// An import that begins, with nothing `written` yet, takes the file of an earlier one away.
    pub(super) async fn open(path: &Path, written: u64) -> io::Result<Self> {
        if written == 0 {
            match remove_file(path).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(Self { path: path.to_owned(), file: None })
    }

    /// Writes behind the first `keep` bytes; what stands there is from a batch that was not committed. If somebody has
    /// taken the file or a part of it away, it goes on at its end. Answers the length then. When it returns, what was written survives a crash.
    pub(super) async fn write(&mut self, keep: u64, refused: &[(u64, Refusal)]) -> io::Result<u64> {
        if refused.is_empty() {
            return Ok(keep);
        }
        let mut text = Vec::new();
        for (line, refusal) in refused {
            let reason = refusal.to_string();
            serde_json::to_writer(&mut text, &Reject { line: *line, field: refusal.field(), reason: &reason })?;
            text.push(b'\n');
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                self.file.insert(OpenOptions::new().create(true).truncate(false).write(true).open(&self.path).await?)
            }
        };
        let keep = keep.min(file.metadata().await?.len());
        file.set_len(keep).await?;
        file.seek(SeekFrom::Start(keep)).await?;
        file.write_all(&text).await?;
        file.flush().await?;
        file.sync_data().await?;
        Ok(keep + text.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_was_taken_away_is_not_filled_up_with_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("rejects.ndjson");
        let mut rejects = Rejects::open(&path, 4000).await.expect("opened");
        let length = rejects.write(4000, &[(1, Refusal::NotJson)]).await.expect("written");
        let text = std::fs::read_to_string(&path).expect("read");
        assert_eq!(text, "{\"line\":1,\"reason\":\"not a JSON object\"}\n");
        assert_eq!(length, text.len() as u64);
    }

    #[tokio::test]
    async fn what_was_not_committed_is_written_over_and_an_old_file_goes() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("rejects.ndjson");
        std::fs::write(&path, "of an earlier import\n").expect("written");
        let mut rejects = Rejects::open(&path, 0).await.expect("opened");
        assert!(!path.exists());
        assert_eq!(rejects.write(0, &[]).await.expect("nothing to write"), 0);
        assert!(!path.exists());
        let kept = rejects.write(0, &[(1, Refusal::NotJson)]).await.expect("written");
        rejects.write(kept, &[(2, Refusal::NotJson), (3, Refusal::NotJson)]).await.expect("written");

        let mut resumed = Rejects::open(&path, kept).await.expect("opened");
        resumed.write(kept, &[(4, Refusal::NothingToSignInWith)]).await.expect("written");
        let text = std::fs::read_to_string(&path).expect("read");
        assert_eq!(
            text,
            "{\"line\":1,\"reason\":\"not a JSON object\"}\n\
             {\"line\":4,\"reason\":\"nothing to sign in with: neither a username with a password hash nor a \
             phone, a device or a channel\"}\n"
        );
    }
}
