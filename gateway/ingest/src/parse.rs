//! What partners send, made into [`Events`]: pure functions from bytes to values.
//!
//! They take about a microsecond per event. A caller on an async thread runs them elsewhere for bodies beyond some
//! tens of KiB (`spawn_blocking`).

mod body;
mod compact;
mod event_id;
mod form;
mod gzip;

pub use self::{
    body::json_or_ndjson,
    form::form,
    gzip::{InflateError, inflate_gzip},
};
use std::{fmt, ops::Range};

/// Why a body as a whole is no push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// There is no event in it.
    #[error("there is no event in the body")]
    Empty,
    /// More events than `limits.events_max`.
    #[error("more than {max} events in one push")]
    TooManyEvents {
        /// How many there may be.
        max: usize,
    },
    /// Neither JSON nor NDJSON.
    #[error("malformed at line {line}, column {column}")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in bytes; 0 when it is the line as a whole.
        column: usize,
    },
}

/// Why one event was not taken. The others of its push are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Not JSON.
    Malformed,
    /// JSON, and not an object.
    NotAnObject,
    /// More bytes than `limits.event_bytes_max`.
    TooLarge,
    /// Nested deeper than `limits.depth_max`.
    TooDeep,
    /// `event_id` is neither text of 1 to 128 visible ASCII characters nor an integer of 64 bits, or is there twice.
    EventId,
}

impl Refusal {
    /// All there are.
    pub const ALL: [Self; 5] = [Self::Malformed, Self::NotAnObject, Self::TooLarge, Self::TooDeep, Self::EventId];

    /// As it is told to partners, written into dead letters, and a label of metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NotAnObject => "not_an_object",
            Self::TooLarge => "too_large",
            Self::TooDeep => "too_deep",
            Self::EventId => "event_id",
        }
    }
}

/// The events of one push, in their order, the refused ones in their places.
#[derive(Clone, Default)]
pub struct Events {
    /// What the items point into.
    text: Vec<u8>,
    items: Vec<Item>,
}

#[derive(Clone, Debug)]
enum Item {
    Good { id: Option<Range<usize>>, json: Range<usize> },
    Bad { reason: Refusal, raw: Range<usize> },
}

/// One event of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// Can be stored.
    Good {
        /// What the partner calls it; an integer is its decimal digits.
        event_id: Option<&'a str>,
        /// The partner's JSON object in one line, without insignificant space, and otherwise as it came.
        json: &'a str,
    },
    /// Can't be stored.
    Bad {
        /// Why.
        reason: Refusal,
        /// What came, or its beginning; what is no UTF-8 is replaced.
        raw: &'a str,
    },
}

impl Events {
    /// How many there are, the refused ones included.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Bytes of memory that they take, roughly.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// All of them, in the order of the push.
    pub fn iter(&self) -> impl Iterator<Item = Parsed<'_>> {
        // All ranges are of text that was put in as UTF-8, between its characters.
        let text = |range: &Range<usize>| {
            self.text.get(range.clone()).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
        };
        self.items.iter().map(move |item| match item {
            Item::Good { id, json } => Parsed::Good { event_id: id.as_ref().map(text), json: text(json) },
            Item::Bad { reason, raw } => Parsed::Bad { reason: *reason, raw: text(raw) },
        })
    }

    fn put(&mut self, text: &str) -> Range<usize> {
        let start = self.text.len();
        self.text.extend_from_slice(text.as_bytes());
        start..self.text.len()
    }
}

impl fmt::Debug for Events {
    /// Without their contents: they belong to the partner, and to players.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("len", &self.len()).field("bytes", &self.bytes()).finish()
    }
}
