//! What the span of a statement says, in the words of OpenTelemetry's semantic conventions for databases.
//!
//! A statement is named by what it does and to which table. Its values are never in a span, and neither is its text.

use tokio::time::Instant;

use super::{Dialect, SqlError};
use crate::telemetry::trace::{self, Description, Span};

/// How much of a summary is shown.
const SUMMARY_MAX_BYTES: usize = 80;

/// Begins the span of a statement, the wait for its connection included.
pub(super) fn statement(dialect: Dialect, text: &str) -> Span<impl FnOnce() -> Description> {
    trace::leaf(move || {
        let summary = summary(text);
        let operation = summary.split(' ').next().unwrap_or_default().to_owned();
        let system = match dialect {
            Dialect::MySql => "mysql",
            Dialect::Sqlite => "sqlite",
        };
        Description::client(summary.clone())
            .with("db.system.name", system)
            .with("db.operation.name", operation)
            .with("db.query.summary", summary)
    })
}

/// Ends it. What callers decide upon (a duplicate, a lost lock) is no fault.
pub(super) fn end<T>(span: Span<impl FnOnce() -> Description>, outcome: &Result<T, SqlError>) {
    let Err(error) = outcome else { return span.end(false) };
    let fault = match error {
        SqlError::UniqueViolation { .. } | SqlError::Contention(_) => false,
        SqlError::Unavailable(_) | SqlError::StatementTimeout(_) | SqlError::QueueFull | SqlError::Other(_) => true,
    };
    span.end_with(Instant::now(), fault, |statement| statement.with("error.type", error.kind()));
}

/// The operation and, where the statement names one, its first table: `SELECT account_sessions`. What stands in
/// parentheses is not looked at: a subquery is not what the statement is about.
fn summary(text: &str) -> String {
    let mut depth = 0_usize;
    let outside = text.split_inclusive(['(', ')']).map(|piece| {
        let shown = if depth == 0 { piece } else { "" };
        match piece.as_bytes().last() {
            Some(b'(') => depth += 1,
            Some(b')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        shown
    });
    let outside: String = outside.collect();
    let mut words = outside.split(|letter: char| letter.is_whitespace() || "(),;".contains(letter));
    let mut words = words.by_ref().filter(|word| !word.is_empty());
    let mut summary = words.next().unwrap_or_default().to_ascii_uppercase();
    let before_table = |word: &str| ["FROM", "INTO", "TABLE"].iter().any(|known| word.eq_ignore_ascii_case(known));
    let table = match summary.as_str() {
        "UPDATE" => words.next(),
        _ => words.find(|word| before_table(word)).and_then(|_| words.next()),
    };
    if let Some(table) = table {
        summary.push(' ');
        summary.push_str(table);
    }
    summary.truncate(summary.floor_char_boundary(SUMMARY_MAX_BYTES));
    summary
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::testing::SeededRandom,
        context::RequestContext,
        sql::{Database, testing::TestDatabase},
        telemetry::trace::testing::{self, spans_of},
    };

    async fn use_it(database: &Database) {
        database.write("CREATE TABLE things (id INT PRIMARY KEY)").execute().await.expect("made");
        let mut tx = database.begin().await.expect("it begins");
        tx.sql("INSERT INTO things (id) VALUES (?)").bind(4711).execute().await.expect("written");
        tx.commit().await.expect("it commits");
        database.write("INSERT INTO things (id) VALUES (?)").bind(4711).execute().await.expect_err("it is there");
        database.read("SELECT nothing FROM things").optional::<(i64,)>().await.expect_err("there is no such column");
    }

    #[tokio::test]
    async fn statements_of_a_traced_request_are_its_children_and_never_show_a_value() {
        testing::install();
        let database = TestDatabase::sqlite().await;
        let request = RequestContext { sampled: true, ..RequestContext::root(&SeededRandom::new(4_001)) };
        request.scope(use_it(&database)).await;
        let spans = spans_of(request.trace_id);
        let seen: Vec<_> = spans.iter().map(|span| (span.name(), span.attribute("error.type"))).collect();
        let expected = [
            ("CREATE things", ""),
            ("BEGIN", ""),
            ("INSERT things", ""),
            ("COMMIT", ""),
            ("INSERT things", "unique_violation"),
            ("SELECT things", "other"),
        ];
        assert_eq!(seen, expected.map(|(name, error)| (name, error.to_owned())));
        for span in &spans {
            assert_eq!(span.parent, request.parent_span);
            assert_eq!(span.attribute("db.system.name"), "sqlite");
            assert!(!format!("{span:?}").contains("4711"));
        }
    }

    #[test]
    fn a_statement_is_summed_up_by_its_operation_and_its_table() {
        for (text, expected) in [
            ("SELECT a, b FROM account_sessions WHERE id = ? AND kind = 'x'", "SELECT account_sessions"),
            ("select count(*)\n  from things", "SELECT things"),
            ("SELECT a, EXISTS (SELECT 1 FROM sub WHERE (x)) FROM things", "SELECT things"),
            ("INSERT INTO visits(id, guest) VALUES (?, ?),(?, ?)", "INSERT visits"),
            ("INSERT OR IGNORE INTO visits (id) VALUES (?)", "INSERT visits"),
            ("UPDATE counters SET n = ?", "UPDATE counters"),
            ("DELETE FROM visits WHERE id = 7", "DELETE visits"),
            ("CREATE TABLE things (id INT)", "CREATE things"),
            ("SELECT 1", "SELECT"),
            ("BEGIN", "BEGIN"),
            ("", ""),
        ] {
            assert_eq!(summary(text), expected, "{text}");
        }
        assert_eq!(summary(&format!("UPDATE {}", "é".repeat(100))).len(), 79, "cut, and never inside a character");
    }
}
