//! [`GroupCommit`]: many callers, one insert.
//!
//! Rows that arrive while an insert is under way travel together in the next one. There is no timer: alone, a row is
//! written at once; under load the batches grow by themselves. A caller is answered after the commit of its row. One
//! multi-row insert carries about ten times what single inserts do, with a lower latency than many connections.
//!
//! A row may have another one of a second table beside it, which is there if and only if it is: then an insert is a
//! transaction of two.

use std::{fmt, future::Future, num::NonZeroUsize};

use serde::{Deserialize, Serialize};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{Database, Dialect, Query, Sql, SqlError, trace};
use crate::context::RequestContext;

/// Both databases take at least this many placeholders in one statement (SQLite 32766, MySQL 65535).
const MAX_PLACEHOLDERS: usize = 32_000;

/// What one kind of row needs to be inserted.
pub trait InsertRow: Send + Sync + 'static {
    /// `INSERT INTO table (a, b) VALUES `, the same on both databases.
    const INSERT: &'static str;
    /// The placeholders of one row: `(?, ?)`.
    const ROW: &'static str;

    /// Binds the values of this row, in the order of the placeholders.
    fn bind<'q>(&'q self, query: Query<'q>) -> Query<'q>;

    /// What is inserted beside some of these rows, in the same transaction: `INSERT INTO other (a, b) VALUES `, and the
    /// placeholders of one row. Where there is none, an insert is a transaction by itself.
    const BESIDE: Option<(&'static str, &'static str)> = None;

    /// Whether this row has one beside it.
    fn has_beside(&self) -> bool {
        false
    }

    /// Binds the values of the row beside this one, which has one.
    fn bind_beside<'q>(&'q self, query: Query<'q>) -> Query<'q> {
        query
    }
}

/// Limits of one writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupCommitConfig {
    /// Rows that may wait. Protects memory and the callers' patience; beyond it a row is refused at once with
    /// [`SqlError::QueueFull`].
    pub queue: NonZeroUsize,
    /// Rows in one insert. Each size is a statement text of its own, so this also bounds the statement cache.
    pub batch: NonZeroUsize,
}

impl Default for GroupCommitConfig {
    fn default() -> Self {
        Self { queue: NonZeroUsize::MIN.saturating_add(4095), batch: NonZeroUsize::MIN.saturating_add(127) }
    }
}

/// Where callers put rows. Cheap to clone.
pub struct GroupCommit<R> {
    queue: mpsc::Sender<Waiting<R>>,
    dialect: Dialect,
}

/// A row and who waits for it.
struct Waiting<R> {
    row: R,
    /// When nobody waits for the answer any more.
    deadline: Option<Instant>,
    done: oneshot::Sender<Result<(), SqlError>>,
}

impl<R: InsertRow> GroupCommit<R> {
    /// The writer's front, and the task behind it. The task ends when `closing` is cancelled or every clone of the
    /// front is gone, after it has written what was waiting.
    pub fn new(
        database: Database,
        config: GroupCommitConfig,
        closing: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (queue, rows) = mpsc::channel(config.queue.get());
        let placeholders = R::ROW.matches('?').count().max(1);
        let batch = config.batch.get().min(MAX_PLACEHOLDERS / placeholders).max(1);
        (Self { queue, dialect: database.dialect() }, run(database, rows, batch, closing))
    }

    /// Writes a row; answers when it is committed. A row whose request has run out of time before its turn is left out:
    /// behind a database that hung there may be thousands, and what they are for is over.
    ///
    /// # Errors
    /// [`SqlError::QueueFull`] before the row was taken, [`SqlError::Unavailable`] when the writer is closed, its turn
    /// came too late or the outcome is unknown, otherwise what this row's own insert was refused with: rows in one batch
    /// do not share fates.
    pub async fn write(&self, row: R) -> Result<(), SqlError> {
        // The statement is nobody's own; what a request sees of it is the time from here to the commit.
        let span = trace::statement(self.dialect, R::INSERT);
        let outcome = self.enqueue(row).await;
        trace::end(span, &outcome);
        outcome
    }

    async fn enqueue(&self, row: R) -> Result<(), SqlError> {
        let (done, answer) = oneshot::channel();
        let deadline = RequestContext::current().and_then(|request| request.deadline);
        self.queue.try_send(Waiting { row, deadline, done }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => SqlError::QueueFull,
            mpsc::error::TrySendError::Closed(_) => SqlError::unavailable("the writer is closed"),
        })?;
        answer.await.unwrap_or_else(|_gone| Err(SqlError::unavailable("the writer ended before the row was written")))
    }
}

impl<R> Clone for GroupCommit<R> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), dialect: self.dialect }
    }
}

impl<R> fmt::Debug for GroupCommit<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let free = self.queue.capacity();
        f.debug_struct("GroupCommit").field("waiting", &(self.queue.max_capacity() - free)).finish()
    }
}

async fn run<R: InsertRow>(
    database: Database,
    mut rows: mpsc::Receiver<Waiting<R>>,
    batch: usize,
    closing: CancellationToken,
) {
    let mut waiting = Vec::with_capacity(batch);
    loop {
        let received = tokio::select! {
            received = rows.recv_many(&mut waiting, batch) => received,
            () = closing.cancelled(), if !rows.is_closed() => {
                rows.close();
                continue;
            }
        };
        if received == 0 {
            return;
        }
        write_batch(&database, &mut waiting).await;
    }
}

/// Writes the rows and answers each. A batch that is refused because of one row is repeated row by row; one that got
/// no answer is not repeated, because it may have been committed.
async fn write_batch<R: InsertRow>(database: &Database, waiting: &mut Vec<Waiting<R>>) {
    let now = Instant::now();
    for Waiting { done, .. } in waiting.extract_if(.., |waiting| waiting.deadline.is_some_and(|end| end <= now)) {
        let _ = done.send(Err(SqlError::unavailable("nobody waits for the row any more")));
    }
    if waiting.is_empty() {
        return;
    }
    let rows: Vec<&R> = waiting.iter().map(|waiting| &waiting.row).collect();
    let outcome = insert(database, &rows).await;
    let one_to_blame = matches!(outcome, Err(SqlError::UniqueViolation { .. } | SqlError::Other(_)));
    let singly = one_to_blame && rows.len() > 1;
    for Waiting { row, done, .. } in waiting.drain(..) {
        let answer = if singly { insert(database, &[&row]).await } else { outcome.clone() };
        // A caller that has gone away needs no answer.
        let _ = done.send(answer);
    }
}

async fn insert<R: InsertRow>(database: &Database, rows: &[&R]) -> Result<(), SqlError> {
    let with_beside: Vec<&R> = rows.iter().copied().filter(|row| row.has_beside()).collect();
    let Some((insert_beside, row_beside)) = R::BESIDE.filter(|_| !with_beside.is_empty()) else {
        let attempt = || async {
            let statement = database.write(Sql::repeated(R::INSERT, R::ROW, rows.len(), ""));
            rows.iter().fold(statement, |statement, row| row.bind(statement)).execute().await.map(drop)
        };
        return database.retrying(attempt).await;
    };
    let attempt = || async {
        let mut tx = database.begin().await?;
        let statement = tx.sql(Sql::repeated(R::INSERT, R::ROW, rows.len(), ""));
        rows.iter().fold(statement, |statement, row| row.bind(statement)).execute().await?;
        let statement = tx.sql(Sql::repeated(insert_beside, row_beside, with_beside.len(), ""));
        with_beside.iter().fold(statement, |statement, row| row.bind_beside(statement)).execute().await?;
        tx.commit().await
    };
    database.retrying(attempt).await
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use super::*;
    use crate::clock::SystemRandom;

    #[derive(Debug)]
    struct Visit {
        id: i64,
        guest: String,
    }

    impl InsertRow for Visit {
        const INSERT: &'static str = "INSERT INTO visits (id, guest) VALUES ";
        const ROW: &'static str = "(?, ?)";

        fn bind<'q>(&'q self, query: Query<'q>) -> Query<'q> {
            query.bind(self.id).bind(&*self.guest)
        }
    }

    /// A visit with a gift of its own, if it has one.
    #[derive(Debug)]
    struct WithGift(Visit, Option<&'static str>);

    impl InsertRow for WithGift {
        const INSERT: &'static str = Visit::INSERT;
        const ROW: &'static str = Visit::ROW;
        const BESIDE: Option<(&'static str, &'static str)> =
            Some(("INSERT INTO gifts (visit, gift) VALUES ", "(?, ?)"));

        fn bind<'q>(&'q self, query: Query<'q>) -> Query<'q> {
            self.0.bind(query)
        }

        fn has_beside(&self) -> bool {
            self.1.is_some()
        }

        fn bind_beside<'q>(&'q self, query: Query<'q>) -> Query<'q> {
            query.bind(self.0.id).bind(self.1)
        }
    }

    fn visit(id: i64) -> Visit {
        Visit { id, guest: format!("guest {id}") }
    }

    async fn make_table(database: &Database) {
        let create = "CREATE TABLE visits (id BIGINT PRIMARY KEY, guest VARCHAR(20) NOT NULL CHECK (guest <> ''))";
        database.write(create).execute().await.expect("the table is made");
    }

    async fn stored(database: &Database) -> BTreeSet<i64> {
        let rows: Vec<(i64,)> = database.read("SELECT id FROM visits").all().await.expect("they are read");
        rows.into_iter().map(|(id,)| id).collect()
    }

    fn limits(queue: usize, batch: usize) -> GroupCommitConfig {
        let positive = |count| NonZeroUsize::new(count).expect("positive");
        GroupCommitConfig { queue: positive(queue), batch: positive(batch) }
    }

    crate::on_each_database! {
        async fn every_acknowledged_row_is_there_and_every_refused_one_is_not(database: TestDatabase) {
            make_table(&database).await;
            database.write("INSERT INTO visits VALUES (7, 'first'), (77, 'first')").execute().await.expect("filled");
            let (writer, task) = GroupCommit::new(database.clone(), limits(2000, 32), CancellationToken::new());
            let mut tasks = tokio::task::JoinSet::new();
            tasks.spawn(async { task.await; None });
            for id in 0..500 {
                let writer = writer.clone();
                // One in ten breaks a rule of its own, or meets a row that is there.
                let row = if id % 10 == 3 { Visit { guest: String::new(), ..visit(id) } } else { visit(id) };
                tasks.spawn(async move { Some((id, writer.write(row).await)) });
            }
            drop(writer);
            let outcomes: Vec<(i64, Result<(), SqlError>)> = tasks.join_all().await.into_iter().flatten().collect();
            assert_eq!(outcomes.len(), 500);
            for (id, outcome) in &outcomes {
                match id {
                    7 | 77 => assert!(matches!(outcome, Err(SqlError::UniqueViolation { .. })), "{id}: {outcome:?}"),
                    id if id % 10 == 3 => assert!(matches!(outcome, Err(SqlError::Other(_))), "{id}: {outcome:?}"),
                    id => assert_eq!(outcome, &Ok(()), "{id}"),
                }
            }
            let expected: BTreeSet<i64> = (0..500).filter(|id| id % 10 != 3).collect();
            assert_eq!(stored(&database).await, expected);
        }

        async fn a_full_queue_refuses_at_once_and_keeps_what_it_has(database: TestDatabase) {
            make_table(&database).await;
            let (writer, task) = GroupCommit::new(database.clone(), limits(2, 2), CancellationToken::new());
            // The task does not run yet, so that rows pile up.
            let mut waiting = Box::pin(async { tokio::join!(writer.write(visit(1)), writer.write(visit(2))) });
            assert!(futures_util::poll!(&mut waiting).is_pending());
            assert_eq!(writer.write(visit(3)).await, Err(SqlError::QueueFull));
            tokio::select! {
                biased;
                answers = waiting => assert_eq!(answers, (Ok(()), Ok(()))),
                () = task => panic!("the writer has a front and ends"),
            }
            assert_eq!(stored(&database).await, BTreeSet::from([1, 2]));
        }

        async fn closing_writes_what_waits_and_refuses_what_comes_later(database: TestDatabase) {
            make_table(&database).await;
            let closing = CancellationToken::new();
            let (writer, task) = GroupCommit::new(database.clone(), limits(100, 4), closing.clone());
            let waiting: Vec<_> = (0..20).map(|id| Box::pin(writer.write(visit(id)))).collect();
            let mut waiting = futures_util::future::join_all(waiting);
            assert!(futures_util::poll!(&mut waiting).is_pending());
            closing.cancel();
            let (answers, ()) = tokio::join!(waiting, task);
            assert!(answers.into_iter().all(|answer| answer == Ok(())));
            assert_eq!(stored(&database).await.len(), 20);
            assert!(matches!(writer.write(visit(99)).await, Err(SqlError::Unavailable(_))));
        }

        async fn a_row_that_nobody_waits_for_any_more_is_left_out_and_its_neighbours_are_written(database: TestDatabase) {
            make_table(&database).await;
            let (writer, task) = GroupCommit::new(database.clone(), limits(10, 10), CancellationToken::new());
            let late = RequestContext { deadline: Some(Instant::now()), ..RequestContext::root(&SystemRandom) };
            let in_time = RequestContext { deadline: Some(Instant::now() + Duration::from_secs(3600)), ..late };
            let rows = async {
                let answers = tokio::join!(late.scope(writer.write(visit(1))), in_time.scope(writer.write(visit(2))));
                drop(writer);
                answers
            };
            let ((first, second), ()) = tokio::join!(rows, task);
            assert!(matches!(first, Err(SqlError::Unavailable(_))), "{first:?}");
            assert_eq!(second, Ok(()));
            assert_eq!(stored(&database).await, BTreeSet::from([2]));
        }

        async fn a_row_and_the_one_beside_it_are_both_there_or_neither_is(database: TestDatabase) {
            make_table(&database).await;
            let create = "CREATE TABLE gifts (visit BIGINT NOT NULL, gift VARCHAR(20) NOT NULL CHECK (gift <> 'bomb'))";
            database.write(create).execute().await.expect("the table is made");
            database.write("INSERT INTO visits VALUES (7, 'first')").execute().await.expect("filled");
            let (writer, task) = GroupCommit::new(database.clone(), limits(100, 100), CancellationToken::new());
            let rows = (0..12).map(|id| {
                let gift = [Some("flowers"), None, Some("bomb")][id % 3];
                writer.write(WithGift(visit(i64::try_from(id).expect("small")), gift))
            });
            let mut waiting = futures_util::future::join_all(rows);
            assert!(futures_util::poll!(&mut waiting).is_pending());
            let answers = tokio::select! {
                biased;
                answers = waiting => answers,
                () = task => panic!("the writer has a front and ends"),
            };
            let taken: Vec<usize> = (0..12).filter(|id| answers[*id].is_ok()).collect();
            assert_eq!(taken, [0, 1, 3, 4, 6, 9, 10], "no bombs, and nobody with a number that is taken");
            assert_eq!(stored(&database).await, BTreeSet::from([0, 1, 3, 4, 6, 7, 9, 10]));
            let gifts: Vec<(i64,)> =
                database.read("SELECT visit FROM gifts ORDER BY visit").all().await.expect("they are read");
            assert_eq!(gifts, [(0,), (3,), (6,), (9,)]);
        }

        async fn rows_fail_as_unavailable_when_the_database_is_gone(database: TestDatabase) {
            make_table(&database).await;
            let (writer, task) = GroupCommit::new(database.clone(), limits(10, 4), CancellationToken::new());
            database.close().await;
            let rows = async {
                let answers = tokio::join!(writer.write(visit(1)), writer.write(visit(2)));
                drop(writer);
                answers
            };
            let ((first, second), ()) = tokio::join!(rows, task);
            assert!(matches!(first, Err(SqlError::Unavailable(_))), "{first:?}");
            assert!(matches!(second, Err(SqlError::Unavailable(_))), "{second:?}");
        }
    }
}
