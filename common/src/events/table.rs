//! [`EventTable`]: the statements of an outbox. Texts are fixed at compile time, as everywhere.

/// The statements about the table in which a service keeps events that wait: `id` (counts up), `at` (Unix milliseconds),
/// `body`. Made by [`event_table!`](crate::event_table).
#[derive(Clone, Copy, Debug)]
pub struct EventTable {
    /// `INSERT INTO … VALUES `.
    pub insert: &'static str,
    /// The placeholders of one event.
    pub row: &'static str,
    #[doc(hidden)]
    pub oldest: &'static str,
    #[doc(hidden)]
    pub delete: &'static str,
    #[doc(hidden)]
    pub look: &'static str,
}

/// The [`EventTable`] of that name, a literal: statements are never made from values.
#[macro_export]
macro_rules! event_table {
    ($table:literal) => {
        $crate::events::EventTable {
            insert: concat!("INSERT INTO ", $table, " (at, body) VALUES "),
            row: "(?, ?)",
            oldest: concat!("SELECT id, body FROM ", $table, " ORDER BY id LIMIT ?"),
            delete: concat!("DELETE FROM ", $table, " WHERE id IN ("),
            // Both ends of the key instead of a count, which would read all of it.
            look: concat!(
                "SELECT COALESCE((SELECT MAX(id) FROM ",
                $table,
                ") - (SELECT MIN(id) FROM ",
                $table,
                ") + 1, 0), (SELECT at FROM ",
                $table,
                " ORDER BY id LIMIT 1)"
            ),
        }
    };
}
