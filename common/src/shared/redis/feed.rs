//! [`RedisFeed`]: feeds on Redis streams. Needs nothing newer than Redis 5.

use std::{fmt, num::NonZeroUsize, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use redis::{
    ErrorKind, RedisResult,
    streams::{StreamId, StreamRangeReply, StreamReadReply},
};

use super::{
    connection::{Connection, Limits, pause},
    link::Link,
    metrics::{Following, Metrics},
    scripts,
    target::Target,
};
use crate::{
    clock::SharedRandom,
    shared::{Feed, FeedEntry, FeedPosition, Followed, Follower, SharedError},
};

/// How long the server holds a follower's question back while there is nothing new. An answer that comes later than
/// this means that the connection is dead.
const HELD_BACK: Duration = Duration::from_millis(500);

/// Entries that one answer holds at most: bounds a follower's memory while it catches up.
const ENTRIES_AT_ONCE: usize = 500;

/// Streams that all replicas share. They are gone when the server loses its data, and every follower is told.
#[derive(Clone)]
pub struct RedisFeed {
    link: Link,
    opener: Opener,
    bound: NonZeroUsize,
}

/// How followers get connections of their own: one that waits for entries can't be shared.
#[derive(Clone)]
pub(super) struct Opener {
    pub(super) target: Target,
    pub(super) limits: Limits,
    pub(super) prefix: String,
    pub(super) reconnect_every: Duration,
    pub(super) random: SharedRandom,
    pub(super) metrics: Metrics,
}

struct RedisFollower {
    opener: Opener,
    key: String,
    /// `None` while there is nothing that could be read without a gap.
    reading: Option<Reading>,
}

struct Reading {
    connection: Connection,
    last: Option<FeedPosition>,
    _counted: Following,
}

impl RedisFeed {
    pub(super) fn new(link: Link, opener: Opener, bound: NonZeroUsize) -> Self {
        Self { link, opener, bound }
    }
}

impl Feed for RedisFeed {
    fn append<'a>(&'a self, stream: &'a str, entry: &'a [u8]) -> BoxFuture<'a, Result<FeedPosition, SharedError>> {
        let mut script = scripts::APPEND.key(self.opener.key(stream));
        script.arg(self.bound.get()).arg(entry);
        Box::pin(self.link.ask("APPEND", |mut connection| async move {
            let id: String = script.invoke_async(&mut connection).await?;
            position(&id)
        }))
    }

    fn follow(&self, stream: &str) -> Box<dyn Follower> {
        Box::new(RedisFollower { key: self.opener.key(stream), opener: self.opener.clone(), reading: None })
    }
}

impl Follower for RedisFollower {
    fn next(&mut self) -> BoxFuture<'_, Followed> {
        Box::pin(async move {
            loop {
                let Some(reading) = &mut self.reading else {
                    self.reading = Some(self.begin().await);
                    self.opener.metrics.feed_gaps.inc();
                    return Followed::Gap;
                };
                match reading.read(&self.key).await {
                    Ok(entries) if entries.is_empty() => {}
                    Ok(entries) if reading.accept(&entries) => return Followed::Entries(entries),
                    // A gap, or a connection that is no more. What the server would say after it came back is not
                    // worth asking: it may have lost entries and counted on.
                    Ok(_) | Err(_) => self.reading = None,
                }
            }
        })
    }
}

impl RedisFollower {
    /// Connects and finds the end of the stream, however long it takes.
    async fn begin(&self) -> Reading {
        let Opener { target, limits, reconnect_every, random, metrics, .. } = &self.opener;
        loop {
            let begun = async {
                let mut connection = target.connect(limits.waiting(HELD_BACK)).await?;
                let last = end_of(&self.key, &mut connection).await?;
                Ok::<_, redis::RedisError>(Reading { connection, last, _counted: metrics.following() })
            };
            match begun.await {
                Ok(reading) => return reading,
                // Not logged here: the shared connection has the same trouble and says so.
                Err(_) => pause(*reconnect_every, &**random).await,
            }
        }
    }
}

impl Reading {
    /// What comes after the last entry; nothing if nothing came for a while.
    async fn read(&mut self, key: &str) -> RedisResult<Vec<FeedEntry>> {
        let after = self.last.map_or_else(|| "0-0".to_owned(), |last| format!("{}-{}", last.life, last.number));
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(ENTRIES_AT_ONCE).arg("BLOCK").arg(milliseconds(HELD_BACK));
        command.arg("STREAMS").arg(key).arg(after);
        let answer: Option<StreamReadReply> = command.query_async(&mut self.connection).await?;
        let streams = answer.map(|reply| reply.keys).unwrap_or_default();
        streams.iter().flat_map(|stream| &stream.ids).map(entry).collect()
    }

    /// Takes note of the entries, unless there is a gap before or between them.
    fn accept(&mut self, entries: &[FeedEntry]) -> bool {
        let mut last = self.last;
        for FeedEntry { position, .. } in entries {
            if !position.is_next_after(last) {
                return false;
            }
            last = Some(*position);
        }
        self.last = last;
        true
    }
}

impl Opener {
    fn key(&self, stream: &str) -> String {
        format!("{}feed:{stream}", self.prefix)
    }
}

impl fmt::Debug for RedisFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisFeed").field("bound", &self.bound).finish_non_exhaustive()
    }
}

impl fmt::Debug for RedisFollower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisFollower").field("key", &self.key).finish_non_exhaustive()
    }
}

async fn end_of(key: &str, connection: &mut Connection) -> RedisResult<Option<FeedPosition>> {
    let mut command = redis::cmd("XREVRANGE");
    command.arg(key).arg("+").arg("-").arg("COUNT").arg(1);
    let newest: StreamRangeReply = command.query_async(connection).await?;
    newest.ids.first().map(|newest| position(&newest.id)).transpose()
}

fn entry(read: &StreamId) -> RedisResult<FeedEntry> {
    let payload: Vec<u8> = read.get("payload").ok_or((ErrorKind::Parse, "an entry of a feed has no payload"))?;
    Ok(FeedEntry { position: position(&read.id)?, payload: Bytes::from(payload) })
}

fn position(id: &str) -> RedisResult<FeedPosition> {
    let parse = || {
        let (life, number) = id.split_once('-')?;
        Some(FeedPosition { life: life.parse().ok()?, number: number.parse().ok()? })
    };
    Ok(parse().ok_or((ErrorKind::Parse, "the id of an entry is not of the form LIFE-NUMBER"))?)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
