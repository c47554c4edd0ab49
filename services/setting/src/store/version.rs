//! A version as it lies in the store: a document, and who published it, when and why.

use common::clock::Timestamp;
use pilota::FastStr;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

/// Bytes of a version beside its document: 500 characters of a note and 64 of an author, each of up to twelve bytes as
/// JSON, and the numbers.
pub(crate) const ENVELOPE_BYTES_MAX: usize = 8 * 1024;

/// Who published a version, when and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VersionInfo {
    /// The same number as the revision: counted per app from 1.
    pub(crate) version: i64,
    pub(crate) published_at: Timestamp,
    pub(crate) author: FastStr,
    pub(crate) note: FastStr,
    /// The version it repeats, if it was a roll-back.
    pub(crate) rolled_back_to: Option<i64>,
    /// Size of the document.
    pub(crate) bytes: usize,
}

/// An immutable version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) info: VersionInfo,
    /// The document as it was published.
    pub(crate) document: Box<str>,
}

/// What somebody wants to publish.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) document: Box<str>,
    pub(crate) author: FastStr,
    pub(crate) note: FastStr,
    pub(crate) rolled_back_to: Option<i64>,
}

/// Why an object is no version. The text is for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAVersion {
    #[error("not a version: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("it says that it is version {found}")]
    Another { found: i64 },
}

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    version: i64,
    published_at: i64,
    author: FastStr,
    note: FastStr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rolled_back_to: Option<i64>,
    #[serde(borrow)]
    document: &'a RawValue,
}

/// `current.json`.
#[derive(Serialize, Deserialize)]
struct Pointer {
    revision: i64,
}

impl Version {
    /// Reads the object of version `version`.
    pub(crate) fn parse(version: i64, bytes: &[u8]) -> Result<Self, NotAVersion> {
        let stored: Stored<'_> = serde_json::from_slice(bytes)?;
        if stored.version != version {
            return Err(NotAVersion::Another { found: stored.version });
        }
        let document = stored.document.get();
        let info = VersionInfo {
            version,
            published_at: Timestamp::from_millis(stored.published_at),
            author: stored.author,
            note: stored.note,
            rolled_back_to: stored.rolled_back_to,
            bytes: document.len(),
        };
        Ok(Self { info, document: document.into() })
    }

    /// As it lies in the store. An error means that the document is no JSON.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let VersionInfo { version, published_at, author, note, rolled_back_to, .. } = &self.info;
        serde_json::to_vec(&Stored {
            version: *version,
            published_at: published_at.as_millis(),
            author: author.clone(),
            note: note.clone(),
            rolled_back_to: *rolled_back_to,
            document: serde_json::from_str(&self.document)?,
        })
    }

    /// Whether both publish the same document, however it is written and whoever did.
    pub(crate) fn has_document(&self, other: &str) -> bool {
        *self.document == *other
            || match (serde_json::from_str::<Value>(&self.document), serde_json::from_str::<Value>(other)) {
                (Ok(own), Ok(other)) => own == other,
                _ => false,
            }
    }
}

impl Draft {
    /// The version that it becomes.
    pub(crate) fn version(&self, version: i64, published_at: Timestamp) -> Version {
        let Self { document, author, note, rolled_back_to } = self.clone();
        let info = VersionInfo { version, published_at, author, note, rolled_back_to, bytes: document.len() };
        Version { info, document }
    }
}

/// Reads `current.json`: the revision it names. `None` if it is broken.
pub(crate) fn parse_pointer(bytes: &[u8]) -> Option<i64> {
    let Pointer { revision } = serde_json::from_slice(bytes).ok()?;
    (1..1 << 53).contains(&revision).then_some(revision)
}

/// `current.json`, naming a revision.
pub(crate) fn pointer_to(revision: i64) -> Vec<u8> {
    format!("{{\"revision\":{revision}}}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(document: &str) -> Draft {
        Draft {
            document: document.into(),
            author: FastStr::from_static_str("ann"),
            note: FastStr::from_static_str("why \"not\"\n"),
            rolled_back_to: None,
        }
    }

    #[test]
    fn a_version_is_read_as_it_was_written_and_its_document_keeps_its_form() {
        let document = "{ \"settings\": {} ,\n \"b\": 1.0 }";
        for rolled_back_to in [None, Some(3)] {
            let version =
                Draft { rolled_back_to, ..draft(document) }.version(7, Timestamp::from_millis(1_790_000_000_000));
            let bytes = version.to_bytes().expect("is JSON");
            assert_eq!(Version::parse(7, &bytes).expect("a version"), version);
            assert_eq!(version.info.bytes, document.len());
        }
    }

    #[test]
    fn what_is_no_version_or_another_one_is_refused() {
        let good = draft("{}").version(7, Timestamp::from_millis(1)).to_bytes().expect("is JSON");
        assert!(matches!(Version::parse(8, &good), Err(NotAVersion::Another { found: 7 })));
        for bad in [&good[..good.len() - 1], b"", b"{}", b"null", b"\xff"] {
            assert!(matches!(Version::parse(7, bad), Err(NotAVersion::Malformed(_))), "{bad:?}");
        }
        assert!(draft("{").version(7, Timestamp::from_millis(1)).to_bytes().is_err());
    }

    #[test]
    fn the_longest_envelope_stays_below_its_limit() {
        let text = |count| FastStr::from("\u{10ffff}\"\\".repeat(count));
        let longest = Draft { author: text(32), note: text(250), rolled_back_to: Some(1 << 52), ..draft("{}") };
        let bytes = longest.version(1 << 52, Timestamp::from_millis(i64::MAX)).to_bytes().expect("is JSON");
        assert!(bytes.len() < ENVELOPE_BYTES_MAX, "{}", bytes.len());
    }

    #[test]
    fn documents_are_compared_by_what_they_say() {
        let version = draft(r#"{"a": 1, "b": [2]}"#).version(1, Timestamp::from_millis(1));
        assert!(version.has_document(r#"{"b":[2],"a":1}"#));
        for other in [r#"{"b":[2],"a":1.0}"#, r#"{"a":1}"#, ""] {
            assert!(!version.has_document(other), "{other}");
        }
    }

    #[test]
    fn a_pointer_names_a_revision_or_is_broken() {
        assert_eq!(parse_pointer(&pointer_to(12)), Some(12));
        for broken in ["", "{", "{}", r#"{"revision":0}"#, r#"{"revision":-1}"#, r#"{"revision":9007199254740992}"#] {
            assert_eq!(parse_pointer(broken.as_bytes()), None, "{broken}");
        }
    }
}
