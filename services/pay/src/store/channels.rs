//! The configurations of payment channels, sealed: `pay_channels`.

use common::{
    clock::Timestamp,
    sql::{Database, Sql, SqlError, Text, Tx},
};

const FIND: &str = "SELECT version, sealed, updated_at FROM pay_channels WHERE app_id = ? AND channel = ?";

const LOCK: Sql = Sql::Each {
    mysql: "SELECT version, sealed, updated_at FROM pay_channels WHERE app_id = ? AND channel = ? FOR UPDATE",
    sqlite: FIND,
};

/// An app has a handful; `pay.channels_per_app` bounds them.
const OF_APP: &str =
    "SELECT channel, version, sealed, updated_at FROM pay_channels WHERE app_id = ? ORDER BY channel LIMIT 1000";

const COUNT: &str = "SELECT COUNT(*) FROM pay_channels WHERE app_id = ?";

const INSERT: &str = "INSERT INTO pay_channels (app_id, channel, version, sealed, updated_at) VALUES (?, ?, ?, ?, ?)";

const UPDATE: &str = "UPDATE pay_channels SET version = ?, sealed = ?, updated_at = ? WHERE app_id = ? AND channel = ?";

/// A configuration as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct SealedChannel {
    pub(crate) version: i64,
    pub(crate) sealed: Vec<u8>,
    pub(crate) updated_at: Timestamp,
}

type Row = (i64, Vec<u8>, i64);

pub(crate) async fn find(database: &Database, app_id: i64, channel: &str) -> Result<Option<SealedChannel>, SqlError> {
    let row: Option<Row> = database.read(FIND).bind(app_id).bind(channel).optional().await?;
    Ok(row.map(SealedChannel::from))
}

/// The same for whoever is to change it.
pub(crate) async fn lock(tx: &mut Tx, app_id: i64, channel: &str) -> Result<Option<SealedChannel>, SqlError> {
    let row: Option<Row> = tx.sql(LOCK).bind(app_id).bind(channel).optional().await?;
    Ok(row.map(SealedChannel::from))
}

pub(crate) async fn of_app(database: &Database, app_id: i64) -> Result<Vec<(String, SealedChannel)>, SqlError> {
    let rows: Vec<(Text, i64, Vec<u8>, i64)> = database.read(OF_APP).bind(app_id).all().await?;
    let named = |(channel, version, sealed, at): (Text, i64, Vec<u8>, i64)| {
        (channel.into(), SealedChannel::from((version, sealed, at)))
    };
    Ok(rows.into_iter().map(named).collect())
}

/// How many an app has.
pub(crate) async fn count(tx: &mut Tx, app_id: i64) -> Result<i64, SqlError> {
    let (count,): (i64,) = tx.sql(COUNT).bind(app_id).one().await?;
    Ok(count)
}

/// Version 1 is new.
pub(crate) async fn write(
    tx: &mut Tx,
    app_id: i64,
    channel: &str,
    SealedChannel { version, sealed, updated_at }: &SealedChannel,
) -> Result<(), SqlError> {
    let at = updated_at.as_millis();
    let statement = match version {
        1 => tx.sql(INSERT).bind(app_id).bind(channel).bind(*version).bind(&sealed[..]).bind(at),
        _ => tx.sql(UPDATE).bind(*version).bind(&sealed[..]).bind(at).bind(app_id).bind(channel),
    };
    statement.execute().await.map(drop)
}

impl From<Row> for SealedChannel {
    fn from((version, sealed, updated_at): Row) -> Self {
        Self { version, sealed, updated_at: Timestamp::from_millis(updated_at) }
    }
}
