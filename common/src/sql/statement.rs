//! SQL text: once for both databases, or once per dialect. Never made from values.

use std::borrow::Cow;

/// The text of one statement.
///
/// Texts are fixed at compile time, so that a value can't become part of one; the only thing that varies is how
/// often a fixed piece is repeated ([`Sql::repeated`]). Placeholders are `?` on both databases.
#[derive(Clone, Debug)]
pub enum Sql {
    /// The dialects agree.
    Same(&'static str),
    /// They don't: upserts, ignored duplicates, locks.
    Each {
        /// For MySQL and MariaDB.
        mysql: &'static str,
        /// For SQLite.
        sqlite: &'static str,
    },
    /// A fixed piece several times.
    Repeated(Repeated),
}

/// See [`Sql::repeated`].
#[derive(Clone, Debug)]
pub struct Repeated(String);

impl Sql {
    /// `before`, then `unit` as often as `times` says with commas between, then `after`: multi-row inserts and `IN`
    /// lists. Every count is a text of its own in the statement cache: keep the counts few and bounded.
    pub fn repeated(before: &'static str, unit: &'static str, times: usize, after: &'static str) -> Self {
        let mut text = String::with_capacity(before.len() + (unit.len() + 1) * times + after.len());
        text.push_str(before);
        for index in 0..times {
            if index > 0 {
                text.push(',');
            }
            text.push_str(unit);
        }
        text.push_str(after);
        Self::Repeated(Repeated(text))
    }

    pub(super) fn for_mysql(self) -> Cow<'static, str> {
        match self {
            Self::Same(text) | Self::Each { mysql: text, .. } => Cow::Borrowed(text),
            Self::Repeated(Repeated(text)) => Cow::Owned(text),
        }
    }

    pub(super) fn for_sqlite(self) -> Cow<'static, str> {
        match self {
            Self::Same(text) | Self::Each { sqlite: text, .. } => Cow::Borrowed(text),
            Self::Repeated(Repeated(text)) => Cow::Owned(text),
        }
    }
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self::Same(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_unit_stands_between_its_frame_with_commas() {
        let sql = Sql::repeated("SELECT id FROM t WHERE id IN (", "?", 3, ")");
        assert_eq!(sql.for_sqlite(), "SELECT id FROM t WHERE id IN (?,?,?)");
    }
}
