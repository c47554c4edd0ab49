//! [`Query`]: one statement with its values.

use std::{borrow::Cow, fmt, time::Instant};

use sqlx::{
    Arguments, Encode, FromRow, MySql, Sqlite, Type,
    error::BoxDynError,
    mysql::{MySqlArguments, MySqlRow},
    sqlite::{SqliteArguments, SqliteRow},
};

use super::{
    Sql, SqlError,
    database::{Backend, Engine},
    lease::{Lease, Source},
    metrics::Operation,
    mysql::MySqlBackend,
    sqlite::Access,
    trace,
};

/// A value that both drivers can bind: `i64`, `i32`, `u32`, `bool`, `f64`, `&str`, `String`, `&[u8]`, `Vec<u8>` and
/// `Option`s of them. Implemented for everything that qualifies.
pub trait Value<'q>: Encode<'q, MySql> + Type<MySql> + Encode<'q, Sqlite> + Type<Sqlite> + 'q {}
impl<'q, T: Encode<'q, MySql> + Type<MySql> + Encode<'q, Sqlite> + Type<Sqlite> + 'q> Value<'q> for T {}

/// A row that both drivers can decode: tuples, and structs with `#[derive(sqlx::FromRow)]`. Text from `utf8mb4_bin`
/// columns goes through [`Text`](super::Text). Implemented for everything that qualifies.
pub trait Record: for<'r> FromRow<'r, MySqlRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin {}
impl<T: for<'r> FromRow<'r, MySqlRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin> Record for T {}

/// One statement, ready to take values and run.
///
/// The values are bound in the order of the placeholders. The statement waits for a connection at most
/// `sql.acquire_timeout` and runs at most `sql.statement_timeout`.
#[must_use = "a statement does nothing until it is executed"]
pub struct Query<'q> {
    engine: &'q Engine,
    operation: Operation,
    text: Cow<'static, str>,
    target: Target<'q>,
    unbindable: Option<BoxDynError>,
}

/// The values in the driver's form beside the place to send them: always of one driver.
pub(super) enum Target<'q> {
    MySql(MySqlArguments, Source<'q, MySql, &'q MySqlBackend>),
    Sqlite(SqliteArguments<'q>, Source<'q, Sqlite, Access<'q>>),
}

/// Runs one sqlx call on whichever driver the query is for. A macro, because the two drivers share no type.
macro_rules! run {
    ($query:expr, $build:ident, |$statement:ident, $connection:ident| $call:expr) => {{
        let Query { engine, operation, text, target, unbindable } = $query;
        if let Some(reason) = unbindable {
            return Err(SqlError::other(format!("a value can't be bound: {reason}")));
        }
        let span = trace::statement(engine.dialect(), &text);
        let started = Instant::now();
        let outcome = match target {
            Target::MySql(arguments, source) => {
                let $statement = sqlx::$build(&text, arguments);
                on_lease!(engine, source, |$connection| $call)
            }
            Target::Sqlite(arguments, source) => {
                let $statement = sqlx::$build(&text, arguments);
                on_lease!(engine, source, |$connection| $call)
            }
        };
        engine.record(operation, &text, started.elapsed(), outcome.as_ref().map(drop));
        trace::end(span, &outcome);
        outcome
    }};
}

/// Takes a connection, makes one call on it within the time limit, and gives it back.
macro_rules! on_lease {
    ($engine:ident, $source:ident, |$connection:ident| $call:expr) => {
        match $source.lease().await {
            Ok(mut held) => {
                let lease = held.lease();
                match lease.start() {
                    Ok($connection) => {
                        let answer = tokio::time::timeout($engine.give_up_after, $call).await;
                        lease.finish(answer)
                    }
                    Err(refused) => Err(refused),
                }
            }
            Err(refused) => Err(refused),
        }
    };
}

impl<'q> Query<'q> {
    pub(super) fn on_pool(engine: &'q Engine, sql: Sql, operation: Operation) -> Self {
        match &engine.backend {
            Backend::MySql(mysql) => {
                let target = Target::MySql(MySqlArguments::default(), Source::Pool(mysql));
                Self { engine, operation, text: sql.for_mysql(), target, unbindable: None }
            }
            Backend::Sqlite(sqlite) => {
                let access = match operation {
                    Operation::Read => Access::Read(&sqlite.readers),
                    Operation::Write | Operation::Transaction => Access::Write(&sqlite.writer),
                };
                let target = Target::Sqlite(SqliteArguments::default(), Source::Pool(access));
                Self { engine, operation, text: sql.for_sqlite(), target, unbindable: None }
            }
        }
    }

    pub(super) fn on_mysql(engine: &'q Engine, sql: Sql, lease: &'q mut Lease<MySql>) -> Self {
        let target = Target::MySql(MySqlArguments::default(), Source::Transaction(lease));
        Self { engine, operation: Operation::Transaction, text: sql.for_mysql(), target, unbindable: None }
    }

    pub(super) fn on_sqlite(engine: &'q Engine, sql: Sql, lease: &'q mut Lease<Sqlite>) -> Self {
        let target = Target::Sqlite(SqliteArguments::default(), Source::Transaction(lease));
        Self { engine, operation: Operation::Transaction, text: sql.for_sqlite(), target, unbindable: None }
    }

    /// Binds the next placeholder.
    pub fn bind(mut self, value: impl Value<'q>) -> Self {
        let bound = match &mut self.target {
            Target::MySql(arguments, _) => arguments.add(value),
            Target::Sqlite(arguments, _) => arguments.add(value),
        };
        if let Err(reason) = bound {
            self.unbindable.get_or_insert(reason);
        }
        self
    }

    /// Runs it; answers how many rows it matched. (An upsert counts 1 for an insert; for an update 2 on MySQL and 1
    /// on SQLite.)
    pub async fn execute(self) -> Result<u64, SqlError> {
        run!(self, query_with, |statement, connection| async {
            statement.execute(connection).await.map(|done| done.rows_affected())
        })
    }

    /// The first row, if there is one.
    pub async fn optional<T: Record>(self) -> Result<Option<T>, SqlError> {
        run!(self, query_as_with, |statement, connection| statement.fetch_optional(connection))
    }

    /// The row that has to be there: `COUNT(*)`, `MAX(..)`. None is [`SqlError::Other`].
    pub async fn one<T: Record>(self) -> Result<T, SqlError> {
        run!(self, query_as_with, |statement, connection| statement.fetch_one(connection))
    }

    /// All rows. They are held in memory: bound their number in the statement.
    pub async fn all<T: Record>(self) -> Result<Vec<T>, SqlError> {
        run!(self, query_as_with, |statement, connection| statement.fetch_all(connection))
    }
}

impl fmt::Debug for Query<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query").field("text", &self.text).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Text, testing::TestDatabase};

    const TABLE: Sql = Sql::Each {
        mysql: "CREATE TABLE things (id BINARY(16) PRIMARY KEY, name VARCHAR(40) COLLATE utf8mb4_bin NOT NULL UNIQUE, \
                shown VARCHAR(40), big BIGINT NOT NULL, small INT, yes BOOLEAN NOT NULL, share DOUBLE, body BLOB)",
        sqlite: "CREATE TABLE things (id BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE, shown TEXT, big BIGINT NOT NULL, \
                 small INT, yes BOOLEAN NOT NULL, share DOUBLE, body BLOB)",
    };

    #[derive(Debug, PartialEq, sqlx::FromRow)]
    struct Thing {
        id: Vec<u8>,
        #[sqlx(try_from = "Text")]
        name: String,
        #[sqlx(try_from = "Text")]
        shown: String,
        big: i64,
        small: Option<i32>,
        yes: bool,
        share: Option<f64>,
        body: Option<Vec<u8>>,
    }

    async fn insert(database: &TestDatabase, thing: &Thing) -> Result<u64, SqlError> {
        database
            .write("INSERT INTO things (id, name, shown, big, small, yes, share, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
            .bind(&thing.id[..])
            .bind(&*thing.name)
            .bind(thing.shown.clone())
            .bind(thing.big)
            .bind(thing.small)
            .bind(thing.yes)
            .bind(thing.share)
            .bind(thing.body.clone())
            .execute()
            .await
    }

    fn thing(id: u8, name: &str) -> Thing {
        Thing {
            id: vec![id; 16],
            name: name.to_owned(),
            shown: "玩家 🎮".to_owned(),
            big: i64::MAX,
            small: Some(-7),
            yes: true,
            share: Some(0.5),
            body: None,
        }
    }

    crate::on_each_database! {
        async fn what_is_written_is_read_back_in_every_type(database: TestDatabase) {
            database.write(TABLE).execute().await.expect("the table is made");
            let ann = thing(1, "ann");
            assert_eq!(insert(&database, &ann).await, Ok(1));
            let found: Option<Thing> =
                database.read("SELECT * FROM things WHERE name = ?").bind("ann").optional().await.expect("it is read");
            assert_eq!(found, Some(ann));
            let missing = database.read("SELECT * FROM things WHERE name = ?").bind("Ann").optional::<Thing>().await;
            assert_eq!(missing, Ok(None));
            let listed: Vec<(Text,)> = database
                .read(Sql::repeated("SELECT name FROM things WHERE id IN (", "?", 2, ")"))
                .bind(vec![1_u8; 16])
                .bind(vec![2_u8; 16])
                .all()
                .await
                .expect("it is listed");
            assert_eq!(listed, [(Text("ann".to_owned()),)]);
        }

        async fn a_second_row_with_the_same_key_is_told_apart_from_other_failures(database: TestDatabase) {
            database.write(TABLE).execute().await.expect("the table is made");
            insert(&database, &thing(1, "ann")).await.expect("the first is taken");
            for twin in [thing(2, "ann"), thing(1, "bob")] {
                let refused = insert(&database, &twin).await.expect_err("the second is refused");
                assert!(matches!(refused, SqlError::UniqueViolation { .. }), "{refused}");
                assert!(!refused.to_string().contains("ann"), "{refused}");
            }
            let misspelt = database.read("SELECT nothing FROM things").optional::<(i64,)>().await;
            assert!(matches!(misspelt, Err(SqlError::Other(_))), "{misspelt:?}");
            let none = database.read("SELECT big FROM things WHERE name = 'zoe'").one::<(i64,)>().await;
            assert!(matches!(none, Err(SqlError::Other(_))), "{none:?}");
        }

        async fn an_update_that_changes_nothing_still_counts_its_row(database: TestDatabase) {
            database.write(TABLE).execute().await.expect("the table is made");
            insert(&database, &thing(1, "ann")).await.expect("it is taken");
            let touched = database.write("UPDATE things SET yes = ? WHERE name = ?").bind(true).bind("ann").execute();
            assert_eq!(touched.await, Ok(1));
        }
    }
}
