//! How large a settings document may be.

/// What a document may hold at most. Each limit keeps a document that is broken or hostile cheap to refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DocumentLimits {
    /// Bytes of the text. Looked at before anything is read; memory and time of everything else follow from it.
    pub(crate) document_bytes_max: usize,
    /// Declared settings. Every player who asks is sent all of them.
    pub(crate) settings_max: usize,
    /// Rules. Every request goes through those of its app.
    pub(crate) rules_max: usize,
    /// Segments.
    pub(crate) segments_max: usize,
    /// Channels with values of their own, and packages with values of their own: this many of each.
    pub(crate) layers_max: usize,
    /// Accounts in one list of a rule or a segment.
    pub(crate) accounts_max: usize,
    /// Bytes of the name of a setting, a segment or a package, and of a salt.
    pub(crate) name_bytes_max: usize,
    /// Arrays and objects inside each other, counted from the document's own braces. Readers of the tree call
    /// themselves once for each, so this bounds their stack. More than 100 counts as 100.
    pub(crate) nesting_max: usize,
}

impl DocumentLimits {
    /// The reader of JSON gives up by itself beyond 127.
    pub(crate) const NESTING_CEILING: usize = 100;
}

impl Default for DocumentLimits {
    fn default() -> Self {
        Self {
            document_bytes_max: 1 << 20,
            settings_max: 5_000,
            rules_max: 5_000,
            segments_max: 500,
            layers_max: 5_000,
            accounts_max: 100_000,
            name_bytes_max: 128,
            nesting_max: 32,
        }
    }
}
