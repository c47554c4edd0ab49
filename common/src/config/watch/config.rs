//! The section `dynamic`: where the documents come from that change settings of a running process.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::config::{Invalid, Section};

/// The section `dynamic`. Documents are TOML; each has a name, such as `playgate-log.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DynamicConfig {
    /// `none`, `file` or `nacos`. Absent: `nacos` when the roles find each other through it, otherwise `none`.
    pub kind: Option<DynamicKind>,
    /// Where the documents lie, for the kind `file`: a directory, such as one that a ConfigMap is mounted at.
    pub directory: PathBuf,
    /// How often the documents are read. Bounds how late a change is noticed.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// How often the rules of traffic (`playgate-govern.toml`) are read, which have to hold everywhere within a second.
    /// Costs the source one small question per process each time.
    #[serde(with = "humantime_serde")]
    pub rules_interval: Duration,
    /// How long a start waits for the rules of traffic. Beyond it the process starts with the defaults, and takes the
    /// document up when it can be read.
    #[serde(with = "humantime_serde")]
    pub start_timeout: Duration,
    /// The largest document that is taken, in bytes. Protects this process's memory from a file that is not meant.
    pub max_document_bytes: usize,
}

/// Where documents come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DynamicKind {
    /// From nowhere: what was configured at the start holds.
    None,
    /// From files in a directory.
    File,
    /// From Nacos: the name is the data id, the group that of the section `nacos`.
    Nacos,
}

impl Default for DynamicConfig {
    fn default() -> Self {
        Self {
            kind: None,
            directory: PathBuf::from("./dynamic"),
            interval: Duration::from_secs(5),
            rules_interval: Duration::from_millis(500),
            start_timeout: Duration::from_secs(3),
            max_document_bytes: 256 * 1024,
        }
    }
}

impl Section for DynamicConfig {
    const NAME: &'static str = "dynamic";

    fn validate(&self) -> Result<(), Invalid> {
        for (key, interval) in [("interval", self.interval), ("rules_interval", self.rules_interval)] {
            if interval.is_zero() {
                return Err(Invalid::new(key, "must be longer than zero"));
            }
        }
        if self.directory.as_os_str().is_empty() {
            return Err(Invalid::new("directory", "must name a directory"));
        }
        if self.max_document_bytes == 0 {
            return Err(Invalid::new("max_document_bytes", "must be at least 1"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_that_are_read_without_a_pause_are_refused() {
        for key in ["interval", "rules_interval"] {
            let text = format!("kind = 'file'\n{key} = '0s'");
            let config: DynamicConfig = toml::from_str(&text).expect("the right types");
            assert_eq!(config.validate().map_err(|invalid| invalid.key), Err(key.to_owned()));
        }
        assert_eq!(DynamicConfig::default().validate(), Ok(()));
    }
}
