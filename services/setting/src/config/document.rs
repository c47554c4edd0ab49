//! The `[setting.document]` table.

use std::num::NonZeroUsize;

use common::config::Invalid;
use serde::{Deserialize, Serialize};

use crate::domain::DocumentLimits;

/// What a document may hold at most, beside `document_bytes_max`. Each limit keeps a document that is broken or hostile cheap
/// to refuse; what was published before a limit was lowered counts as broken if it is beyond it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DocumentConfig {
    /// Declared settings. Every player who asks is sent all of them.
    pub settings_max: NonZeroUsize,

    /// Rules. Every request goes through those of its app.
    pub rules_max: NonZeroUsize,

    /// Segments.
    pub segments_max: NonZeroUsize,

    /// Channels with values of their own, and packages with values of their own: this many of each.
    pub layers_max: NonZeroUsize,

    /// Accounts in one list of a rule or a segment.
    pub accounts_max: NonZeroUsize,

    /// Bytes of the name of a setting, a segment or a package, and of a salt.
    pub name_bytes_max: NonZeroUsize,

    /// Arrays and objects inside each other, at most 100. Protects the stack of whoever reads the document.
    pub nesting_max: NonZeroUsize,
}

impl Default for DocumentConfig {
    fn default() -> Self {
        let limits = DocumentLimits::default();
        let counted = |limit: usize| NonZeroUsize::new(limit).unwrap_or(NonZeroUsize::MIN);
        Self {
            settings_max: counted(limits.settings_max),
            rules_max: counted(limits.rules_max),
            segments_max: counted(limits.segments_max),
            layers_max: counted(limits.layers_max),
            accounts_max: counted(limits.accounts_max),
            name_bytes_max: counted(limits.name_bytes_max),
            nesting_max: counted(limits.nesting_max),
        }
    }
}

impl DocumentConfig {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        if self.nesting_max.get() > DocumentLimits::NESTING_CEILING {
            return Err(Invalid::new(
                "document.nesting_max",
                format!("must be at most {}", DocumentLimits::NESTING_CEILING),
            ));
        }
        Ok(())
    }

    pub(super) fn limits(&self, document_bytes_max: NonZeroUsize) -> DocumentLimits {
        DocumentLimits {
            document_bytes_max: document_bytes_max.get(),
            settings_max: self.settings_max.get(),
            rules_max: self.rules_max.get(),
            segments_max: self.segments_max.get(),
            layers_max: self.layers_max.get(),
            accounts_max: self.accounts_max.get(),
            name_bytes_max: self.name_bytes_max.get(),
            nesting_max: self.nesting_max.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_domain() {
        let config = DocumentConfig::default();
        let bytes = NonZeroUsize::MIN.saturating_add((1 << 20) - 1);
        assert_eq!(config.limits(bytes), DocumentLimits::default());
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn a_nesting_beyond_what_is_read_at_all_is_refused_by_name() {
        let config = DocumentConfig { nesting_max: NonZeroUsize::MIN.saturating_add(100), ..DocumentConfig::default() };
        assert_eq!(config.validate().expect_err("refused").key, "document.nesting_max");
    }
}
