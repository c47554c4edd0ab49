//! A session has begun: is what it stands on still so?
//!
//! Between the look at a password and the commit of its session the password can be changed, and the deletion of the
//! account be asked for. Both end the sessions that there are, and this one was not there yet. So it is looked again, once
//! it is there, and the look waits for a change that is under way: whoever changes something either finds the session and
//! ends it, or is found here.

use crate::{
    domain::{app::App, end_reason::EndReason, password::Password},
    error::AccountError,
    hash_pool::{Comparison, Standing},
    service::Parts,
    store::{
        accounts::{CredentialName, StoredCredential},
        sessions::NewSession,
    },
};

/// What a sign-in stands on.
#[derive(Clone, Copy)]
pub(super) struct Grounds<'a> {
    pub(super) name: CredentialName<'a>,
    /// As it was read before the proof was judged.
    pub(super) stored: &'a StoredCredential,
    /// What was presented, where that is a password.
    pub(super) password: Option<&'a Password>,
}

/// Ends the session that has just begun if its grounds are gone, and says why.
pub(super) async fn recheck(
    parts: &Parts,
    app: &App,
    grounds: Grounds<'_>,
    session: &NewSession,
) -> Result<(), AccountError> {
    let (reason, refusal) = match still_good(parts, grounds).await {
        Ok(()) => return Ok(()),
        Err(refusal @ AccountError::PendingDeletion { .. }) => (EndReason::AccountDeletion, refusal),
        Err(refusal @ AccountError::WrongCredentials) => (EndReason::PasswordChanged, refusal),
        // Could not tell. Nobody has the tokens, so the session is nobody's, and runs out.
        Err(error) => return Err(error),
    };
    let ending = parts.ending(reason.as_str());
    let ended = parts.sessions.end_one(session.session_id, app.app_id, ending).await?;
    parts.ended(&ended, ending);
    Err(refusal)
}

async fn still_good(parts: &Parts, grounds: Grounds<'_>) -> Result<(), AccountError> {
    let Grounds { name, stored, password } = grounds;
    let now = parts.accounts.credential_settled(name).await?.filter(|now| now.account_id == stored.account_id);
    let now = now.ok_or(AccountError::WrongCredentials)?;
    if let Some(executes_at) = now.deletion_executes_at {
        return Err(AccountError::PendingDeletion { executes_at });
    }
    match password {
        _ if now.secret == stored.secret => Ok(()),
        // Another sign-in may have replaced the hash by a better one of the same password: only comparing tells.
        Some(password) => {
            match parts.hash_pool.verify(password.clone(), Some(&now.secret), Standing::Stranger).await? {
                Comparison::Right { .. } => Ok(()),
                Comparison::Wrong => Err(AccountError::WrongCredentials),
            }
        }
        None => Err(AccountError::WrongCredentials),
    }
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use futures_util::future::join;
    use idl::account::{AccountService, RequestDeletionRequest};

    use crate::testing::{Gate, PASSWORD, Service, code, config, public};

    const NEW: &str = "battery staple";
    const LIVE: &str = "SELECT COUNT(*) FROM account_sessions WHERE revoked_at IS NULL";

    /// A service whose next sign-in stops after its password was found right, until it is let go on.
    async fn gated(database: common::sql::testing::TestDatabase) -> (Service, std::sync::Arc<Gate>) {
        let mut service = Service::start(database).await;
        let gate = Gate::new(&service);
        let shared = gate.clone();
        service.restart_with(config(), |resources| crate::Resources { shared, ..resources }).await;
        (service, gate)
    }

    common::on_each_database! {
        async fn a_sign_in_with_a_password_that_is_changed_meanwhile_leaves_no_session(database: TestDatabase) {
            let (service, gate) = gated(database).await;
            let ann = service.register("ann").await.expect("registered").tokens;
            gate.close();
            let (login, ()) = join(service.login("ann", PASSWORD), async {
                gate.reached().await;
                service.change_password(&ann.access_token, Some(PASSWORD), None, NEW).await.expect("changed");
                gate.open();
            })
            .await;
            assert_eq!(code(login), ErrorCode::WRONG_CREDENTIALS);
            assert_eq!(service.count(LIVE).await, 1, "the session that changed the password");
            let told = "SELECT COUNT(*) FROM account_revocations";
            assert_eq!(service.count(told).await, 1, "others are told of the one that had begun");
            service.login("ann", NEW).await.expect("signed in");
        }

        async fn a_sign_in_waits_for_a_change_that_is_under_way(database: TestDatabase) {
            let (service, gate) = gated(database).await;
            service.register("ann").await.expect("registered");
            gate.close();
            let (login, ()) = join(service.login("ann", PASSWORD), async {
                gate.reached().await;
                let mut change = service.database.begin().await.expect("begun");
                let statement = "UPDATE account_credentials SET secret = ? WHERE kind = 'password'";
                change.sql(statement).bind("$md5$f=pass$$4f09daa9d95bcb166a302407a0e0babe").execute().await.expect("set");
                gate.open();
                change.commit().await.expect("committed");
            })
            .await;
            assert_eq!(code(login), ErrorCode::WRONG_CREDENTIALS);
            assert_eq!(service.count(LIVE).await, 1);
        }

        async fn a_sign_in_to_an_account_whose_deletion_is_asked_for_meanwhile_leaves_no_session(database: TestDatabase) {
            let (service, gate) = gated(database).await;
            let ann = service.register("ann").await.expect("registered").tokens;
            gate.close();
            let (login, ()) = join(service.login("ann", PASSWORD), async {
                gate.reached().await;
                let request = RequestDeletionRequest { access_token: ann.access_token.clone() };
                public(service.account.request_deletion(request).await).expect("requested");
                gate.open();
            })
            .await;
            assert_eq!(code(login), ErrorCode::ACCOUNT_PENDING_DELETION);
            assert_eq!(service.count(LIVE).await, 1, "the session that asked for it");
        }

        async fn a_better_hash_of_the_same_password_is_no_change(database: TestDatabase) {
            let (service, gate) = gated(database).await;
            service.register("ann").await.expect("registered");
            let current = service.password_hash().await;
            // bcrypt of "hashcat"
            service.set_password_hash("$2a$05$LhayLxezLhK1LhWvKxCyLOj0j1u.Kj0jZ0pEmm134uzrQlFvQJLF6").await;
            gate.close();
            let (login, ()) = join(service.login("ann", "hashcat"), async {
                gate.reached().await;
                service.login("ann", "hashcat").await.expect("another sign-in, which replaces the hash");
                assert!(service.password_hash().await.starts_with("$argon2id$"));
                gate.open();
            })
            .await;
            login.expect("signed in");
            assert_ne!(service.password_hash().await, current);
            assert_eq!(service.count(LIVE).await, 3);
        }
    }
}
