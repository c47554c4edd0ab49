//! `AdminUnlockAccount`: a player who was locked out by wrong passwords may try again at once.
//!
//! The locks lie in the shared state, the record in the database. The record's transaction is open while the locks are
//! lifted: without a database nothing is lifted, without the shared state nothing is recorded. Every call is recorded,
//! also one that found no lock: it has forgotten failures, and it may be the repeat of one whose record was lost.

use idl::account_admin::{UnlockAccountRequest, UnlockAccountResponse};

use super::wire::reason;
use crate::{
    app_editor::request_id,
    domain::{
        audit::{Action, Actor, AuditRecord, Details, Target},
        device::DeviceId,
        history::{EventKind, Happening},
        ids::AccountId,
        risk::judgement::Rule,
        username::Username,
    },
    error::AccountError,
    risk::Lockable,
    service::Parts,
};

/// Devices that the account knows, and that are looked at: the latest used ones. Bounds what a call may cost.
const MOST_KNOWN_DEVICES: u32 = 200;

/// Events of the account's history among which failed sign-ins are looked for, the newest first. Bounds the same.
const MOST_EVENTS: u32 = 200;

pub(crate) async fn unlock_account(
    parts: &Parts,
    request: UnlockAccountRequest,
) -> Result<UnlockAccountResponse, AccountError> {
    let actor = Actor::parse(&request.actor)?;
    let account_id = AccountId::parse(request.account_id).map_err(|_| AccountError::NoSuchAccount)?;
    let reason = reason(&request.reason)?;
    let life = parts.accounts.life(account_id).await?.ok_or(AccountError::NoSuchAccount)?;
    if life.deleted_at.is_some() {
        return Err(AccountError::NoSuchAccount);
    }
    let record = AuditRecord {
        actor,
        action: Action::of("account.unlock"),
        target: Target::account(account_id),
        request_id: request_id(),
        details: Details::default(),
    };
    let locks = Locks::of(parts, account_id).await?;
    let mut unlocked = Vec::new();
    let lifting = async {
        unlocked = locks.lift(parts).await?;
        Ok(Details::default().with("reason", reason).with("unlocked", unlocked.clone()))
    };
    parts.audit.record_with(record, parts.clock.now(), lifting).await?;
    parts.note(Happening::of(account_id, EventKind::Unlocked));
    Ok(UnlockAccountResponse { unlocked: unlocked.into_iter().map(Into::into).collect() })
}

/// What may be locked of an account.
struct Locks {
    /// Without a password there is no lock: no other proof can be guessed.
    username: Option<Username>,
    known_devices: Vec<DeviceId>,
    tried_devices: Vec<DeviceId>,
}

impl Locks {
    async fn of(parts: &Parts, account_id: AccountId) -> Result<Self, AccountError> {
        let (password, known, tried) = tokio::try_join!(
            parts.passwords.of(account_id),
            parts.sessions.known_devices(account_id, MOST_KNOWN_DEVICES),
            tried_on(parts, account_id),
        )?;
        Ok(Self {
            username: password.map(|password| Username::from_stored(&password.username)),
            known_devices: devices(&known),
            tried_devices: devices(&tried),
        })
    }

    /// The ladders that had a lock.
    async fn lift(&self, parts: &Parts) -> Result<Vec<&'static str>, AccountError> {
        let Self { username: Some(username), known_devices, tried_devices } = self else { return Ok(Vec::new()) };
        let lifted = parts.guard().unlock(Lockable { username, known_devices, tried_devices }).await?;
        Ok(lifted.into_iter().map(Rule::label).collect())
    }
}

/// Devices on which a sign-in failed since the oldest failure that a ladder may remember.
async fn tried_on(parts: &Parts, account_id: AccountId) -> Result<Vec<String>, AccountError> {
    let since = parts.clock.now().minus(parts.config.risk.device_window);
    let mut devices = Vec::new();
    for event in parts.histories.older_than(account_id, None, MOST_EVENTS).await? {
        let has_failed = event.kind == EventKind::SignInFailed.as_str() && event.at >= since;
        if let Some(device) = event.device_id.filter(|device| has_failed && !devices.contains(device)) {
            devices.push(device);
        }
    }
    Ok(devices)
}

/// As they were when they were written down; what is none any more can't be locked either.
fn devices(raw: &[String]) -> Vec<DeviceId> {
    raw.iter().filter_map(|raw| DeviceId::parse(raw).ok()).collect()
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use idl::{
        account::{AccountService, ClientInfo},
        account_admin::{ListHistoryRequest, UnlockAccountRequest},
    };

    use crate::testing::{PASSWORD, Service, code, field, public};

    const WRONG: &str = "wrong";
    const FAILURES: usize = 7;

    fn on(device: &str) -> ClientInfo {
        let address = Some("198.51.100.7".into());
        ClientInfo { device_id: Some(device.to_owned().into()), address, ..ClientInfo::default() }
    }

    async fn fails(service: &Service, device: &str, username: &str) {
        for _ in 0..FAILURES {
            let answer = service.login_as(on(device), username, WRONG).await;
            assert_eq!(code(answer), ErrorCode::WRONG_CREDENTIALS, "{username} on {device}");
        }
    }

    async fn comes(service: &Service, device: &str, username: &str) -> ErrorCode {
        code(service.login_as(on(device), username, PASSWORD).await)
    }

    async fn unlock(service: &Service, account_id: i64, reason: &str) -> Result<Vec<String>, ErrorCode> {
        service.account.clone().flush().await;
        let reason = reason.to_owned().into();
        let request = UnlockAccountRequest { actor: "operator".into(), account_id, reason };
        let answer = public(service.account.admin_unlock_account(request).await).map_err(|error| error.code)?;
        Ok(answer.unlocked.iter().map(ToString::to_string).collect())
    }

    common::on_each_database! {
        async fn who_mistyped_on_a_new_device_gets_in_at_once(database: TestDatabase) {
            let service = Service::start(database).await;
            let ann = service.register("ann").await.expect("registered").tokens.account_id;
            fails(&service, "new laptop", "ann").await;
            assert_eq!(comes(&service, "new laptop", "ann").await, ErrorCode::TOO_MANY_FAILED_LOGINS);
            assert_eq!(unlock(&service, ann, "ticket 7").await, Ok(vec!["account".to_owned(), "device".to_owned()]));
            assert_eq!(comes(&service, "new laptop", "ann").await, ErrorCode::OK);
            let record = service.audit().await.remove(0);
            assert_eq!((&*record.action, &*record.target_id), ("account.unlock", &*ann.to_string()));
            assert_eq!(&*record.details_json, r#"{"reason":"ticket 7","unlocked":["account","device"]}"#);
        }

        async fn who_failed_on_a_known_device_gets_in_at_once_and_that_is_in_the_history(database: TestDatabase) {
            let service = Service::start(database).await;
            let ann = service.register("ann").await.expect("registered").tokens.account_id;
            fails(&service, "device-1", "ann").await;
            assert_eq!(comes(&service, "device-1", "ann").await, ErrorCode::TOO_MANY_FAILED_LOGINS);
            assert_eq!(unlock(&service, ann, "ticket 7").await, Ok(vec!["known_device".to_owned()]));
            service.account.clone().flush().await;
            let request = ListHistoryRequest { account_id: ann, before: None, limit: 10 };
            let history = public(service.account.admin_list_history(request).await).expect("a page").events;
            assert!(history.iter().any(|event| &*event.kind == "unlocked" && event.reason.is_none()), "{history:?}");
            assert_eq!(comes(&service, "device-1", "ann").await, ErrorCode::OK);
        }

        async fn nobody_else_is_unlocked_and_failures_short_of_a_lock_are_forgotten(database: TestDatabase) {
            let service = Service::start(database).await;
            let ann = service.register("ann").await.expect("registered").tokens.account_id;
            service.register("bob").await.expect("registered");
            fails(&service, "bot", "bob").await;
            for _ in 0..FAILURES - 1 {
                assert_eq!(code(service.login_as(on("laptop"), "ann", WRONG).await), ErrorCode::WRONG_CREDENTIALS);
            }
            assert_eq!(unlock(&service, ann, "ticket 7").await, Ok(Vec::new()));
            assert_eq!(code(service.login_as(on("laptop"), "ann", WRONG).await), ErrorCode::WRONG_CREDENTIALS);
            assert_eq!(comes(&service, "laptop", "ann").await, ErrorCode::OK);
            assert_eq!(comes(&service, "bot", "bob").await, ErrorCode::TOO_MANY_FAILED_LOGINS);
            let actions: Vec<_> = service.audit().await.into_iter().map(|record| record.action).collect();
            assert_eq!(actions, ["account.unlock", "app.create"], "forgetting is a change, too");
        }

        async fn a_guest_has_no_locks_and_nobody_is_not_found(database: TestDatabase) {
            let service = Service::start(database).await;
            let guest = service.device_login("phone", None).await.expect("a guest").tokens.account_id;
            assert_eq!(unlock(&service, guest, "ticket 7").await, Ok(Vec::new()));
            for nobody in [0, 4242] {
                assert_eq!(unlock(&service, nobody, "ticket 7").await, Err(ErrorCode::NO_SUCH_ACCOUNT));
            }
            for reason in [String::new(), "x".repeat(256)] {
                let (actor, account_id, reason) = ("operator".into(), guest, reason.into());
                let request = UnlockAccountRequest { actor, account_id, reason };
                let refused = public(service.account.admin_unlock_account(request).await);
                assert_eq!(field(refused), (ErrorCode::INVALID_ARGUMENT, "reason".to_owned()));
            }
        }
    }
}
