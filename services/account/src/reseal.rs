//! Another master key: everything that is sealed under the old one is sealed under the new one. For the command line,
//! while no process of the platform runs.
//!
//! **Invariants**
//! - A value that opens under the new key is done: a change that was interrupted goes on where it was.
//! - Nothing is changed before every key and secret has opened under one of the two keys.
//! - Phones are written first, batch by batch; keys, secrets and documents last, together and with their record. Until
//!   then no process can start under the new key and find only half of its phones.

use common::{
    clock::{Random, SharedClock, SharedRandom},
    sql::Database,
    token::master_key::TokenKeyVault,
};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    MasterKey,
    domain::{
        audit::{Action, Actor, AuditRecord, Details, Target},
        channel::vault::{ChannelVault, DocumentPlace},
        master_key::{Secret, Vault},
        personal_data::PersonalData,
        signing_key_vault::SigningKeyVault,
    },
    error::AccountError,
    store::sealed::{PhoneRow, Place, SealedRow, SealedRows},
};

/// Phones that are written together. Bounds a transaction.
const BATCH: u32 = 512;

/// Seals everything anew.
#[derive(Debug)]
pub struct Reseal {
    rows: SealedRows,
    old: Vaults,
    new: Vaults,
    is_same: bool,
    clock: SharedClock,
    random: SharedRandom,
}

/// What was done. What an interrupted run had done before is not counted again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Resealed {
    /// Keys of tokens of both kinds.
    pub keys: u64,
    /// Secrets of apps.
    pub app_secrets: u64,
    /// Documents of channels.
    pub channels: u64,
    /// Secrets of partners.
    pub partner_secrets: u64,
    /// Phones of players.
    pub phones: u64,
    /// Phones that opened under neither key, and were left as they are.
    pub unreadable_phones: u64,
    /// Bans of devices that had to be lifted, because only a digest under the old key was kept of whom they concern.
    pub device_bans_lifted: u64,
}

/// Why nothing, or not everything, was sealed anew. It can be run again.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    /// There is nothing to do.
    #[error("the new master key is the one that is configured")]
    SameKey,
    /// The configured key is not the one of this database; nothing was changed.
    #[error("neither the configured master key nor the new one opens {0}")]
    WrongKey(&'static str),
    /// The database did not answer, or not as expected.
    #[error("the account store can't be changed")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Everything that seals, under one master key.
#[derive(Debug)]
struct Vaults {
    token_keys: TokenKeyVault,
    signing_keys: SigningKeyVault,
    /// Secrets of apps and partners.
    secrets: Vault,
    channels: ChannelVault,
    personal_data: PersonalData,
}

impl Reseal {
    /// From the `old` master key to the `new` one, in an open, migrated database.
    pub fn new(database: Database, old: &MasterKey, new: &MasterKey, clock: SharedClock, random: SharedRandom) -> Self {
        let is_same = *old.reveal() == *new.reveal();
        Self { rows: SealedRows::new(database), old: Vaults::new(old), new: Vaults::new(new), is_same, clock, random }
    }

    /// Does it. Whatever it answers, it may be run again.
    pub async fn run(&self) -> Result<Resealed, ResealError> {
        if self.is_same {
            return Err(ResealError::SameKey);
        }
        let mut done = Resealed::default();
        let rows = self.sealed_anew(&self.rows.all_but_phones().await?, &mut done)?;
        self.phones(&mut done).await?;
        let now = self.clock.now();
        done.device_bans_lifted = self.rows.device_bans(now).await?;
        self.rows.replace(&rows, &record(&done), now).await?;
        Ok(done)
    }

    fn sealed_anew(&self, rows: &[SealedRow], done: &mut Resealed) -> Result<Vec<SealedRow>, ResealError> {
        let mut changed = Vec::new();
        for row in rows {
            if self.new.open(row).is_some() {
                continue;
            }
            let opened = self.old.open(row).ok_or(ResealError::WrongKey(described(&row.place)))?;
            let sealed = self.new.seal(&row.place, &opened, self.random.as_ref());
            let sealed = sealed.ok_or(ResealError::WrongKey(described(&row.place)))?;
            changed.push(SealedRow { place: row.place.clone(), sealed });
            match row.place {
                Place::TokenKey(_) | Place::SigningKey(_) => done.keys += 1,
                Place::AppSecret { .. } => done.app_secrets += 1,
                Place::Channel { .. } => done.channels += 1,
                Place::PartnerSecret { .. } => done.partner_secrets += 1,
            }
        }
        Ok(changed)
    }

    /// In the order of their indexes. One that was moved ahead of us is met again, and is done.
    async fn phones(&self, done: &mut Resealed) -> Result<(), ResealError> {
        let mut after = String::new();
        loop {
            let rows = self.rows.phones_after(&after, BATCH).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            last.index.as_str().clone_into(&mut after);
            let mut changed = Vec::new();
            for row in rows {
                if self.new.personal_data.open(&row.sealed, row.account_id, &row.index).is_some() {
                    continue;
                }
                match self.old.personal_data.open(&row.sealed, row.account_id, &row.index) {
                    None => done.unreadable_phones += 1,
                    Some(phone) => {
                        let (personal_data, account_id) = (&self.new.personal_data, row.account_id);
                        let sealed = personal_data.seal(&phone, account_id, self.random.as_ref());
                        let new = PhoneRow { account_id, index: personal_data.index_of(&phone), sealed };
                        changed.push((row, new));
                    }
                }
            }
            self.rows.replace_phones(&changed).await?;
            done.phones += changed.len() as u64;
        }
    }
}

impl Vaults {
    fn new(master_key: &MasterKey) -> Self {
        Self {
            token_keys: TokenKeyVault::new(master_key),
            signing_keys: SigningKeyVault::new(master_key),
            secrets: Vault::new(master_key),
            channels: ChannelVault::new(master_key),
            personal_data: PersonalData::new(master_key),
        }
    }

    fn open(&self, SealedRow { place, sealed }: &SealedRow) -> Option<Zeroizing<Vec<u8>>> {
        let owned = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
        match place {
            Place::TokenKey(id) => self.token_keys.open(*id, sealed).map(|key| owned(key.as_slice())),
            Place::SigningKey(number) => self.signing_keys.open(*number, sealed).map(|seed| owned(seed.as_slice())),
            Place::AppSecret { app_id, version } => {
                self.secrets.open(Secret::AppSecret { app_id: *app_id, version: *version }, sealed)
            }
            Place::Channel { app_id, channel, version } => {
                let place = DocumentPlace { app_id: *app_id, channel, version: *version };
                self.channels.open(place, sealed).map(|document| owned(document.as_bytes()))
            }
            Place::PartnerSecret { partner, version } => {
                self.secrets.open(Secret::PartnerSecret { partner, version: *version }, sealed)
            }
        }
    }

    /// `None`: this can't have been opened there.
    fn seal(&self, place: &Place, opened: &[u8], random: &dyn Random) -> Option<Vec<u8>> {
        Some(match place {
            Place::TokenKey(id) => self.token_keys.seal(*id, opened.try_into().ok()?, random),
            Place::SigningKey(number) => self.signing_keys.seal(*number, opened.try_into().ok()?, random),
            Place::AppSecret { app_id, version } => {
                self.secrets.seal(Secret::AppSecret { app_id: *app_id, version: *version }, opened, random)
            }
            Place::Channel { app_id, channel, version } => {
                let place = DocumentPlace { app_id: *app_id, channel, version: *version };
                self.channels.seal(place, std::str::from_utf8(opened).ok()?, random)
            }
            Place::PartnerSecret { partner, version } => {
                self.secrets.seal(Secret::PartnerSecret { partner, version: *version }, opened, random)
            }
        })
    }
}

impl From<AccountError> for ResealError {
    fn from(error: AccountError) -> Self {
        Self::Store(Box::new(error))
    }
}

fn described(place: &Place) -> &'static str {
    match place {
        Place::TokenKey(_) => "a key that seals access tokens",
        Place::SigningKey(_) => "a key that signs ID tokens",
        Place::AppSecret { .. } => "the secret of an app",
        Place::Channel { .. } => "the document of a channel",
        Place::PartnerSecret { .. } => "the secret of a partner",
    }
}

fn record(done: &Resealed) -> AuditRecord {
    let counts = [
        ("keys", done.keys),
        ("app_secrets", done.app_secrets),
        ("channels", done.channels),
        ("partner_secrets", done.partner_secrets),
        ("phones", done.phones),
        ("unreadable_phones", done.unreadable_phones),
        ("device_bans_lifted", done.device_bans_lifted),
    ];
    AuditRecord {
        actor: Actor::command_line(),
        action: Action::of("key.reseal"),
        target: Target::master_key(),
        request_id: None,
        details: counts.into_iter().fold(Details::default(), |details, (name, count)| details.with(name, count)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use common::{
        clock::{SystemRandom, testing::SeededRandom},
        error_code::ErrorCode,
    };
    use idl::{
        account::{AccountService, GetAppRequest, TokenStatus},
        account_admin::{BanSubject, BanSubjectRequest},
        account_partner::{CreatePartnerRequest, GetPartnerRequest, RotatePartnerSecretRequest},
    };

    use super::*;
    use crate::testing::{ChannelServer, Issuer, PASSWORD, PHONE, Phones, Service, code, public, resources};

    fn new_key() -> MasterKey {
        MasterKey::generate(&SeededRandom::new(4711))
    }

    fn to(service: &Service, old: &MasterKey, new: &MasterKey) -> Reseal {
        Reseal::new(service.database.clone(), old, new, service.clock.clone(), Arc::new(SystemRandom))
    }

    async fn reseal(service: &Service) -> Resealed {
        to(service, service.master_key(), &new_key()).run().await.expect("resealed")
    }

    async fn app_secrets(service: &Service) -> Vec<String> {
        let app = public(service.account.get_app(GetAppRequest { app_id: service.app_id(), read_again: None }).await)
            .expect("an app");
        app.app.expect("the app").secrets.iter().map(ToString::to_string).collect()
    }

    /// The secrets of a partner, which is made first, with two.
    async fn partner_secrets(service: &Service, make: bool) -> Vec<String> {
        if make {
            let (actor, partner) = ("operator".into(), "ads".into());
            let request = CreatePartnerRequest { actor, partner, signing: "hmac".into(), limits: None };
            public(service.account.admin_create_partner(request).await).expect("made");
            let request = RotatePartnerSecretRequest { actor: "operator".into(), partner: "ads".into() };
            public(service.account.admin_rotate_partner_secret(request).await).expect("rotated");
        }
        let request = GetPartnerRequest { partner: "ads".into(), read_again: None };
        let partner = public(service.account.get_partner(request).await).expect("an answer").partner.expect("there");
        partner.secrets.iter().map(ToString::to_string).collect()
    }

    common::on_each_database! {
        async fn players_apps_and_tokens_are_the_same_under_another_key(database: TestDatabase) {
            let phones = Phones::start().await;
            let mut service = Service::start_with(database, phones.config()).await;
            let issuer = Issuer::new("one");
            let server = ChannelServer::publishing(&[&issuer]).await;
            service.put_channel("taptap", &server.oidc()).await;
            let by_phone = service.sign_in_with(&phones, PHONE).await.tokens;
            let by_channel = service.channel_login("taptap", &issuer.credential(&service, "ann")).await;
            let by_channel = by_channel.expect("signed in").tokens;
            let by_password = service.register("ann").await.expect("registered").tokens;
            let secrets = app_secrets(&service).await;
            let partner_secrets = partner_secrets(&service, true).await;
            assert_eq!(partner_secrets.len(), 2);

            let done = reseal(&service).await;
            let expected = Resealed {
                keys: done.keys,
                app_secrets: 1,
                partner_secrets: 2,
                channels: 1,
                phones: 1,
                ..Resealed::default()
            };
            assert_eq!(done, expected);
            assert!(done.keys >= 2, "one of each kind: {done:?}");
            let under_old = crate::open(phones.config(), service.master_key(), resources(service.database.clone(), &service.clock));
            assert!(under_old.await.is_err(), "the old key opens nothing any more");

            service.restart_under(new_key(), phones.config()).await;
            assert_eq!(app_secrets(&service).await, secrets);
            assert_eq!(self::partner_secrets(&service, false).await, partner_secrets);
            assert_eq!(service.status(&by_phone.access_token).await, TokenStatus::VALID);
            let lost = service.refresh(&by_phone.refresh_token).await;
            assert_eq!(code(lost), ErrorCode::TOKEN_INVALID, "refresh tokens are made under the key itself");
            service.clock.advance(phones.config().phone.resend_after);
            assert_eq!(service.sign_in_with(&phones, PHONE).await.tokens.account_id, by_phone.account_id);
            let again = service.channel_login("taptap", &issuer.credential(&service, "ann")).await.expect("signed in");
            assert_eq!(again.tokens.account_id, by_channel.account_id);
            let again = service.login("ann", PASSWORD).await.expect("signed in");
            assert_eq!(again.tokens.account_id, by_password.account_id);
            let record = service.audit().await.into_iter().find(|record| &*record.action == "key.reseal");
            assert_eq!(record.map(|record| record.target_id.to_string()).as_deref(), Some("master"));
        }

        async fn more_phones_than_a_batch_are_each_moved_once_and_an_interrupted_run_goes_on(database: TestDatabase) {
            let service = Service::start(database).await;
            let total = BATCH * 2 + 7;
            let directory = tempfile::tempdir().expect("a directory");
            let (file, rejects) = (directory.path().join("phones"), directory.path().join("rejects"));
            let lines: String = (0..total).map(|number| format!("{{\"phone\":\"+8613{number:09}\"}}\n")).collect();
            std::fs::write(&file, lines).expect("written");
            let import =
                crate::import::Import::open(service.database.clone(), service.master_key(), service.clock.clone(), "old");
            import.await.expect("opened").run(&file, &rejects, |_| ()).await.expect("imported");

            // As far as an interrupted run gets: one batch of phones.
            let (change, mut first) = (to(&service, service.master_key(), &new_key()), Vec::new());
            for row in change.rows.phones_after("", BATCH).await.expect("read") {
                let phone = change.old.personal_data.open(&row.sealed, row.account_id, &row.index).expect("opens");
                let index = change.new.personal_data.index_of(&phone);
                let sealed = change.new.personal_data.seal(&phone, row.account_id, &SystemRandom);
                let account_id = row.account_id;
                first.push((row, PhoneRow { account_id, index, sealed }));
            }
            change.rows.replace_phones(&first).await.expect("written");

            let done = reseal(&service).await;
            assert_eq!((done.phones, done.unreadable_phones), (u64::from(total - BATCH), 0));
            let mut after = String::new();
            let mut found = 0;
            loop {
                let rows = change.rows.phones_after(&after, BATCH).await.expect("read");
                let Some(last) = rows.last() else { break };
                after = last.index.as_str().to_owned();
                for row in &rows {
                    let phone = change.new.personal_data.open(&row.sealed, row.account_id, &row.index).expect("opens");
                    assert_eq!(change.new.personal_data.index_of(&phone), row.index);
                    found += 1;
                }
            }
            assert_eq!(found, total);
            assert_eq!(reseal(&service).await, Resealed::default(), "a repeat finds nothing left to do");
        }

        async fn a_key_that_is_not_this_databases_changes_nothing(database: TestDatabase) {
            let phones = Phones::start().await;
            let service = Service::start_with(database, phones.config()).await;
            service.sign_in_with(&phones, PHONE).await;
            let stranger = MasterKey::generate(&SeededRandom::new(12));
            let refused = to(&service, &stranger, &new_key()).run().await;
            assert!(matches!(refused, Err(ResealError::WrongKey(_))), "{refused:?}");
            let refused = to(&service, &new_key(), &new_key()).run().await;
            assert!(matches!(refused, Err(ResealError::SameKey)), "{refused:?}");
            service.clock.advance(phones.config().phone.resend_after);
            assert!(!service.sign_in_with(&phones, PHONE).await.is_new_account);
            assert!(service.audit().await.iter().all(|record| &*record.action != "key.reseal"));
        }

        async fn bans_of_devices_are_lifted_and_counted_and_those_of_networks_stay(database: TestDatabase) {
            let service = Service::start(database).await;
            for subject in [BanSubject::DeviceId("bot".into()), BanSubject::Address("203.0.113.0/24".into())] {
                let request = BanSubjectRequest {
                    actor: "operator".into(),
                    subject,
                    reason: "bots".into(),
                    ..BanSubjectRequest::default()
                };
                public(service.account.admin_ban_subject(request).await).expect("banned");
            }
            assert_eq!(reseal(&service).await.device_bans_lifted, 1);
            let of_kind = async |kind| {
                let statement = "SELECT COUNT(*) FROM account_subject_bans WHERE lifted_at IS NULL AND kind = ?";
                let (count,): (i64,) = service.database.read(statement).bind(kind).one().await.expect("counted");
                count
            };
            assert_eq!((of_kind("device").await, of_kind("address").await), (0, 1));
        }
    }
}
