//! What a crash or a power failure left behind, mended before anything new is written.

use std::{
    fs::{self, File},
    io::{self, Seek, SeekFrom},
    path::Path,
};

use super::{
    Family,
    lines::{LineReader, Step},
    listing::{SegmentFile, segments},
};
use crate::{disk::Disk, line::Place};

/// What is in a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Bytes up to the end of the last push that is there wholly.
    pub(crate) whole_bytes: u64,
    /// Lines up to there.
    pub(crate) whole_lines: u64,
    /// The place of the last of those lines.
    pub(crate) last_seq: Option<u64>,
    /// Whether an undamaged line follows a damaged one: that is no torn end.
    pub(crate) damaged_inside: bool,
}

/// Looks for the end of what can be trusted: every line undamaged, every push complete. `each` sees all undamaged lines up to
/// the first damaged one.
pub(crate) fn scan(path: &Path, mut each: impl FnMut(&[u8])) -> io::Result<Scan> {
    let mut reader = LineReader::new(File::open(path)?, 0);
    let mut scan = Scan::default();
    let (mut lines, mut damaged) = (0, false);
    loop {
        let place = match reader.next()? {
            Step::End(_) | Step::TooLong => return Ok(scan),
            Step::Line(line) => {
                let place = Place::of(line);
                if place.is_ok() && !damaged {
                    each(line);
                }
                place
            }
        };
        match place {
            Ok(_) if damaged => {
                scan.damaged_inside = true;
                return Ok(scan);
            }
            Ok(place) => {
                lines += 1;
                if place.more == 0 {
                    scan = Scan { whole_bytes: reader.offset(), whole_lines: lines, last_seq: Some(place.seq), ..scan };
                }
            }
            Err(_) => damaged = true,
        }
    }
}

/// What was done to the segments that were left open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mended {
    /// Segments that were completed.
    pub(crate) segments: u64,
    /// Bytes that were cut off.
    pub(crate) cut_bytes: u64,
}

/// Completes the segments that were left open. What follows the last complete push is cut off: it was never acknowledged.
/// Should undamaged lines follow damaged ones, a disk has lost something it had promised to keep; what follows the damage is
/// then put aside in a file `*.torn` among the dead letters, for somebody to look at.
pub(crate) fn mend(disk: &dyn Disk, data_dir: &Path, family: Family) -> io::Result<Mended> {
    let directory = family.directory(data_dir);
    let mut mended = Mended::default();
    for file in segments(&directory, family)?.into_iter().filter(|file| !file.is_complete) {
        let found = scan(&file.path, |_line| {})?;
        mended.cut_bytes += file.bytes.saturating_sub(found.whole_bytes);
        if found.damaged_inside {
            put_aside(disk, data_dir, &file, found.whole_bytes)?;
        }
        complete(disk, &directory, family, &file, found)?;
        mended.segments += u64::from(found.whole_lines > 0);
    }
    disk.sync_directory(&directory)?;
    Ok(mended)
}

fn complete(disk: &dyn Disk, directory: &Path, family: Family, file: &SegmentFile, found: Scan) -> io::Result<()> {
    if found.whole_lines == 0 {
        return disk.remove(&file.path);
    }
    let mut open = disk.open(&file.path)?;
    if file.bytes > found.whole_bytes {
        open.truncate(found.whole_bytes)?;
    }
    open.sync()?;
    disk.rename(&file.path, &family.complete_path(directory, &file.name))
}

fn put_aside(disk: &dyn Disk, data_dir: &Path, file: &SegmentFile, from: u64) -> io::Result<()> {
    let directory = Family::Dead.directory(data_dir);
    let path = directory.join(format!("{}.torn", file.name));
    tracing::warn!(segment = %file.name, from, "a segment is damaged inside; what follows the damage is put aside");
    let mut damaged = File::open(&file.path)?;
    damaged.seek(SeekFrom::Start(from))?;
    let mut aside = fs::File::create(&path)?;
    io::copy(&mut damaged, &mut aside)?;
    aside.sync_all()?;
    disk.sync_directory(&directory)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        disk::RealDisk,
        line::{Line, Origin, Unplaced},
        partner::PartnerName,
    };

    const NAME: &str = "20260101T000000.000Z-0000000001-a";

    /// A segment of pushes of so many lines, and where each push ends.
    fn segment(pushes: &[u8]) -> (Vec<u8>, Vec<usize>) {
        let partner = PartnerName::parse("ads").unwrap();
        let (mut bytes, mut ends, mut seq) = (Vec::new(), Vec::new(), 0);
        for lines in pushes {
            let mut push = Unplaced::default();
            for line in 0..*lines {
                let origin = Origin { partner: &partner, received_at: 1, request_id: "r" };
                push.event(origin, &format!("e{}", seq + u64::from(line)), r#"{"a":"some text"}"#);
            }
            seq += push.place(seq, &mut bytes);
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    fn mended(bytes: &[u8]) -> (tempfile::TempDir, Mended, Option<Vec<u8>>) {
        let data_dir = tempfile::tempdir().unwrap();
        for family in [Family::Events, Family::Dead] {
            fs::create_dir_all(family.directory(data_dir.path())).unwrap();
        }
        let directory = Family::Events.directory(data_dir.path());
        fs::write(directory.join(format!("{NAME}.open")), bytes).unwrap();
        let done = mend(&RealDisk, data_dir.path(), Family::Events).unwrap();
        assert!(!directory.join(format!("{NAME}.open")).exists());
        let complete = fs::read(directory.join(format!("{NAME}.ndjson"))).ok();
        (data_dir, done, complete)
    }

    /// The end of the last push that ends at `cut` or before, if there is one.
    fn whole(ends: &[usize], cut: usize) -> Option<usize> {
        ends.iter().copied().rfind(|end| *end <= cut)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_prefix_of_a_segment_recovers_to_its_complete_pushes(
            pushes in proptest::collection::vec(1..4_u8, 1..5), cut in any::<prop::sample::Index>(),
        ) {
            let (bytes, ends) = segment(&pushes);
            let cut = cut.index(bytes.len() + 1);
            let (_data_dir, done, complete) = mended(&bytes[..cut]);
            let expected = whole(&ends, cut);
            prop_assert_eq!(complete, expected.map(|end| bytes[..end].to_vec()));
            prop_assert_eq!(done.cut_bytes, u64::try_from(cut - expected.unwrap_or(0)).unwrap());
        }

        #[test]
        fn a_tail_of_zeros_or_of_anything_is_cut_off(
            pushes in proptest::collection::vec(1..4_u8, 1..5),
            cut in any::<prop::sample::Index>(),
            tail in prop_oneof![
                (1..5000_usize).prop_map(|zeros| vec![0; zeros]),
                proptest::collection::vec(any::<u8>(), 1..500),
                Just(b"{}\n{\"crc32c\":\"00000000\"}\n,\"crc32c\":\"00000000\"}\n".to_vec()),
            ],
        ) {
            let (bytes, ends) = segment(&pushes);
            let cut = cut.index(bytes.len() + 1);
            let torn = [&bytes[..cut], &tail].concat();
            // A tail that begins with what was cut off is no damage.
            prop_assume!(torn.get(cut..=cut) != bytes.get(cut..=cut));
            let (_data_dir, _done, complete) = mended(&torn);
            prop_assert_eq!(complete, whole(&ends, cut).map(|end| bytes[..end].to_vec()));
        }

        #[test]
        fn a_changed_byte_ends_what_is_trusted_and_nothing_of_it_is_thrown_away(
            pushes in proptest::collection::vec(1..4_u8, 1..5), at in any::<prop::sample::Index>(), change in 1_u8..,
        ) {
            let (mut bytes, ends) = segment(&pushes);
            let at = at.index(bytes.len());
            bytes[at] ^= change;
            let (data_dir, _done, complete) = mended(&bytes);
            let end = whole(&ends, at).unwrap_or(0);
            prop_assert_eq!(complete.unwrap_or_default(), &bytes[..end]);
            let aside = fs::read(Family::Dead.directory(data_dir.path()).join(format!("{NAME}.torn"))).ok();
            let undamaged_follow = bytes[at..].split(|byte| *byte == b'\n').skip(1).any(|line| Line::read(line).is_ok());
            prop_assert_eq!(aside, undamaged_follow.then(|| bytes[end..].to_vec()));
        }
    }
}
