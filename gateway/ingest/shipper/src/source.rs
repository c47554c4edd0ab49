//! Reading segments and keeping the place in them. All of it waits for the disk, and so happens away from async threads.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use ingest::{
    Family, Progress,
    read::{Follow, Lag, Position, Stop, lag},
};

use crate::{round::Round, topic::TopicTemplate};

/// Segments of one store, and how far their destination has come.
#[derive(Clone, Debug)]
pub(crate) struct Source(Arc<Mutex<Reading>>);

#[derive(Debug)]
struct Reading {
    data_dir: PathBuf,
    topic: TopicTemplate,
    progress: Progress,
    follow: Follow,
    /// What `progress` says.
    kept: Option<Position>,
    /// Damaged lines that `follow` had passed over when it was asked last.
    skipped: u64,
}

impl Source {
    /// What was not shipped from `data_dir` yet.
    ///
    /// # Errors
    /// What the operating system says, and [`io::ErrorKind::InvalidData`] when the place that was kept is none.
    pub(crate) fn open(data_dir: PathBuf, topic: TopicTemplate, progress: Progress) -> io::Result<Self> {
        progress.begin()?;
        let kept = progress.read()?;
        let follow = Follow::new(&data_dir, Family::Events, kept.clone(), Stop::Complete);
        Ok(Self(Arc::new(Mutex::new(Reading { data_dir, topic, progress, follow, kept, skipped: 0 }))))
    }

    /// The next lines, up to about so many bytes. Without any when there are none now; a place that has moved over damaged
    /// lines only comes without any, too.
    pub(crate) async fn read(&self, bytes: usize) -> io::Result<Round> {
        self.away(move |reading| reading.read(bytes)).await
    }

    /// Everything before `at` is shipped. Durable when it answers.
    pub(crate) async fn keep(&self, at: Position) -> io::Result<()> {
        self.away(move |reading| reading.keep(at)).await
    }

    /// What is still to be shipped.
    pub(crate) async fn lag(&self) -> io::Result<Lag> {
        self.away(|reading| lag(&reading.data_dir, Family::Events, reading.kept.as_ref())).await
    }

    async fn away<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Reading) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let reading = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || {
            // Nothing here panics half-way through a change.
            work(&mut reading.lock().unwrap_or_else(PoisonError::into_inner))
        });
        done.await.map_err(io::Error::other)?
    }
}

impl Reading {
    fn read(&mut self, bytes: usize) -> io::Result<Round> {
        let (mut round, mut read) = (Round::new(), 0);
        while read < bytes {
            match self.follow.next_line() {
                Ok(Some(line)) => {
                    read += line.len();
                    round.add(line, &self.topic);
                }
                Ok(None) => break,
                // What was read goes its way; the next one to ask hears of it.
                Err(_) if read > 0 => break,
                Err(error) => return Err(error),
            }
        }
        let skipped = self.follow.skipped();
        round.damaged += skipped - std::mem::replace(&mut self.skipped, skipped);
        round.end = self.follow.position().filter(|end| self.kept.as_ref() != Some(end));
        Ok(round)
    }

    fn keep(&mut self, at: Position) -> io::Result<()> {
        self.progress.write(&at)?;
        self.kept = Some(at);
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use std::time::Duration;

    use common::clock::testing::{ManualClock, SeededRandom};
    use ingest::{Ingest, IngestConfig, Line, PartnerLimits, PartnerName, Push, parse};

    use super::*;

    /// A line as the store writes it, of an event with about so many bytes.
    pub(crate) fn line(partner: &str, seq: usize, size: usize) -> Vec<u8> {
        let checked = format!(
            r#"{{"partner":"{partner}","event_id":"e-{seq}","received_at":1796033702123,"request_id":"r-{seq}","event":{{"pad":"{}"}},"seq":{seq},"more":0"#,
            "x".repeat(size)
        );
        let line = format!(r#"{checked},"crc32c":"{:08x}"}}"#, crc32c(checked.as_bytes())).into_bytes();
        Line::read(&line).unwrap();
        line
    }

    /// CRC-32C a bit at a time.
    fn crc32c(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })
        })
    }

    /// Stores an event of each name and completes their segment.
    pub(crate) async fn store(data_dir: &std::path::Path, events: &[(&str, &str)]) {
        let parts = ingest::Parts {
            data_dir: data_dir.to_owned(),
            clock: Arc::new(ManualClock::at(common::clock::Timestamp::from_millis(1_796_033_702_123))),
            random: Arc::new(SeededRandom::new(1)),
            registry: prometheus::Registry::new(),
        };
        let config = IngestConfig { segment_age: Duration::from_secs(3600), free_bytes_min: 0, ..Default::default() };
        let limits = config.limits;
        let dead = config.dead;
        let store = Ingest::open(config, parts).unwrap();
        for (partner, event_id) in events {
            let body = format!(r#"{{"event_id":"{event_id}"}}"#);
            let push = Push {
                partner: PartnerName::parse(partner).unwrap(),
                limits: PartnerLimits::default(),
                request_id: "r".to_owned(),
                events: parse::json_or_ndjson(body.as_bytes(), &limits, &dead).unwrap(),
            };
            store.accept(push).await.unwrap();
        }
        store.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(data_dir: &std::path::Path) -> Source {
        let progress = Progress::of(data_dir, "kafka").unwrap();
        Source::open(data_dir.to_owned(), TopicTemplate::default(), progress).unwrap()
    }

    #[tokio::test]
    async fn what_was_kept_is_not_read_again_and_what_was_only_read_is() {
        let data_dir = tempfile::tempdir().unwrap();
        testing::store(data_dir.path(), &[("ads", "1"), ("ads", "2"), ("shop", "1")]).await;
        let first = source(data_dir.path());
        let behind = first.lag().await.unwrap();
        assert!(behind.bytes > 300 && behind.segments == 1 && behind.lines == Some(3), "{behind:?}");
        let one = first.read(1).await.unwrap();
        first.keep(one.end.unwrap()).await.unwrap();
        let rest = first.read(usize::MAX).await.unwrap();
        let requests = |round: &Round| round.lanes(|_| Some(1), usize::MAX).unwrap()[0].requests[0].len();
        assert_eq!(requests(&rest), 2);

        let second = source(data_dir.path());
        let rest = second.read(usize::MAX).await.unwrap();
        assert_eq!(requests(&rest), 2, "these were not kept");
        second.keep(rest.end.unwrap()).await.unwrap();
        assert_eq!(second.lag().await.unwrap(), Lag { lines: Some(0), ..Lag::default() });
        let nothing = second.read(usize::MAX).await.unwrap();
        assert!(nothing.is_empty() && nothing.end.is_none(), "{nothing:?}");
        testing::store(data_dir.path(), &[("ads", "3")]).await;
        assert_eq!(requests(&second.read(usize::MAX).await.unwrap()), 1, "and goes on with what is new");
    }

    #[tokio::test]
    async fn a_place_that_can_not_be_read_is_told_before_anything_runs() {
        let data_dir = tempfile::tempdir().unwrap();
        let progress = Progress::of(data_dir.path(), "kafka").unwrap();
        progress.begin().unwrap();
        std::fs::write(progress.path(), "torn").unwrap();
        let opened = Source::open(data_dir.path().to_owned(), TopicTemplate::default(), progress);
        assert_eq!(opened.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
