//! A fresh, empty database for one platform.

use std::thread;

use sqlx::{Connection as _, MySqlConnection};
use xtask::services::MariaDb;

/// Where a test may create databases. `cargo xtask test` starts a server and sets it.
const SERVER_URL: &str = "PLAYGATE_TEST_MYSQL_URL";

/// An empty database, gone when this value is.
pub(crate) struct Database {
    server: Server,
    name: String,
}

/// Who runs the server.
enum Server {
    /// The run's: many platforms share it.
    Shared(String),
    /// This platform's alone, so that it can be killed.
    Private(Box<MariaDb>),
}

impl Database {
    /// Creates a database on the server all stories share.
    pub(crate) async fn shared(name: String) -> Self {
        let url = std::env::var(SERVER_URL)
            .unwrap_or_else(|_| panic!("{SERVER_URL} is not set: run `cargo xtask test` or `cargo xtask services`"));
        Self::create(Server::Shared(url), name).await
    }

    /// Starts a server for one platform.
    pub(crate) async fn private(name: String) -> Self {
        let server = tokio::task::spawn_blocking(MariaDb::start).await.unwrap().unwrap();
        Self::create(Server::Private(Box::new(server)), name).await
    }

    /// The database's name, which is nobody else's on any server.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The database's URL.
    pub(crate) fn url(&self) -> String {
        format!("{}/{}", self.server_url().trim_end_matches('/'), self.name)
    }

    /// The server, if it is this platform's alone.
    pub(crate) fn server(&mut self) -> &mut MariaDb {
        match &mut self.server {
            Server::Private(server) => server,
            Server::Shared(_) => panic!("other stories use this server"),
        }
    }

    async fn create(server: Server, name: String) -> Self {
        let database = Self { server, name };
        execute(&database.server_url(), &format!("CREATE DATABASE {}", database.name)).await.expect("CREATE DATABASE");
        database
    }

    fn server_url(&self) -> String {
        match &self.server {
            Server::Shared(url) => url.clone(),
            Server::Private(server) => server.url(),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Server::Shared(url) = &self.server {
            let (url, drop_database) = (url.clone(), format!("DROP DATABASE {}", self.name));
            // On a thread of its own: a runtime may not wait inside another.
            let dropping = thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(execute(&url, &drop_database))
            });
            // A server that is gone has dropped it already.
            let _ = dropping.join();
        }
    }
}

async fn execute(url: &str, statement: &str) -> Result<(), sqlx::Error> {
    let mut connection = MySqlConnection::connect(url).await?;
    sqlx::raw_sql(statement).execute(&mut connection).await?;
    connection.close().await
}
