//! Which segments there are.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Family, name::SegmentName};

/// A segment as it lies on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFile {
    /// Its name.
    pub name: SegmentName,
    /// Where it lies.
    pub path: PathBuf,
    /// Whether it is complete: nothing is written to it any more.
    pub is_complete: bool,
    /// Its size at the moment of the look.
    pub bytes: u64,
}

/// The segments of `directory`, the oldest first. None when there is no such directory; files with other names are not
/// looked at.
///
/// # Errors
/// What the operating system says about the directory.
pub fn segments(directory: &Path, family: Family) -> io::Result<Vec<SegmentFile>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let file_name = entry.file_name();
        let Some((name, is_complete)) = file_name.to_str().and_then(|name| segment(name, family)) else { continue };
        match entry.metadata() {
            Ok(metadata) => {
                found.push(SegmentFile { name, path: entry.path(), is_complete, bytes: metadata.len() });
            }
            // Completed or deleted since the directory was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    // The complete one first, should both be seen while one is renamed.
    found.sort_by(|one, other| (&one.name, other.is_complete).cmp(&(&other.name, one.is_complete)));
    found.dedup_by(|later, earlier| later.name == earlier.name);
    Ok(found)
}

fn segment(file_name: &str, family: Family) -> Option<(SegmentName, bool)> {
    let complete = file_name.strip_suffix(family.complete_suffix()).map(|name| (name, true));
    let (name, is_complete) =
        complete.or_else(|| file_name.strip_suffix(family.open_suffix()).map(|name| (name, false)))?;
    Some((name.parse().ok()?, is_complete))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_listed_by_age_and_nothing_else_is() {
        let directory = tempfile::tempdir().unwrap();
        let begin = |time: &str| format!("{time}.000Z-0000000001-a");
        let (old, new) = (begin("20260101T000000"), begin("20260102T000000"));
        for file in [
            format!("{new}.open"),
            format!("{old}.ndjson"),
            format!("{old}.dead.ndjson"),
            "x.ndjson".to_owned(),
            format!("{new}.torn"),
        ] {
            fs::write(directory.path().join(file), "12345").unwrap();
        }
        let list = |family| {
            let found = segments(directory.path(), family).unwrap();
            found.into_iter().map(|file| (file.name.to_string(), file.is_complete, file.bytes)).collect::<Vec<_>>()
        };
        assert_eq!(list(Family::Events), [(old.clone(), true, 5), (new, false, 5)]);
        assert_eq!(list(Family::Dead), [(old, true, 5)]);
        assert_eq!(segments(&directory.path().join("none"), Family::Events).unwrap(), []);
    }
}
