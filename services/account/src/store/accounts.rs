//! Accounts and their credentials.

use common::{
    clock::Timestamp,
    sql::{Database, Sql, SqlError, Text, Tx},
};

use super::{account_id, app_id, at, counter, sessions};
use crate::{
    domain::{
        channel::identity::ChannelIdentity,
        credential::CredentialKind,
        device::DeviceId,
        ids::{AccountId, AppId},
        personal_data::PhoneIndex,
        username::Username,
    },
    error::AccountError,
};

/// The usernames of all apps are one space, and so are the phones.
pub(super) const EVERY_APP: i64 = 0;

/// A profile lists at most this many credentials. Protects the answer's size.
const MOST_LISTED: i64 = 100;

/// Accounts and their credentials.
#[derive(Clone, Debug)]
pub(crate) struct Accounts {
    database: Database,
}

/// What names a credential. Two of them never name the same one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CredentialName<'a> {
    Password(&'a Username),
    /// A device is known to each app separately: another app must not be able to lock a player out of this one.
    Device(AppId, &'a DeviceId),
    /// A phone is one person's in all apps, as a username is.
    Phone(&'a PhoneIndex),
    /// A player of a channel, as the app has configured it: the same channel may be another game to another app.
    Channel(AppId, &'a ChannelIdentity),
}

/// A credential as it is checked.
#[derive(Clone, Debug)]
pub(crate) struct StoredCredential {
    pub(crate) account_id: AccountId,
    /// Password hash, device secret hash or sealed phone.
    pub(crate) secret: String,
    /// The account's epoch now.
    pub(crate) epoch: u32,
    /// The account has signed in from the device before, as far as sessions are kept.
    pub(crate) device_is_known: bool,
    /// When the account will be deleted; `None`: it will not.
    pub(crate) deletion_executes_at: Option<Timestamp>,
}

/// A credential, and what has been decided about its account.
#[derive(Clone, Debug)]
pub(crate) struct SettledCredential {
    pub(crate) account_id: AccountId,
    pub(crate) secret: String,
    /// When the account will be deleted; `None`: it will not.
    pub(crate) deletion_executes_at: Option<Timestamp>,
}

/// A credential as its owner and operators see it.
#[derive(Clone, Debug)]
pub(crate) struct ListedCredential {
    pub(crate) kind: String,
    /// Empty for a phone: nothing about it is stored in the clear.
    pub(crate) shown_name: String,
    /// The app that knows it; `None`: every app does.
    pub(crate) app_id: Option<AppId>,
    pub(crate) created_at: Timestamp,
    /// With a phone.
    pub(crate) phone: Option<StoredPhone>,
}

/// A phone as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct StoredPhone {
    pub(crate) index: PhoneIndex,
    pub(crate) sealed: String,
}

/// Whether an account was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Creation {
    Created,
    /// The credential belongs to an account already; nothing was changed.
    NameTaken,
}

impl<'a> CredentialName<'a> {
    pub(crate) fn kind(self) -> CredentialKind {
        match self {
            Self::Password(_) => CredentialKind::Password,
            Self::Device(..) => CredentialKind::Device,
            Self::Phone(_) => CredentialKind::Phone,
            Self::Channel(..) => CredentialKind::Channel,
        }
    }

    pub(super) fn scope(self) -> i64 {
        match self {
            Self::Password(_) | Self::Phone(_) => EVERY_APP,
            Self::Device(app_id, _) | Self::Channel(app_id, _) => app_id.get(),
        }
    }

    pub(super) fn compared(self) -> &'a str {
        match self {
            Self::Password(username) => username.folded(),
            Self::Device(_, device_id) => device_id.as_str(),
            Self::Phone(index) => index.as_str(),
            Self::Channel(_, identity) => identity.compared(),
        }
    }

    pub(super) fn shown(self) -> &'a str {
        match self {
            Self::Password(username) => username.shown(),
            Self::Device(_, device_id) => device_id.as_str(),
            Self::Phone(_) => "",
            Self::Channel(_, identity) => identity.shown(),
        }
    }

    /// Writes the credential. A name that exists is a unique violation.
    pub(super) async fn insert(
        self,
        tx: &mut Tx,
        secret: &str,
        account: AccountId,
        now: Timestamp,
    ) -> Result<(), SqlError> {
        tx.sql(
            "INSERT INTO account_credentials (kind, scope, name, shown_name, secret, account_id, created_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(self.kind().as_str())
        .bind(self.scope())
        .bind(self.compared())
        .bind(self.shown())
        .bind(secret)
        .bind(account.get())
        .bind(now.as_millis())
        .execute()
        .await
        .map(drop)
    }
}

/// From its beginning to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    pub(crate) created_at: Timestamp,
    /// When the player asked for the deletion that is pending, and when it is carried out.
    pub(crate) deletion: Option<(Timestamp, Timestamp)>,
    pub(crate) deleted_at: Option<Timestamp>,
}

impl Accounts {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// The credential of that name, with its account's epoch, and whether the account knows `device`.
    pub(crate) async fn credential(
        &self,
        name: CredentialName<'_>,
        device: Option<&DeviceId>,
    ) -> Result<Option<StoredCredential>, AccountError> {
        let row: Option<(i64, Text, i64, i64, Option<i64>)> = self
            .database
            .read(
                "SELECT c.account_id, c.secret, a.token_epoch, EXISTS (SELECT 1 FROM account_sessions AS s \
                 WHERE s.account_id = c.account_id AND s.device_id = ?), a.deletion_executes_at \
                 FROM account_credentials AS c \
                 JOIN account_accounts AS a ON a.account_id = c.account_id \
                 WHERE c.kind = ? AND c.scope = ? AND c.name = ?",
            )
            .bind(device.map(DeviceId::as_str))
            .bind(name.kind().as_str())
            .bind(name.scope())
            .bind(name.compared())
            .optional()
            .await?;
        row.map(|(id, secret, epoch, device_is_known, deletion_executes_at)| {
            Ok(StoredCredential {
                account_id: account_id(id)?,
                secret: secret.into(),
                epoch: counter(epoch, "token_epoch")?,
                device_is_known: device_is_known != 0,
                deletion_executes_at: deletion_executes_at.map(at),
            })
        })
        .transpose()
    }

    /// The credential of that name once nobody is changing it or its account: whoever was has committed or given up.
    pub(crate) async fn credential_settled(
        &self,
        name: CredentialName<'_>,
    ) -> Result<Option<SettledCredential>, AccountError> {
        // SQLite has one writer at a time: what was not committed when the caller wrote begins after it.
        let statement = Sql::Each {
            mysql: "SELECT c.account_id, c.secret, a.deletion_executes_at FROM account_credentials AS c \
                 JOIN account_accounts AS a ON a.account_id = c.account_id \
                 WHERE c.kind = ? AND c.scope = ? AND c.name = ? LOCK IN SHARE MODE",
            sqlite: "SELECT c.account_id, c.secret, a.deletion_executes_at FROM account_credentials AS c \
                 JOIN account_accounts AS a ON a.account_id = c.account_id \
                 WHERE c.kind = ? AND c.scope = ? AND c.name = ?",
        };
        let row: Option<(i64, Text, Option<i64>)> = self
            .database
            .retrying(|| async {
                self.database
                    .read(statement.clone())
                    .bind(name.kind().as_str())
                    .bind(name.scope())
                    .bind(name.compared())
                    .optional()
                    .await
            })
            .await?;
        row.map(|(id, secret, deletion_executes_at)| {
            Ok(SettledCredential {
                account_id: account_id(id)?,
                secret: secret.into(),
                deletion_executes_at: deletion_executes_at.map(at),
            })
        })
        .transpose()
    }

    /// Puts `new` in place of the secret that was `read`. `false`: it has changed since, and stays as it is.
    pub(crate) async fn replace_secret(
        &self,
        name: CredentialName<'_>,
        read: &str,
        new: &str,
    ) -> Result<bool, AccountError> {
        let changed = self
            .database
            .write("UPDATE account_credentials SET secret = ? WHERE kind = ? AND scope = ? AND name = ? AND secret = ?")
            .bind(new)
            .bind(name.kind().as_str())
            .bind(name.scope())
            .bind(name.compared())
            .bind(read)
            .execute()
            .await?;
        Ok(changed == 1)
    }

    /// Makes an account with its first credential and its first session, all or nothing. Of two callers that ask for one
    /// name at once, one is told that it is taken.
    pub(crate) async fn create(
        &self,
        name: CredentialName<'_>,
        secret: &str,
        session: &sessions::NewSession,
    ) -> Result<Creation, AccountError> {
        let attempt = || self.try_create(name, secret, session);
        match self.database.retrying(attempt).await {
            Ok(()) => Ok(Creation::Created),
            // Account and session ids are never given out twice, so only the name can exist.
            Err(SqlError::UniqueViolation { .. }) => Ok(Creation::NameTaken),
            Err(error) => Err(error.into()),
        }
    }

    async fn try_create(
        &self,
        name: CredentialName<'_>,
        secret: &str,
        session: &sessions::NewSession,
    ) -> Result<(), SqlError> {
        let created_at = session.created_at.as_millis();
        let mut tx = self.database.begin().await?;
        // The credential first: who loses the race for the name has written nothing else.
        name.insert(&mut tx, secret, session.account_id, session.created_at).await?;
        tx.sql("INSERT INTO account_accounts (account_id, token_epoch, created_at) VALUES (?, ?, ?)")
            .bind(session.account_id.get())
            .bind(i64::from(session.epoch))
            .bind(created_at)
            .execute()
            .await?;
        sessions::insert(&mut tx, session).await?;
        tx.commit().await
    }

    /// When the account was made; `None` when there is no such account.
    pub(crate) async fn created_at(&self, account_id: AccountId) -> Result<Option<Timestamp>, AccountError> {
        let row: Option<(i64,)> = self
            .database
            .read("SELECT created_at FROM account_accounts WHERE account_id = ?")
            .bind(account_id.get())
            .optional()
            .await?;
        Ok(row.map(|(created_at,)| at(created_at)))
    }

    /// What there is to know of the account's life; `None` when there is no such account.
    pub(crate) async fn life(&self, account_id: AccountId) -> Result<Option<Life>, AccountError> {
        let row: Option<LifeRow> = self
            .database
            .read(
                "SELECT created_at, deletion_requested_at, deletion_executes_at, deleted_at FROM account_accounts \
                 WHERE account_id = ?",
            )
            .bind(account_id.get())
            .optional()
            .await?;
        Ok(row.map(Life::from))
    }

    /// What the account can be signed in to with, in `app_id`: its devices of other apps are left out.
    pub(crate) async fn credentials(
        &self,
        account_id: AccountId,
        app_id: AppId,
    ) -> Result<Vec<ListedCredential>, AccountError> {
        let rows: Vec<ListedRow> = self
            .database
            .read(
                "SELECT kind, shown_name, scope, created_at, CASE WHEN kind = ? THEN name END AS phone_index, \
                 CASE WHEN kind = ? THEN secret END AS sealed_phone FROM account_credentials \
                 WHERE account_id = ? AND scope IN (?, ?) ORDER BY created_at, kind LIMIT ?",
            )
            .bind(CredentialKind::Phone.as_str())
            .bind(CredentialKind::Phone.as_str())
            .bind(account_id.get())
            .bind(EVERY_APP)
            .bind(app_id.get())
            .bind(MOST_LISTED)
            .all()
            .await?;
        rows.into_iter().map(ListedCredential::try_from).collect()
    }

    /// What the account can be signed in to with, in any app.
    pub(crate) async fn credentials_of_every_app(
        &self,
        account_id: AccountId,
    ) -> Result<Vec<ListedCredential>, AccountError> {
        let rows: Vec<ListedRow> = self
            .database
            .read(
                "SELECT kind, shown_name, scope, created_at, CASE WHEN kind = ? THEN name END AS phone_index, \
                 CASE WHEN kind = ? THEN secret END AS sealed_phone FROM account_credentials \
                 WHERE account_id = ? ORDER BY created_at, kind LIMIT ?",
            )
            .bind(CredentialKind::Phone.as_str())
            .bind(CredentialKind::Phone.as_str())
            .bind(account_id.get())
            .bind(MOST_LISTED)
            .all()
            .await?;
        rows.into_iter().map(ListedCredential::try_from).collect()
    }
}

#[derive(sqlx::FromRow)]
struct LifeRow {
    created_at: i64,
    deletion_requested_at: Option<i64>,
    deletion_executes_at: Option<i64>,
    deleted_at: Option<i64>,
}

impl From<LifeRow> for Life {
    fn from(row: LifeRow) -> Self {
        Self {
            created_at: at(row.created_at),
            deletion: row.deletion_requested_at.map(at).zip(row.deletion_executes_at.map(at)),
            deleted_at: row.deleted_at.map(at),
        }
    }
}

#[derive(sqlx::FromRow)]
struct ListedRow {
    kind: Text,
    shown_name: Text,
    scope: i64,
    created_at: i64,
    /// With a phone, as is the next one.
    phone_index: Option<Text>,
    sealed_phone: Option<Text>,
}

impl TryFrom<ListedRow> for ListedCredential {
    type Error = AccountError;

    fn try_from(row: ListedRow) -> Result<Self, AccountError> {
        let scope = (row.scope != EVERY_APP).then(|| app_id(row.scope)).transpose()?;
        Ok(Self {
            kind: row.kind.into(),
            shown_name: row.shown_name.into(),
            app_id: scope,
            created_at: at(row.created_at),
            phone: row.phone_index.zip(row.sealed_phone).map(|(index, sealed)| StoredPhone {
                index: PhoneIndex::from_stored(index.into()),
                sealed: sealed.into(),
            }),
        })
    }
}
