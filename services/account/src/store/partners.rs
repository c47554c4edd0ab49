//! Partners and their sealed secrets.

use common::{
    clock::Timestamp,
    sql::{Database, Sql, SqlError, Text, Tx},
};

use super::{apps::SealedSecret, at};
use crate::{
    domain::partner::{PartnerDetails, PartnerLimits, PartnerName, Signing},
    error::AccountError,
};

/// Partners are few, all of them are kept in memory, and each has metrics of its own.
const MOST_PARTNERS: i64 = 1_000;

/// Partners as they are stored.
#[derive(Clone, Debug)]
pub(crate) struct Partners {
    database: Database,
}

/// One partner with its secrets still sealed.
#[derive(Clone, Debug)]
pub(crate) struct StoredPartner {
    pub(crate) details: PartnerDetails,
    /// Newest first.
    pub(crate) secrets: Vec<SealedSecret>,
}

/// The columns of [`PartnerRow`], of a table that is called `p`.
macro_rules! partner_columns {
    () => {
        "p.name, p.signing, p.enabled, p.events_per_second, p.burst, p.share, p.created_at, \
         (SELECT COUNT(*) FROM account_partner_secrets AS c WHERE c.partner = p.name) AS secrets"
    };
}

impl Partners {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Every partner, as of one moment.
    pub(crate) async fn all(&self) -> Result<Vec<StoredPartner>, AccountError> {
        let rows: Vec<RowWithSecret> = self
            .database
            .read(concat!(
                "SELECT ",
                partner_columns!(),
                ", s.version, s.sealed FROM account_partners AS p \
                 LEFT JOIN account_partner_secrets AS s ON s.partner = p.name ORDER BY p.name, s.version DESC"
            ))
            .all()
            .await?;
        let mut partners: Vec<StoredPartner> = Vec::new();
        for RowWithSecret { partner: row, version, sealed } in rows {
            let secret = version.zip(sealed).map(|(version, sealed)| SealedSecret { version, sealed });
            match partners.last_mut() {
                Some(partner) if partner.details.name.as_str() == &*row.name => partner.secrets.extend(secret),
                _ => partners.push(StoredPartner { details: row.try_into()?, secrets: secret.into_iter().collect() }),
            }
        }
        Ok(partners)
    }

    /// The partner; `None` when there is none.
    pub(crate) async fn find(&self, name: &PartnerName) -> Result<Option<PartnerDetails>, AccountError> {
        let row: Option<PartnerRow> = self
            .database
            .read(concat!("SELECT ", partner_columns!(), " FROM account_partners AS p WHERE p.name = ?"))
            .bind(name.as_str())
            .optional()
            .await?;
        row.map(PartnerDetails::try_from).transpose()
    }

    /// At most `limit` partners with names after `after`, by name.
    pub(crate) async fn page(&self, after: &str, limit: u32) -> Result<Vec<PartnerDetails>, AccountError> {
        let rows: Vec<PartnerRow> = self
            .database
            .read(concat!(
                "SELECT ",
                partner_columns!(),
                " FROM account_partners AS p WHERE p.name > ? ORDER BY p.name LIMIT ?"
            ))
            .bind(after)
            .bind(i64::from(limit))
            .all()
            .await?;
        rows.into_iter().map(PartnerDetails::try_from).collect()
    }
}

/// Makes a partner, without a secret.
pub(crate) async fn insert(tx: &mut Tx, partner: &PartnerDetails) -> Result<(), AccountError> {
    let (count,): (i64,) = tx.sql("SELECT COUNT(*) FROM account_partners").one().await?;
    if count >= MOST_PARTNERS {
        return Err(AccountError::TooManyPartners);
    }
    let inserted = tx
        .sql(
            "INSERT INTO account_partners (signing, enabled, events_per_second, burst, share, name, created_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(partner.signing.as_str())
        .bind(partner.enabled)
        .bind(partner.limits.events_per_second.map(|count| i64::from(count.get())))
        .bind(partner.limits.burst.map(|count| i64::from(count.get())))
        .bind(partner.limits.share.map(|share| i64::from(share.get())))
        .bind(partner.name.as_str())
        .bind(partner.created_at.as_millis())
        .execute()
        .await;
    match inserted {
        Err(SqlError::UniqueViolation { .. }) => Err(AccountError::PartnerTaken),
        inserted => Ok(inserted.map(drop)?),
    }
}

/// The partner, for a transaction that is to change it: nobody else changes it meanwhile.
pub(crate) async fn find_to_change(tx: &mut Tx, name: &PartnerName) -> Result<Option<PartnerDetails>, AccountError> {
    let statement = Sql::Each {
        mysql: concat!("SELECT ", partner_columns!(), " FROM account_partners AS p WHERE p.name = ? FOR UPDATE"),
        sqlite: concat!("SELECT ", partner_columns!(), " FROM account_partners AS p WHERE p.name = ?"),
    };
    let row: Option<PartnerRow> = tx.sql(statement).bind(name.as_str()).optional().await?;
    row.map(PartnerDetails::try_from).transpose()
}

/// Writes everything about a partner that can change.
pub(crate) async fn update(tx: &mut Tx, partner: &PartnerDetails) -> Result<(), SqlError> {
    tx.sql(
        "UPDATE account_partners SET signing = ?, enabled = ?, events_per_second = ?, burst = ?, share = ? \
         WHERE name = ?",
    )
    .bind(partner.signing.as_str())
    .bind(partner.enabled)
    .bind(partner.limits.events_per_second.map(|count| i64::from(count.get())))
    .bind(partner.limits.burst.map(|count| i64::from(count.get())))
    .bind(partner.limits.share.map(|share| i64::from(share.get())))
    .bind(partner.name.as_str())
    .execute()
    .await
    .map(drop)
}

/// Adds a secret of the next version, made by `seal`, and deletes all but it and the one before. Answers the version.
/// For a transaction that holds the partner.
pub(crate) async fn add_secret(
    tx: &mut Tx,
    name: &PartnerName,
    now: Timestamp,
    seal: impl FnOnce(i64) -> Vec<u8>,
) -> Result<i64, SqlError> {
    let newest: Option<(i64,)> = tx
        .sql("SELECT version FROM account_partner_secrets WHERE partner = ? ORDER BY version DESC LIMIT 1")
        .bind(name.as_str())
        .optional()
        .await?;
    let newest = newest.map_or(0, |(version,)| version);
    let version = newest + 1;
    let sealed = seal(version);
    tx.sql("INSERT INTO account_partner_secrets (partner, version, sealed, created_at) VALUES (?, ?, ?, ?)")
        .bind(name.as_str())
        .bind(version)
        .bind(sealed.as_slice())
        .bind(now.as_millis())
        .execute()
        .await?;
    tx.sql("DELETE FROM account_partner_secrets WHERE partner = ? AND version < ?")
        .bind(name.as_str())
        .bind(newest)
        .execute()
        .await?;
    Ok(version)
}

#[derive(sqlx::FromRow)]
struct PartnerRow {
    name: Text,
    signing: Text,
    enabled: bool,
    events_per_second: Option<i64>,
    burst: Option<i64>,
    share: Option<i64>,
    created_at: i64,
    secrets: i64,
}

#[derive(sqlx::FromRow)]
struct RowWithSecret {
    #[sqlx(flatten)]
    partner: PartnerRow,
    version: Option<i64>,
    sealed: Option<Vec<u8>>,
}

impl TryFrom<PartnerRow> for PartnerDetails {
    type Error = AccountError;

    fn try_from(row: PartnerRow) -> Result<Self, AccountError> {
        Ok(Self {
            name: name(&row.name)?,
            signing: Signing::parse(&row.signing).map_err(|_| AccountError::Damaged("account_partners.signing"))?,
            enabled: row.enabled,
            limits: limits(&row)?,
            secrets: u8::try_from(row.secrets).map_err(|_| AccountError::Damaged("account_partner_secrets"))?,
            created_at: at(row.created_at),
        })
    }
}

/// A stored name.
pub(crate) fn name(stored: &str) -> Result<PartnerName, AccountError> {
    PartnerName::parse(stored).map_err(|_| AccountError::Damaged("a partner's name"))
}

fn limits(row: &PartnerRow) -> Result<PartnerLimits, AccountError> {
    let limits = PartnerLimits::parse(row.events_per_second, row.burst, row.share);
    limits.map_err(|_| AccountError::Damaged("a partner's limits"))
}
