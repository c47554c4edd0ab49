//! How much of complete segments somebody has still to read.

use std::{io, path::Path};

use common::clock::Timestamp;

use super::Position;
use crate::segment::{Family, listing::segments};

/// What is behind a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Bytes of complete segments.
    pub bytes: u64,
    /// Complete segments that have some of them.
    pub segments: u64,
    /// When the oldest of these was begun.
    pub oldest: Option<Timestamp>,
}

/// What is behind `at`, or all there is. The segment that is being written does not count: nobody ships it yet.
///
/// # Errors
/// What the operating system says.
pub fn lag(data_dir: &Path, family: Family, at: Option<&Position>) -> io::Result<Lag> {
    let mut lag = Lag::default();
    for file in segments(&family.directory(data_dir), family)?.iter().filter(|file| file.is_complete) {
        let bytes = match at {
            Some(at) if file.name < at.segment => 0,
            Some(at) if file.name == at.segment => file.bytes.saturating_sub(at.offset),
            _ => file.bytes,
        };
        if bytes > 0 {
            lag.bytes += bytes;
            lag.segments += 1;
            lag.oldest = lag.oldest.or(Some(file.name.begun_at()));
        }
    }
    Ok(lag)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn it_is_what_complete_segments_have_behind_the_place() {
        let data_dir = tempfile::tempdir().unwrap();
        let directory = data_dir.path().join("segments");
        let lag_at = |at: Option<&str>| {
            let at = at.map(|at| at.parse().unwrap());
            let Lag { bytes, segments, oldest } = lag(data_dir.path(), Family::Events, at.as_ref()).unwrap();
            (bytes, segments, oldest.map(Timestamp::as_millis))
        };
        fs::create_dir(&directory).unwrap();
        assert_eq!(lag_at(None), (0, 0, None));
        for (name, bytes) in [("19700102T000000.000Z-0000000001-a", 10), ("19700103T000000.000Z-0000000002-a", 20)] {
            fs::write(directory.join(format!("{name}.ndjson")), vec![b'x'; bytes]).unwrap();
        }
        fs::write(directory.join("19700104T000000.000Z-0000000003-a.open"), "written").unwrap();
        const DAY: i64 = 24 * 3600 * 1000;
        assert_eq!(lag_at(None), (30, 2, Some(DAY)));
        assert_eq!(lag_at(Some("19700102T000000.000Z-0000000001-a:4")), (26, 2, Some(DAY)));
        assert_eq!(lag_at(Some("19700102T000000.000Z-0000000001-a:10")), (20, 1, Some(2 * DAY)));
        assert_eq!(lag_at(Some("19700103T000000.000Z-0000000002-a:20")), (0, 0, None));
    }
}
