//! [`Progress`]: how far whoever ships lines has come with one destination.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    disk::{RealDisk, replace},
    read::Position,
};

/// How the files of all destinations begin.
const PREFIX: &str = "shipped-";

/// What stands in the file of a destination that has got nothing yet.
const NOTHING: &str = "-";

/// The longest name of a destination, in bytes: it is a part of file names.
const DESTINATION_MAX: usize = 40;

/// How far whoever ships lines has come with one destination: the place behind the last line that it has. A file,
/// `ingest/shipped-DESTINATION` in `data_dir`, with one [`Position`] in it, or `-` for nothing yet.
///
/// While it exists, no segment with a line behind it is ever deleted. [`crate::Checkpoint`] is the same for those who ship
/// whole segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    path: PathBuf,
    destination: String,
}

/// Not the name of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a destination: 1 to 40 lower-case letters, digits and hyphens")]
pub struct DestinationError;

impl Progress {
    /// That of `destination` in the store in `data_dir`.
    ///
    /// # Errors
    /// [`DestinationError`] when it can't be a part of a file's name.
    pub fn of(data_dir: &Path, destination: &str) -> Result<Self, DestinationError> {
        if !is_destination(destination) {
            return Err(DestinationError);
        }
        let path = data_dir.join("ingest").join(format!("{PREFIX}{destination}"));
        Ok(Self { path, destination: destination.to_owned() })
    }

    /// Those of every destination that is shipped to from `data_dir`, sorted by name.
    ///
    /// # Errors
    /// What the operating system says. That there is no such directory is none: then nobody ships.
    pub fn all(data_dir: &Path) -> io::Result<Vec<Self>> {
        let entries = match fs::read_dir(data_dir.join("ingest")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let destination = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
            found.extend(destination.and_then(|destination| Self::of(data_dir, destination).ok()));
        }
        found.sort_by(|one, other| one.destination.cmp(&other.destination));
        Ok(found)
    }

    /// The destination's name.
    pub fn destination(&self) -> &str {
        &self.destination
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps what is there now and what comes, unless that was begun before. To be called before the store is opened:
    /// from then on nothing is deleted that the destination does not have. Makes the directory.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn begin(&self) -> io::Result<()> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        if self.path.try_exists()? { Ok(()) } else { self.replace(NOTHING) }
    }

    /// The place behind the last line that the destination has; `None` when it has none.
    ///
    /// # Errors
    /// What the operating system says; [`io::ErrorKind::InvalidData`] when the file holds something else.
    pub fn read(&self) -> io::Result<Option<Position>> {
        match fs::read_to_string(&self.path) {
            Ok(text) if text.trim() == NOTHING => Ok(None),
            Ok(text) => {
                text.trim().parse().map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Moves on: what is before `at` may be deleted. Durable when it returns. One shipper at a time.
    ///
    /// # Errors
    /// What the operating system says; what was written before stays.
    pub fn write(&self, at: &Position) -> io::Result<()> {
        self.replace(&at.to_string())
    }

    fn replace(&self, text: &str) -> io::Result<()> {
        replace(&RealDisk, &self.path, format!("{text}\n").as_bytes())
    }
}

/// Names without a dot: what [`replace`] leaves behind when it is killed, `shipped-….new`, is none.
fn is_destination(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=DESTINATION_MAX).contains(&name.len()) && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_there_or_not_and_never_half_and_beginning_again_keeps_it() {
        let data_dir = tempfile::tempdir().unwrap();
        let kafka = Progress::of(data_dir.path(), "kafka").unwrap();
        assert_eq!(kafka.read().unwrap(), None);
        assert_eq!(Progress::all(data_dir.path()).unwrap(), []);
        kafka.begin().unwrap();
        assert_eq!(kafka.read().unwrap(), None);
        let at: Position = "20260101T000000.000Z-0000000001-a:17".parse().unwrap();
        kafka.write(&at).unwrap();
        kafka.begin().unwrap();
        assert_eq!(kafka.read().unwrap(), Some(at));
        // What a kill while it was written leaves behind is no destination.
        fs::write(data_dir.path().join("ingest/shipped-kafka.new"), "").unwrap();
        fs::write(data_dir.path().join("ingest/shipped"), "").unwrap();
        assert_eq!(Progress::all(data_dir.path()).unwrap(), std::slice::from_ref(&kafka));
        fs::write(kafka.path(), "20260101T0000").unwrap();
        assert_eq!(kafka.read().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_destination_has_a_name_that_stays_in_its_directory() {
        let long = "x".repeat(41);
        for bad in ["", "../x", "Kafka", "a.b", "a_b", long.as_str()] {
            assert_eq!(Progress::of(Path::new("/"), bad), Err(DestinationError), "{bad}");
        }
    }
}
