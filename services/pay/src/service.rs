//! The parts put together: a database in, an RPC handler out.

use std::sync::Arc;

use common::{
    clock::{SharedClock, SharedRandom},
    rpc::answer,
    sql::{Database, MigrationSet},
};
use idl::pay::{GetWalletRequest, GetWalletResponse, PayService};
use prometheus::Registry;
use sqlx::migrate::Migrator;
use volo_thrift::ServerError;

use crate::{metrics::Metrics, rpc, store::Ledger};

static MYSQL: Migrator = sqlx::migrate!("migrations/mysql");
static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");

/// The schema of the service: tables that begin with `pay_`.
pub fn migrations() -> MigrationSet {
    MigrationSet { name: "pay", mysql: &MYSQL, sqlite: &SQLITE }
}

/// The pay service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pay {
    ledger: Ledger,
}

/// Makes the handler. The schema must be up to date; nothing is read yet.
///
/// # Errors
/// When the name of a metric is taken.
pub fn open(
    database: Database,
    clock: SharedClock,
    random: SharedRandom,
    registry: &Registry,
) -> Result<Pay, prometheus::Error> {
    let metrics = Arc::new(Metrics::register(registry)?);
    Ok(Pay { ledger: Ledger::new(database, clock, random, metrics) })
}

impl Pay {
    /// The books.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

impl PayService for Pay {
    async fn get_wallet(&self, request: GetWalletRequest) -> Result<GetWalletResponse, ServerError> {
        answer(rpc::get_wallet::get_wallet(&self.ledger, request).await)
    }
}
