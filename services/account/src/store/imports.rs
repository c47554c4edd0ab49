//! Accounts of another platform, many at once, and how far an import has come.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    ops::Range,
};

use common::{
    clock::Timestamp,
    sql::{Database, Query, Sql, SqlError, Text, Tx},
};

use crate::{
    domain::{audit::AuditRecord, ids::AppId},
    import::{ImportId, Record},
    store::{accounts::CredentialName, audit},
};

/// Rows in one statement. Statements have a power of two of them, so that there are few texts.
const MOST_ROWS: usize = 512;

const CHECKPOINT: &str = "SELECT byte_offset, line_count, imported, skipped, rejected, rejects_bytes \
     FROM account_imports WHERE import_id = ?";

/// Waits for an attempt whose connection was lost while it committed.
const LOCK_CHECKPOINT: Sql = Sql::Each {
    mysql: "SELECT byte_offset, line_count, imported, skipped, rejected, rejects_bytes \
            FROM account_imports WHERE import_id = ? FOR UPDATE",
    sqlite: CHECKPOINT,
};

/// Accounts of another platform.
#[derive(Clone, Debug)]
pub(crate) struct Imports {
    database: Database,
}

/// An account that is to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewAccount<'r> {
    pub(crate) account_id: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) record: &'r Record,
    /// If the record has a phone.
    pub(crate) sealed_phone: Option<String>,
}

/// Which names of some records exist, and whose they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken {
    pub(crate) external_ids: HashSet<String>,
    owners: HashMap<NameKey, Owner>,
    /// Every app there is, of those that the records name.
    pub(crate) apps: HashSet<AppId>,
}

/// Who has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// An account that is there.
    Account(i64),
    /// One that is made of this line.
    Line(u64),
}

/// A credential as the database names it. Never printed: a name can be a person's.
#[derive(Clone, PartialEq, Eq, Hash)]
struct NameKey {
    kind: &'static str,
    scope: i64,
    name: String,
}

/// How far an import has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// The first byte that has not been looked at.
    pub(crate) offset: u64,
    pub(crate) lines: u64,
    pub(crate) imported: u64,
    pub(crate) skipped: u64,
    pub(crate) rejected: u64,
    /// Length of the file of rejects.
    pub(crate) rejects_bytes: u64,
}

impl Taken {
    /// Whose the name is, if it is anybody's.
    pub(crate) fn owner_of(&self, name: CredentialName<'_>) -> Option<Owner> {
        self.owners.get(&NameKey::of(name)).copied()
    }

    /// The name is somebody's.
    pub(crate) fn own(&mut self, name: CredentialName<'_>, owner: Owner) {
        self.owners.insert(NameKey::of(name), owner);
    }

    /// From now on this record's names are taken, too.
    pub(crate) fn add(&mut self, line: u64, record: &Record) {
        self.external_ids.extend(record.external_id.clone());
        for (_, name) in record.names() {
            self.own(name, Owner::Line(line));
        }
    }
}

impl NameKey {
    fn of(name: CredentialName<'_>) -> Self {
        Self { kind: name.kind().as_str(), scope: name.scope(), name: name.compared().to_owned() }
    }
}

impl fmt::Debug for NameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NameKey").field("kind", &self.kind).field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl Imports {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Which names of `records` exist. External ids are read last: an account that is made meanwhile has its own by the
    /// time its names are seen.
    pub(crate) async fn taken(&self, source: &str, records: &[&Record]) -> Result<Taken, SqlError> {
        let mut taken = Taken::default();
        let mut names: BTreeMap<(&'static str, i64), Vec<&str>> = BTreeMap::new();
        for (_, name) in records.iter().flat_map(|record| record.names()) {
            names.entry((name.kind().as_str(), name.scope())).or_default().push(name.compared());
        }
        for ((kind, scope), names) in names {
            let found = self.credentials(kind, scope, &names).await?;
            let owners = found.into_iter().map(|(name, owner)| (NameKey { kind, scope, name }, Owner::Account(owner)));
            taken.owners.extend(owners);
        }
        let apps: HashSet<AppId> = records.iter().flat_map(|record| record.apps()).map(|(_, app_id)| app_id).collect();
        for app_id in apps {
            if self.is_app(app_id).await? {
                taken.apps.insert(app_id);
            }
        }
        let external_ids: Vec<&str> = records.iter().filter_map(|record| record.external_id.as_deref()).collect();
        taken.external_ids = self.external_ids(source, &external_ids).await?;
        Ok(taken)
    }

    /// Makes the accounts with all that belongs to them, and notes how far the import is then: all or nothing. A `record`
    /// is written down with them. Answers how far it is: what was noted before, if an earlier attempt at the same lines has
    /// gone through after all.
    pub(crate) async fn write(
        &self,
        source: &str,
        accounts: &[NewAccount<'_>],
        id: ImportId,
        reached: Checkpoint,
        record: Option<&AuditRecord>,
        now: Timestamp,
    ) -> Result<Checkpoint, SqlError> {
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let noted = checkpoint(tx.sql(LOCK_CHECKPOINT), id).await?;
                if let Some(noted) = noted
                    && (noted.offset, noted.lines) == (reached.offset, reached.lines)
                {
                    return Ok(noted);
                }
                for rows in few_sizes(accounts.len()) {
                    insert_accounts(&mut tx, &accounts[rows]).await?;
                }
                insert_credentials(&mut tx, accounts).await?;
                insert_external_ids(&mut tx, source, accounts).await?;
                if let Some(record) = record {
                    audit::append(&mut tx, record, now).await?;
                }
                note(&mut tx, id, reached, now).await?;
                tx.commit().await?;
                Ok(reached)
            })
            .await
    }

    /// How far an import had come that did not end.
    pub(crate) async fn checkpoint(&self, id: ImportId) -> Result<Option<Checkpoint>, SqlError> {
        checkpoint(self.database.read(CHECKPOINT), id).await
    }

    /// The import is through, and that is written down.
    pub(crate) async fn forget(&self, id: ImportId, record: &AuditRecord, now: Timestamp) -> Result<(), SqlError> {
        let mut tx = self.database.begin().await?;
        tx.sql("DELETE FROM account_imports WHERE import_id = ?").bind(id.0.as_slice()).execute().await?;
        audit::append(&mut tx, record, now).await?;
        tx.commit().await
    }

    async fn external_ids(&self, source: &str, names: &[&str]) -> Result<HashSet<String>, SqlError> {
        let mut found = HashSet::new();
        for rows in few_sizes(names.len()) {
            let names = &names[rows];
            let before = "SELECT external_id FROM account_external_ids WHERE source = ? AND external_id IN (";
            let mut query = self.database.read(Sql::repeated(before, "?", names.len(), ")")).bind(source);
            for name in names {
                query = query.bind(*name);
            }
            let rows: Vec<(Text,)> = query.all().await?;
            found.extend(rows.into_iter().map(|(name,)| String::from(name)));
        }
        Ok(found)
    }

    async fn credentials(&self, kind: &str, scope: i64, names: &[&str]) -> Result<Vec<(String, i64)>, SqlError> {
        let mut found = Vec::new();
        for rows in few_sizes(names.len()) {
            let names = &names[rows];
            let before = "SELECT name, account_id FROM account_credentials WHERE kind = ? AND scope = ? AND name IN (";
            let mut query = self.database.read(Sql::repeated(before, "?", names.len(), ")")).bind(kind).bind(scope);
            for name in names {
                query = query.bind(*name);
            }
            let rows: Vec<(Text, i64)> = query.all().await?;
            found.extend(rows.into_iter().map(|(name, owner)| (String::from(name), owner)));
        }
        Ok(found)
    }

    /// The secret of some app, sealed, with what it opens as. Tells whose master key somebody has.
    pub(crate) async fn a_sealed_secret(&self) -> Result<Option<(i64, i64, Vec<u8>)>, SqlError> {
        let statement = "SELECT app_id, version, sealed FROM account_app_secrets ORDER BY app_id, version LIMIT 1";
        self.database.read(statement).optional().await
    }

    async fn is_app(&self, app_id: AppId) -> Result<bool, SqlError> {
        let select = self.database.read("SELECT app_id FROM account_apps WHERE app_id = ?").bind(app_id.get());
        Ok(select.optional::<(i64,)>().await?.is_some())
    }
}

impl NewAccount<'_> {
    /// What is stored beside a name.
    fn secret_of(&self, name: CredentialName<'_>) -> &str {
        let record = self.record;
        let secret = match name {
            CredentialName::Password(_) => record.password.as_ref().map(|password| password.hash.as_str()),
            CredentialName::Device(..) => record.device.as_ref().map(|device| device.secret_sha256.as_str()),
            CredentialName::Phone(_) => self.sealed_phone.as_deref(),
            CredentialName::Channel(..) => None,
        };
        secret.unwrap_or_default()
    }
}

async fn checkpoint(query: Query<'_>, id: ImportId) -> Result<Option<Checkpoint>, SqlError> {
    let row: Option<(i64, i64, i64, i64, i64, i64)> = query.bind(id.0.as_slice()).optional().await?;
    Ok(row.map(|(offset, lines, imported, skipped, rejected, rejects_bytes)| Checkpoint {
        offset: offset.unsigned_abs(),
        lines: lines.unsigned_abs(),
        imported: imported.unsigned_abs(),
        skipped: skipped.unsigned_abs(),
        rejected: rejected.unsigned_abs(),
        rejects_bytes: rejects_bytes.unsigned_abs(),
    }))
}

async fn insert_accounts(tx: &mut Tx, accounts: &[NewAccount<'_>]) -> Result<(), SqlError> {
    let before = "INSERT INTO account_accounts (account_id, token_epoch, created_at) VALUES ";
    let mut query = tx.sql(Sql::repeated(before, "(?, 0, ?)", accounts.len(), ""));
    for account in accounts {
        query = query.bind(account.account_id).bind(account.created_at.as_millis());
    }
    query.execute().await.map(drop)
}

async fn insert_credentials(tx: &mut Tx, accounts: &[NewAccount<'_>]) -> Result<(), SqlError> {
    let rows: Vec<(CredentialName<'_>, &NewAccount<'_>)> = accounts
        .iter()
        .flat_map(|account| account.record.names().into_iter().map(move |(_, name)| (name, account)))
        .collect();
    for range in few_sizes(rows.len()) {
        let rows = &rows[range];
        let before = "INSERT INTO account_credentials (kind, scope, name, shown_name, secret, account_id, created_at) \
                      VALUES ";
        let mut query = tx.sql(Sql::repeated(before, "(?, ?, ?, ?, ?, ?, ?)", rows.len(), ""));
        for (name, account) in rows {
            query = query.bind(name.kind().as_str()).bind(name.scope()).bind(name.compared()).bind(name.shown());
            query = query.bind(account.secret_of(*name)).bind(account.account_id);
            query = query.bind(account.created_at.as_millis());
        }
        query.execute().await?;
    }
    Ok(())
}

async fn insert_external_ids(tx: &mut Tx, source: &str, accounts: &[NewAccount<'_>]) -> Result<(), SqlError> {
    let rows: Vec<(&str, i64)> = accounts
        .iter()
        .filter_map(|account| account.record.external_id.as_deref().map(|id| (id, account.account_id)))
        .collect();
    for range in few_sizes(rows.len()) {
        let rows = &rows[range];
        let before = "INSERT INTO account_external_ids (source, external_id, account_id) VALUES ";
        let mut query = tx.sql(Sql::repeated(before, "(?, ?, ?)", rows.len(), ""));
        for (external_id, account_id) in rows {
            query = query.bind(source).bind(*external_id).bind(*account_id);
        }
        query.execute().await?;
    }
    Ok(())
}

async fn note(tx: &mut Tx, id: ImportId, reached: Checkpoint, now: Timestamp) -> Result<(), SqlError> {
    let insert = "REPLACE INTO account_imports (import_id, byte_offset, line_count, imported, skipped, rejected, \
                  rejects_bytes, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    let Checkpoint { offset, lines, imported, skipped, rejected, rejects_bytes } = reached;
    let mut query = tx.sql(insert).bind(id.0.as_slice());
    for number in [offset, lines, imported, skipped, rejected, rejects_bytes] {
        query = query.bind(i64::try_from(number).unwrap_or(i64::MAX));
    }
    query.bind(now.as_millis()).execute().await.map(drop)
}

/// `0..length` in pieces of a power of two each, at most [`MOST_ROWS`].
fn few_sizes(length: usize) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let left = (length - from).min(MOST_ROWS);
        let size = 1 << left.checked_ilog2()?;
        from += size;
        Some(from - size..from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_rows_is_written_in_pieces_of_few_sizes() {
        for length in [0, 1, 2, 3, 511, 512, 513, 1500] {
            let pieces: Vec<Range<usize>> = few_sizes(length).collect();
            let rows: Vec<usize> = pieces.iter().cloned().flatten().collect();
            assert_eq!(rows, (0..length).collect::<Vec<_>>());
            assert!(pieces.iter().all(|piece| piece.len().is_power_of_two() && piece.len() <= MOST_ROWS));
        }
    }
}
