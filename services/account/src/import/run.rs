//! Lines into batches into the database.

use std::{
    future::Future,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use common::{
    clock::{SharedClock, SystemRandom},
    sql::{Database, Segments, SqlError},
};
use serde::Serialize;
use tokio::{fs::canonicalize, io::AsyncBufRead, time::sleep};

use super::{
    input::{ImportId, OpenInput},
    lines::{LONGEST_LINE, Line, Lines},
    record::{Record, Refusal},
    rejects::Rejects,
    sorting::{Sorted, sort},
};
use crate::{
    MasterKey,
    domain::{
        audit::{Action, Actor, AuditRecord, Details, Target},
        field::FieldError,
        ids::{AccountId, AppId},
        master_key::{Secret, Vault},
        personal_data::PersonalData,
    },
    start::ACCOUNT_IDS,
    store::imports::{Checkpoint, Imports, NewAccount, Taken},
};

/// Lines that are written together. Protects players from waiting behind a long transaction.
const BATCH: usize = 512;

/// How often something is tried while the database is away or somebody takes a batch's names meanwhile, and the pause
/// between.
const ATTEMPTS: u32 = 30;
const PAUSE: Duration = Duration::from_secs(1);

/// How often the names of a batch are read until two readings in a row say the same.
const LOOKS: usize = 5;

/// Imports accounts into an open, migrated database. The platform may run meanwhile.
#[derive(Debug)]
pub struct Import {
    imports: Imports,
    account_ids: Segments,
    personal_data: PersonalData,
    clock: SharedClock,
    source: String,
}

/// How far an import has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Lines that were looked at, those of earlier runs of the same import included. So are all counts.
    pub lines: u64,
    /// Accounts made.
    pub imported: u64,
    /// Accounts that were there.
    pub skipped: u64,
    /// Lines that are no account, or one whose name another account has.
    pub rejected: u64,
    /// Bytes behind us.
    pub bytes: u64,
    /// Bytes in all, where that is known.
    pub total_bytes: Option<u64>,
}

/// What came of an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Lines that were looked at, those of earlier runs of the same import included. So are all counts.
    pub lines: u64,
    /// Accounts made.
    pub imported: u64,
    /// Accounts that were there.
    pub skipped: u64,
    /// Lines that are no account, or one whose name another account has.
    pub rejected: u64,
    /// Lines that an earlier run had done.
    pub resumed_after_line: u64,
    /// Where the rejected lines are named, if there are any.
    pub rejects: Option<PathBuf>,
}

/// Why an import stopped. What it had done stays done.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// An argument is not allowed.
    #[error(transparent)]
    Argument(#[from] FieldError),
    /// The accounts can't be read.
    #[error("the accounts can't be read")]
    Input(#[source] io::Error),
    /// Rejected lines can't be written down.
    #[error("the file of rejects can't be written")]
    Rejects(#[source] io::Error),
    /// The database did not answer, or not as expected.
    #[error("the account store can't be changed")]
    Store(#[from] SqlError),
    /// Phones that are sealed under another key than the platform's nobody finds.
    #[error("the master key is not the one that this database is sealed under")]
    WrongMasterKey,
    /// There are as many accounts as there can be.
    #[error("there are as many accounts as there can be")]
    NoMoreIds,
    /// Somebody makes accounts of the same names all the time.
    #[error("accounts with the same names are made faster than they can be looked at")]
    Unsettled,
}

/// Some lines on their way into the database.
#[derive(Debug, Default)]
struct Batch {
    records: Vec<(u64, Record)>,
    refused: Vec<(u64, Refusal)>,
    /// Lines, those included that hold nothing.
    lines: u64,
    /// Where the next one begins.
    end: u64,
}

impl Import {
    /// Prepares an import of what the platform `source` calls its accounts. Phones are sealed under `master_key`: it has to
    /// be that of the running platform, or nobody would find them.
    ///
    /// # Errors
    /// [`ImportError::Argument`] when `source` is not 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`; [`ImportError::WrongMasterKey`].
    pub async fn open(
        database: Database,
        master_key: &MasterKey,
        clock: SharedClock,
        source: &str,
    ) -> Result<Self, ImportError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        if !(1..=64).contains(&source.len()) || !source.bytes().all(allowed) {
            return Err(FieldError::new("source", "must be 1 to 64 of a-z, 0-9, '.', '_' and '-'").into());
        }
        let account_ids = patiently(|| Segments::open(&database, ACCOUNT_IDS)).await?;
        let (imports, personal_data) = (Imports::new(database), PersonalData::new(master_key));
        let secret = patiently(|| imports.a_sealed_secret()).await?;
        if secret.is_some_and(|(app_id, version, sealed)| !opens(master_key, app_id, version, &sealed)) {
            return Err(ImportError::WrongMasterKey);
        }
        Ok(Self { imports, account_ids, personal_data, clock, source: source.to_owned() })
    }

    /// Imports what `file` holds, from where an earlier run stopped, and names refused lines in the file `rejects`.
    /// Calls `progress` after each batch. A pipe is read as well, but begins anew each time.
    pub async fn run(
        &self,
        file: &Path,
        rejects: &Path,
        mut progress: impl FnMut(&Progress),
    ) -> Result<Summary, ImportError> {
        if is_the_same(file, rejects).await {
            return Err(FieldError::new("rejects", "must be another file than the accounts").into());
        }
        let input = OpenInput::open(file, &self.source, &SystemRandom).await.map_err(ImportError::Input)?;
        let (id, total_bytes) = (input.id, input.length);
        let began = patiently(|| self.imports.checkpoint(id)).await?.unwrap_or_default();
        let stream = input.read_from(began.offset).await.map_err(ImportError::Input)?;
        let mut lines = Lines::new(stream, began.lines, began.offset);
        let mut written = Rejects::open(rejects, began.rejects_bytes).await.map_err(ImportError::Rejects)?;
        let mut done = began;
        loop {
            let batch = self.read(&mut lines).await.map_err(ImportError::Input)?;
            if batch.lines == 0 {
                break;
            }
            done = self.write(&batch, done, &mut written, id).await?;
            progress(&Progress::of(&done, total_bytes));
        }
        self.finish(id, done).await;
        Ok(Summary {
            lines: done.lines,
            imported: done.imported,
            skipped: done.skipped,
            rejected: done.rejected,
            resumed_after_line: began.lines,
            rejects: (done.rejected > 0).then(|| rejects.to_owned()),
        })
    }

    /// Writes down that the import is through. It is, whether or not that can be written: then its checkpoint stays until
    /// the clean-up takes it, and the same file again finds nothing left to do.
    async fn finish(&self, id: ImportId, done: Checkpoint) {
        let counts = [
            ("lines", done.lines),
            ("imported", done.imported),
            ("skipped", done.skipped),
            ("rejected", done.rejected),
        ];
        let details = counts.into_iter().fold(Details::default(), |details, (name, count)| details.with(name, count));
        let record = self.record("account.import", details);
        let now = self.clock.now();
        if let Err(error) = patiently(|| self.imports.forget(id, &record, now)).await {
            tracing::warn!(%error, "the import is through, which could not be written down");
        }
    }

    fn record(&self, action: &'static str, details: Details) -> AuditRecord {
        AuditRecord {
            actor: Actor::command_line(),
            action: Action::of(action),
            target: Target::import(&self.source),
            request_id: None,
            details,
        }
    }

    async fn read(&self, lines: &mut Lines<impl AsyncBufRead + Unpin>) -> io::Result<Batch> {
        let (mut batch, before, now) = (Batch::default(), lines.number, self.clock.now());
        while batch.records.len() + batch.refused.len() < BATCH {
            let number = lines.number + 1;
            let parsed = match lines.next().await? {
                None => break,
                Some(Line::TooLong) => Err(Refusal::TooLong { most: LONGEST_LINE }),
                Some(Line::Text(text)) if text.trim_ascii().is_empty() => continue,
                Some(Line::Text(text)) => Record::parse(text, now, &self.personal_data),
            };
            match parsed {
                Ok(record) => batch.records.push((number, record)),
                Err(refusal) => batch.refused.push((number, refusal)),
            }
        }
        Ok(Batch { lines: lines.number - before, end: lines.offset, ..batch })
    }

    /// Writes a batch, whatever it takes: a database that restarts, players who take a name at this very moment. Answers
    /// how far we are then.
    async fn write(
        &self,
        batch: &Batch,
        before: Checkpoint,
        rejects: &mut Rejects,
        id: ImportId,
    ) -> Result<Checkpoint, ImportError> {
        let mut attempt = 1;
        loop {
            match self.try_write(batch, before, rejects, id).await {
                // What became of a commit whose outcome is unknown, the next attempt finds noted.
                Err(ImportError::Store(error)) if attempt < ATTEMPTS && error.is_temporary() => sleep(PAUSE).await,
                Err(ImportError::Unsettled) if attempt < ATTEMPTS => sleep(PAUSE).await,
                Err(ImportError::Store(SqlError::UniqueViolation { .. })) if attempt < ATTEMPTS => {}
                outcome => return outcome,
            }
            attempt += 1;
        }
    }

    async fn try_write(
        &self,
        batch: &Batch,
        before: Checkpoint,
        rejects: &mut Rejects,
        id: ImportId,
    ) -> Result<Checkpoint, ImportError> {
        let sorted = self.sorted(batch).await?;
        let mut accounts = Vec::with_capacity(sorted.new.len());
        let now = self.clock.now();
        for record in sorted.new {
            let created_at = record.created_at.unwrap_or(now);
            let account_id = self.account_ids.next().await?;
            accounts.push(NewAccount {
                account_id,
                created_at,
                record,
                sealed_phone: self.sealed(account_id, record)?,
            });
        }
        let mut refused = [&batch.refused[..], &sorted.refused].concat();
        refused.sort_by_key(|(line, _)| *line);
        let rejects_bytes = rejects.write(before.rejects_bytes, &refused).await.map_err(ImportError::Rejects)?;
        let after = Checkpoint {
            offset: batch.end,
            lines: before.lines + batch.lines,
            imported: before.imported + accounts.len() as u64,
            skipped: before.skipped + sorted.skipped,
            rejected: before.rejected + refused.len() as u64,
            rejects_bytes,
        };
        // Beside the first accounts: an import that is killed has been begun all the same.
        let begins = (before.lines == 0).then(|| self.record("account.import_begin", Details::default()));
        Ok(self.imports.write(&self.source, &accounts, id, after, begins.as_ref(), now).await?)
    }

    /// The phone, so that it opens as this account's only.
    fn sealed(&self, account_id: i64, record: &Record) -> Result<Option<String>, ImportError> {
        let Some(phone) = &record.phone else { return Ok(None) };
        let owner = AccountId::parse(account_id).map_err(|_| ImportError::NoMoreIds)?;
        Ok(Some(self.personal_data.seal(&phone.number, owner, &SystemRandom)))
    }

    async fn sorted<'b>(&self, batch: &'b Batch) -> Result<Sorted<'b>, ImportError> {
        let records: Vec<&Record> = batch.records.iter().map(|(_, record)| record).collect();
        settle(batch, || self.imports.taken(&self.source, &records)).await
    }
}

/// What becomes of the records. Names are read one kind after the other, so somebody who commits the same account
/// meanwhile is seen by halves, and half of an account looks like another one that has the name. Whoever was seen by
/// halves is seen whole the next time: a name is somebody else's only if two readings in a row say so.
async fn settle<F>(batch: &Batch, mut look: impl FnMut() -> F) -> Result<Sorted<'_>, ImportError>
where
    F: Future<Output = Result<Taken, SqlError>>,
{
    let mut sorted = sort(&batch.records, look().await?);
    for _ in 1..LOOKS {
        if sorted.refused.is_empty() {
            return Ok(sorted);
        }
        let before = std::mem::replace(&mut sorted, sort(&batch.records, look().await?));
        if sorted.refused_lines().eq(before.refused_lines()) {
            return Ok(sorted);
        }
    }
    Err(ImportError::Unsettled)
}

/// Whether the secret of an app was sealed under this key.
fn opens(master_key: &MasterKey, app_id: i64, version: i64, sealed: &[u8]) -> bool {
    let app_id = AppId::parse(app_id).ok();
    app_id.is_some_and(|app_id| Vault::new(master_key).open(Secret::AppSecret { app_id, version }, sealed).is_some())
}

/// Asks again while the database is away.
async fn patiently<T, F>(mut ask: impl FnMut() -> F) -> Result<T, SqlError>
where
    F: Future<Output = Result<T, SqlError>>,
{
    for _ in 1..ATTEMPTS {
        match ask().await {
            Err(error) if error.is_temporary() => sleep(PAUSE).await,
            answered => return answered,
        }
    }
    ask().await
}

/// Whether both paths lead to one file. One that is not there yet is no other.
async fn is_the_same(one: &Path, other: &Path) -> bool {
    match (canonicalize(one).await, canonicalize(other).await) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

impl Progress {
    fn of(done: &Checkpoint, total_bytes: Option<u64>) -> Self {
        Self {
            lines: done.lines,
            imported: done.imported,
            skipped: done.skipped,
            rejected: done.rejected,
            bytes: done.offset,
            total_bytes,
        }
    }
}

#[cfg(test)]
mod tests;
