//! The `[log]` section.

use serde::{Deserialize, Serialize};

use crate::{
    config::{Invalid, Section},
    telemetry::level,
};

/// The least a buffer may be: some hundred lines.
const MIN_BUFFER_BYTES: usize = 64 * 1024;

/// What is logged, how it looks, and how much memory it may take.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// How much the process log says: `error`, `warn`, `info`, `debug`, `trace` or `off`, or directives per module
    /// such as `info,account::rpc=debug`. Talkative libraries stay at `warn` unless a directive names them.
    pub level: String,
    /// `pretty` for people, `json` for log collectors. Holds for the process log and the access log.
    pub format: LogFormat,
    /// Bytes of process log that may wait to be written. Protects memory when standard error is not read; beyond it
    /// lines are dropped and counted in `playgate_log_lines_dropped_total{log="process"}`.
    pub buffer_bytes: usize,
    /// One line per HTTP answer on standard output.
    pub access: bool,
    /// Bytes of access log that may wait to be written: at 100 000 answers a second about 150 ms. Beyond it lines are
    /// dropped and counted in `playgate_log_lines_dropped_total{log="access"}`.
    pub access_buffer_bytes: usize,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of plain text for people.
    #[default]
    Pretty,
    /// One JSON object per line for log collectors.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: "info".into(),
            format: LogFormat::default(),
            buffer_bytes: 1024 * 1024,
            access: true,
            access_buffer_bytes: 4 * 1024 * 1024,
        }
    }
}

impl Section for LogConfig {
    const NAME: &'static str = "log";

    fn validate(&self) -> Result<(), Invalid> {
        if let Err(error) = level::parse(&self.level) {
            return Err(Invalid::new("level", error.to_string()));
        }
        for (key, bytes) in [("buffer_bytes", self.buffer_bytes), ("access_buffer_bytes", self.access_buffer_bytes)] {
            if bytes < MIN_BUFFER_BYTES {
                return Err(Invalid::new(key, format!("{bytes} is too small: at least {MIN_BUFFER_BYTES} bytes")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(LogConfig::default().validate(), Ok(()));
    }

    #[test]
    fn a_value_that_can_not_be_used_is_refused_by_its_key() {
        let refused = |config: LogConfig| config.validate().expect_err("refused").key;
        assert_eq!(refused(LogConfig { level: "info,account=loud".into(), ..LogConfig::default() }), "level");
        assert_eq!(refused(LogConfig { level: "shout".into(), ..LogConfig::default() }), "level");
        assert_eq!(refused(LogConfig { buffer_bytes: 10, ..LogConfig::default() }), "buffer_bytes");
        assert_eq!(refused(LogConfig { access_buffer_bytes: 0, ..LogConfig::default() }), "access_buffer_bytes");
    }
}
