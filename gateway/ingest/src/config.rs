//! The `[ingest]` section.

use std::{
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    time::Duration,
};

use common::config::{Invalid, Section};
use serde::{Deserialize, Serialize};

/// The longest name of an instance, in bytes: it is a part of file names.
const INSTANCE_MAX: usize = 40;

/// What a line has beside its event, at most: names, identifiers, numbers and the checksum.
pub(crate) const LINE_OVERHEAD: u64 = 1024;

/// What must have happened to an event before it is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// It is on the disk: it survives a power failure.
    #[default]
    Fsync,
    /// The operating system has it: it survives the end of the process, however sudden, and not that of the machine.
    PageCache,
}

/// The store of partner events: what is acknowledged when, and what may wait, lie and be seen again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IngestConfig {
    /// What must have happened before an event is acknowledged: `fsync` or `page-cache`.
    pub durability: Durability,

    /// The name of this process in the names of its files, so that files of many can lie in one place: 1 to 40 of
    /// `a-z 0-9 -`. Absent: a random one, made once and kept beside the segments.
    pub instance: Option<String>,

    /// How long a write waits for company at most, when the write before it had several pushes. A push that comes alone is
    /// written at once. Protects disks from a write per event; more makes partners wait. At most 50ms.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,

    /// Bytes that are written and made durable together. A single larger push is still written as a whole.
    pub commit_bytes: NonZeroU64,

    /// Memory for events that wait for the disk, in bytes. Beyond it pushes are refused with a time to come back. On a slow
    /// disk less is used: what takes longer than half of `ack_timeout` to write.
    pub queue_bytes: NonZeroU64,

    /// How long a push waits until it is durable. Beyond it the partner is told to come again, though its events may
    /// still be stored: those with an `event_id` are then recognised.
    #[serde(with = "humantime_serde")]
    pub ack_timeout: Duration,

    /// A segment is completed when it has grown to this many bytes. What ships them sees complete ones only.
    pub segment_bytes: NonZeroU64,

    /// A segment is completed this long after its first event, however small it is.
    #[serde(with = "humantime_serde")]
    pub segment_age: Duration,

    /// Below so many free bytes on the disk pushes are refused until there is more. Protects what else lies there, and
    /// leaves room to complete what was begun.
    pub free_bytes_min: u64,

    /// What one push may hold.
    pub limits: LimitsConfig,

    /// How long an event is remembered, so that it is not stored twice.
    pub dedupe: DedupeConfig,

    /// When complete segments are deleted.
    pub retention: RetentionConfig,

    /// What is kept of events that could not be taken.
    pub dead: DeadConfig,
}

/// What one push may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Bytes of a push that came as gzip, before it is inflated.
    pub compressed_bytes_max: NonZeroUsize,
    /// Bytes of a push that came as gzip, once it is inflated. Protects memory from bodies that are small only on the wire.
    pub inflated_bytes_max: NonZeroUsize,
    /// How many times its size a gzip body may become. What partners send becomes 5 to 20 times its size. The first 64 KiB are free.
    pub inflate_ratio_max: NonZeroU32,
    /// Events in one push. Beyond it the push is refused as a whole.
    pub events_max: NonZeroUsize,
    /// Bytes of one event without its insignificant space, at most 4 MiB. A larger one is refused and the others are taken.
    pub event_bytes_max: NonZeroUsize,
    /// How deep arrays and objects of one event may be nested, at most 128. Protects whoever parses them later.
    pub depth_max: NonZeroU32,
}

/// How long an event is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DedupeConfig {
    /// Events that are remembered, about 31 bytes each. Beyond it the oldest are forgotten. 0 remembers nothing.
    pub entries: u32,
    /// How long an event is remembered.
    #[serde(with = "humantime_serde")]
    pub age: Duration,
}

/// When complete segments are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionConfig {
    /// A complete segment is deleted this long after it was begun, unless a shipper keeps a checkpoint and has not come
    /// so far. Events of deleted segments are not recognised after a restart.
    #[serde(with = "humantime_serde")]
    pub keep_for: Duration,
    /// Below so many free bytes on the disk the oldest complete segments are deleted before their time, never those that
    /// a shipper with a checkpoint has still to ship. Absent: new events are refused rather than old ones deleted.
    pub evict_below_free_bytes: Option<NonZeroU64>,
}

/// What is kept of events that could not be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeadConfig {
    /// Bytes that are kept of one event; what is longer is cut off.
    pub raw_bytes_max: NonZeroUsize,
    /// How long they are kept.
    #[serde(with = "humantime_serde")]
    pub keep_for: Duration,
    /// Bytes of all of them together. Beyond it the oldest files are deleted: nobody fills the disk with nonsense.
    pub total_bytes_max: NonZeroU64,
}

const fn bytes(count: u64) -> NonZeroU64 {
    NonZeroU64::MIN.saturating_add(count - 1)
}

const fn size(count: usize) -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(count - 1)
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            durability: Durability::Fsync,
            instance: None,
            linger: Duration::from_millis(5),
            commit_bytes: bytes(256 << 10),
            queue_bytes: bytes(64 << 20),
            ack_timeout: Duration::from_secs(5),
            segment_bytes: bytes(64 << 20),
            segment_age: Duration::from_secs(60),
            free_bytes_min: 256 << 20,
            limits: LimitsConfig::default(),
            dedupe: DedupeConfig::default(),
            retention: RetentionConfig::default(),
            dead: DeadConfig::default(),
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            compressed_bytes_max: size(4 << 20),
            inflated_bytes_max: size(16 << 20),
            inflate_ratio_max: NonZeroU32::MIN.saturating_add(99),
            events_max: size(10_000),
            event_bytes_max: size(256 << 10),
            depth_max: NonZeroU32::MIN.saturating_add(63),
        }
    }
}

impl Default for DedupeConfig {
    fn default() -> Self {
        Self { entries: 1_000_000, age: Duration::from_secs(24 * 3600) }
    }
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { keep_for: Duration::from_secs(7 * 24 * 3600), evict_below_free_bytes: None }
    }
}

impl Default for DeadConfig {
    fn default() -> Self {
        Self {
            raw_bytes_max: size(4096),
            keep_for: Duration::from_secs(7 * 24 * 3600),
            total_bytes_max: bytes(256 << 20),
        }
    }
}

impl Section for IngestConfig {
    const NAME: &'static str = "ingest";

    fn validate(&self) -> Result<(), Invalid> {
        for (key, value) in [
            ("ack_timeout", self.ack_timeout),
            ("segment_age", self.segment_age),
            ("dedupe.age", self.dedupe.age),
            ("retention.keep_for", self.retention.keep_for),
            ("dead.keep_for", self.dead.keep_for),
        ] {
            if value < Duration::from_millis(1) {
                return Err(Invalid::new(key, "must be at least 1ms"));
            }
        }
        if self.linger > Duration::from_millis(50) {
            return Err(Invalid::new("linger", "must be at most 50ms: it is added to what a push takes"));
        }
        if let Some(instance) = &self.instance
            && !is_instance(instance)
        {
            return Err(Invalid::new("instance", "must be 1 to 40 lower-case letters, digits and hyphens"));
        }
        self.limits.validate()?;
        if self.dedupe.entries > 1 << 30 {
            return Err(Invalid::new("dedupe.entries", "must be at most 1073741824"));
        }
        if self.dead.raw_bytes_max.get() > 1 << 20 {
            return Err(Invalid::new("dead.raw_bytes_max", "must be at most 1048576"));
        }
        if self.segment_bytes.get() < 64 << 10 {
            return Err(Invalid::new("segment_bytes", "must be at least 65536"));
        }
        if self.queue_bytes.get() < self.largest_push() {
            let reason = format!(
                "must be at least {}: limits.inflated_bytes_max and {LINE_OVERHEAD} for each of limits.events_max",
                self.largest_push()
            );
            return Err(Invalid::new("queue_bytes", reason));
        }
        if self.retention.evict_below_free_bytes.is_some_and(|free| free.get() <= self.free_bytes_min) {
            let reason = "must be more than free_bytes_min, or events are refused before old ones are deleted";
            return Err(Invalid::new("retention.evict_below_free_bytes", reason));
        }
        Ok(())
    }
}

impl IngestConfig {
    /// What a push of the largest size takes of the queue.
    fn largest_push(&self) -> u64 {
        let events = u64::try_from(self.limits.events_max.get()).unwrap_or(u64::MAX);
        let inflated = u64::try_from(self.limits.inflated_bytes_max.get()).unwrap_or(u64::MAX);
        inflated.saturating_add(events.saturating_mul(LINE_OVERHEAD))
    }
}

impl LimitsConfig {
    fn validate(&self) -> Result<(), Invalid> {
        if self.event_bytes_max.get() > 4 << 20 {
            return Err(Invalid::new("limits.event_bytes_max", "must be at most 4194304"));
        }
        if self.depth_max.get() > 128 {
            return Err(Invalid::new("limits.depth_max", "must be at most 128: many parsers go no deeper"));
        }
        if self.inflated_bytes_max.get() > 256 << 20 {
            return Err(Invalid::new("limits.inflated_bytes_max", "must be at most 268435456"));
        }
        Ok(())
    }
}

/// Whether `name` can be a part of a segment's name.
pub(crate) fn is_instance(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=INSTANCE_MAX).contains(&name.len()) && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_lose_refuse_or_hold_up_everything_is_refused_by_its_key() {
        assert_eq!(IngestConfig::default().validate(), Ok(()));
        let check = |change: fn(&mut IngestConfig), key: &str| {
            let mut config = IngestConfig::default();
            change(&mut config);
            assert_eq!(config.validate().map_err(|invalid| invalid.key), Err(key.to_owned()));
        };
        check(|config| config.ack_timeout = Duration::ZERO, "ack_timeout");
        check(|config| config.segment_age = Duration::ZERO, "segment_age");
        check(|config| config.dedupe.age = Duration::ZERO, "dedupe.age");
        check(|config| config.linger = Duration::from_millis(51), "linger");
        check(|config| config.instance = Some("Gate/1".to_owned()), "instance");
        check(|config| config.instance = Some(String::new()), "instance");
        check(|config| config.limits.event_bytes_max = size((4 << 20) + 1), "limits.event_bytes_max");
        check(|config| config.limits.depth_max = NonZeroU32::MIN.saturating_add(128), "limits.depth_max");
        check(|config| config.limits.inflated_bytes_max = size((256 << 20) + 1), "limits.inflated_bytes_max");
        check(|config| config.dedupe.entries = u32::MAX, "dedupe.entries");
        check(|config| config.dead.raw_bytes_max = size(2 << 20), "dead.raw_bytes_max");
        check(|config| config.segment_bytes = bytes(1), "segment_bytes");
        check(|config| config.queue_bytes = bytes(20 << 20), "queue_bytes");
        check(|config| config.retention.evict_below_free_bytes = Some(bytes(1)), "retention.evict_below_free_bytes");
    }
}
