//! What happens when statements take too long, are abandoned, or get no answer.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Barrier, watch},
};

use super::*;
use crate::{
    config::Secret,
    sql::testing::{MYSQL_URL_VARIABLE, TestDatabase},
};

/// Takes far longer than any test waits.
const ENDLESS: Sql = Sql::Each {
    mysql: "SELECT SLEEP(600)",
    sqlite: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n",
};

/// One connection of each kind, so that what one statement leaves behind meets the next.
fn single_connection(statement_timeout: Duration) -> SqlConfig {
    SqlConfig {
        max_connections: NonZeroU32::MIN,
        sqlite_readers: NonZeroU32::MIN,
        acquire_timeout: Duration::from_secs(20),
        lock_wait_timeout: statement_timeout / 2,
        statement_timeout,
        ..SqlConfig::default()
    }
}

async fn works(database: &Database) -> Result<(i64,), SqlError> {
    database.read("SELECT 1").one().await
}

async fn a_statement_beyond_the_limit_is_ended(database: TestDatabase) {
    for endless in [database.read(ENDLESS), database.write(ENDLESS)] {
        let outcome = endless.one::<(i64,)>().await;
        assert!(matches!(outcome, Err(SqlError::StatementTimeout(_))), "{outcome:?}");
    }
    assert_eq!(works(&database).await, Ok((1,)));
    let mut tx = database.begin().await.expect("it begins");
    let outcome = tx.sql(ENDLESS).one::<(i64,)>().await;
    assert!(matches!(outcome, Err(SqlError::StatementTimeout(_))), "{outcome:?}");
}

async fn an_abandoned_statement_does_not_hold_up_the_next_one(database: TestDatabase) {
    let abandoned = tokio::time::timeout(Duration::from_millis(100), database.read(ENDLESS).one::<(i64,)>()).await;
    assert!(abandoned.is_err(), "it was still running");
    assert_eq!(works(&database).await, Ok((1,)));
    let mut tx = database.begin().await.expect("it begins");
    let abandoned = tokio::time::timeout(Duration::from_millis(100), tx.sql(ENDLESS).one::<(i64,)>()).await;
    assert!(abandoned.is_err(), "it was still running");
    let next = tx.sql("SELECT 1").one::<(i64,)>().await;
    assert!(matches!(next, Err(SqlError::Unavailable(_))), "the transaction is lost: {next:?}");
    drop(tx);
    assert!(database.begin().await.is_ok());
}

mod sqlite {
    use super::*;

    #[tokio::test]
    async fn a_statement_beyond_the_limit_is_ended() {
        let config = single_connection(Duration::from_millis(100));
        super::a_statement_beyond_the_limit_is_ended(TestDatabase::sqlite_with(config).await).await;
    }

    #[tokio::test]
    async fn an_abandoned_statement_does_not_hold_up_the_next_one() {
        let config = single_connection(Duration::from_secs(600));
        super::an_abandoned_statement_does_not_hold_up_the_next_one(TestDatabase::sqlite_with(config).await).await;
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_named_with_the_reason() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("playgate.db"), vec![7; 4096]).expect("written");
        let refused = Database::open(&SqlConfig::default(), directory.path()).await.expect_err("not a database");
        let text = refused.to_string();
        assert!(text.contains("playgate.db") && text.contains("not a database"), "{text}");
    }

    #[tokio::test]
    async fn without_a_url_a_private_directory_and_a_file_are_made() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("a directory");
        let data = directory.path().join("data");
        let database = Database::open(&SqlConfig::default(), &data).await.expect("it opens");
        assert_eq!(database.dialect(), Dialect::Sqlite);
        assert!(data.join("playgate.db").exists());
        let mode = std::fs::metadata(&data).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[tokio::test]
    async fn commits_are_synced_to_a_write_ahead_log_unless_configured_otherwise() {
        let normal = SqlConfig { sqlite_synchronous: crate::sql::Synchronous::Normal, ..SqlConfig::default() };
        for (config, level) in [(SqlConfig::default(), 2), (normal, 1)] {
            let database = TestDatabase::sqlite_with(config).await;
            assert_eq!(database.write("PRAGMA synchronous").one().await, Ok((level,)));
            assert_eq!(database.read("PRAGMA journal_mode").one().await, Ok(("wal".to_owned(),)));
        }
    }

    #[tokio::test]
    async fn statements_failures_and_connections_are_measured() {
        let (database, registry) = (TestDatabase::sqlite().await, Registry::new());
        database.register_metrics(&registry).expect("registered");
        works(&database).await.expect("it reads");
        database.read("SELECT nothing").one::<(i64,)>().await.expect_err("no such column");
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).expect("encoded");
        for line in [
            "playgate_sql_statement_seconds_count{operation=\"read\"} 2",
            "playgate_sql_errors_total{kind=\"other\"} 1",
            "playgate_sql_errors_total{kind=\"unavailable\"} 0",
            "playgate_sql_connections{pool=\"sqlite_writer\",state=\"in_use\"} 0",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }

    #[tokio::test]
    async fn more_reads_than_readers_are_all_answered() {
        let database = TestDatabase::sqlite().await;
        let mut reads = tokio::task::JoinSet::new();
        for _ in 0..200 {
            let database = database.clone();
            reads.spawn(async move { works(&database).await });
        }
        assert!(reads.join_all().await.into_iter().all(|answer| answer == Ok((1,))));
    }
}

mod mariadb {
    use super::*;

    #[tokio::test]
    async fn a_statement_beyond_the_limit_is_ended() {
        let config = single_connection(Duration::from_millis(100));
        super::a_statement_beyond_the_limit_is_ended(TestDatabase::mariadb_with(config).await).await;
    }

    #[tokio::test]
    async fn an_abandoned_statement_does_not_hold_up_the_next_one() {
        let config = single_connection(Duration::from_secs(600));
        super::an_abandoned_statement_does_not_hold_up_the_next_one(TestDatabase::mariadb_with(config).await).await;
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named_with_the_reason_and_without_the_password() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        drop(listener);
        let url = Secret::new(format!("mysql://root:hunter2@{address}/playgate"));
        let config = SqlConfig { url: Some(url), ..SqlConfig::default() };
        let refused = Database::open(&config, Path::new(".")).await.expect_err("nobody listens").to_string();
        assert!(refused.contains(&address.to_string()) && refused.contains("refused"), "{refused}");
        assert!(!refused.contains("hunter2"), "{refused}");
    }

    #[tokio::test]
    async fn a_url_without_a_database_is_refused_at_the_start() {
        let config = SqlConfig { url: Some(Secret::new("mysql://root@127.0.0.1:1/")), ..SqlConfig::default() };
        let refused = Database::open(&config, Path::new(".")).await.expect_err("it names none").to_string();
        assert!(refused.contains("names no database"), "{refused}");
    }

    #[tokio::test]
    async fn a_connection_that_the_server_cut_is_unavailable_and_replaced() {
        let database = TestDatabase::mariadb_with(single_connection(Duration::from_secs(3))).await;
        let killer = database.replica().await;
        for _ in 0..3 {
            let (own,): (i64,) =
                database.read("SELECT CAST(CONNECTION_ID() AS SIGNED)").one().await.expect("it answers");
            killer.write("KILL CONNECTION ?").bind(own).execute().await.expect("it is killed");
            while let Err(error) = works(&database).await {
                assert!(matches!(error, SqlError::Unavailable(_)), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn a_server_that_stops_answering_fails_statements_and_is_used_again_when_it_answers() {
        let direct = TestDatabase::mariadb().await;
        let (proxy, url) = Proxy::in_front_of(&direct).await;
        let config = SqlConfig {
            url: Some(url),
            acquire_timeout: Duration::from_millis(300),
            ..single_connection(Duration::from_millis(100))
        };
        let database = Database::open(&config, Path::new(".")).await.expect("it opens");
        assert_eq!(works(&database).await, Ok((1,)));

        proxy.stall.send_replace(true);
        for _ in 0..2 {
            let outcome = works(&database).await;
            assert!(matches!(outcome, Err(SqlError::Unavailable(_))), "{outcome:?}");
        }
        proxy.stall.send_replace(false);
        while let Err(error) = works(&database).await {
            assert!(error.is_temporary(), "{error}");
        }
    }

    #[tokio::test]
    async fn the_victim_of_a_deadlock_is_repeated_and_both_transactions_happen() {
        let database = TestDatabase::mariadb().await;
        database.write("CREATE TABLE counters (id INT PRIMARY KEY, n BIGINT NOT NULL)").execute().await.expect("made");
        database.write("INSERT INTO counters VALUES (1, 0), (2, 0)").execute().await.expect("filled");
        let (both_hold_one, attempts) = (Barrier::new(2), AtomicUsize::new(0));
        let cross = async |first: i64, second: i64| {
            let attempt = attempts.fetch_add(1, Ordering::SeqCst);
            let add_one = "UPDATE counters SET n = n + 1 WHERE id = ?";
            let mut tx = database.begin().await?;
            tx.sql(add_one).bind(first).execute().await?;
            if attempt < 2 {
                both_hold_one.wait().await;
            }
            tx.sql(add_one).bind(second).execute().await?;
            tx.commit().await
        };
        let outcomes = tokio::join!(database.retrying(|| cross(1, 2)), database.retrying(|| cross(2, 1)));
        assert_eq!(outcomes, (Ok(()), Ok(())));
        assert_eq!(attempts.into_inner(), 3, "one of them was the victim, once");
        let counted: Vec<(i64,)> = database.read("SELECT n FROM counters").all().await.expect("read");
        assert_eq!(counted, [(2,), (2,)]);
    }

    /// Forwards to the test server until it is told to stall.
    struct Proxy {
        stall: watch::Sender<bool>,
        /// Ends with the proxy.
        _accepting: tokio::task::JoinSet<()>,
    }

    impl Proxy {
        async fn in_front_of(direct: &TestDatabase) -> (Self, Secret) {
            let url = std::env::var(MYSQL_URL_VARIABLE).expect("checked by the test database");
            let authority = url.split('@').nth(1).and_then(|rest| rest.split('/').next()).expect("user@host:port");
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let port = listener.local_addr().expect("bound").port();
            let own = direct.config().url.as_ref().expect("set").expose();
            let through = Secret::new(own.replace(authority, &format!("127.0.0.1:{port}")));
            let (stall, stalled) = watch::channel(false);
            let (authority, mut connections) = (authority.to_owned(), tokio::task::JoinSet::new());
            let mut accepting = tokio::task::JoinSet::new();
            accepting.spawn(async move {
                while let Ok((client, _)) = listener.accept().await {
                    let server = TcpStream::connect(&authority).await.expect("the test server listens");
                    connections.spawn(forward(client, server, stalled.clone()));
                }
            });
            (Self { stall, _accepting: accepting }, through)
        }
    }

    async fn forward(client: TcpStream, server: TcpStream, stalled: watch::Receiver<bool>) {
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::join!(pump(from_client, to_server, stalled.clone()), pump(from_server, to_client, stalled));
    }

    async fn pump(
        mut from: tokio::net::tcp::OwnedReadHalf,
        mut to: tokio::net::tcp::OwnedWriteHalf,
        mut stalled: watch::Receiver<bool>,
    ) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(read) = from.read(&mut buffer).await
            && read > 0
            && stalled.wait_for(|stalled| !stalled).await.is_ok()
            && to.write_all(&buffer[..read]).await.is_ok()
        {}
    }
}
