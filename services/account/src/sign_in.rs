//! A session begins: what is stored of it, and the tokens its owner gets. Shared by register and login.

use std::time::Duration;

use common::clock::{Timestamp, new_uuid, random_bytes};
use idl::account::TokenSet;

use crate::{
    domain::{
        access_token::{self, Claims},
        app::App,
        client::Client,
        credential::CredentialKind,
        device_class::DeviceClass,
        end_reason::EndReason,
        history::{EventKind, Happening},
        id_token::{self, IdClaims},
        ids::{AccountId, AppId, SessionId},
        policy::LoginKind,
        refresh_token::RefreshToken,
        rotation,
    },
    error::AccountError,
    events,
    service::Parts,
    store::sessions::NewSession,
};

/// The shares of an access token's life between which its holder is asked to renew it.
const EARLIEST_RENEWAL: f64 = 0.5;
const LATEST_RENEWAL: f64 = 0.8;

/// Looks for sessions that are too many, in as many sign-ins as an account may have sessions. Few, because a look costs as
/// much as storing a session; so the limit is exceeded by a sixteenth of it before somebody looks, on average.
const LOOKS: f64 = 16.0;

/// A session that has not been stored yet. Its tokens must not be answered before it is.
pub(crate) struct Beginning {
    pub(crate) session: NewSession,
    refresh_token: RefreshToken,
    entry: Entry,
}

/// How somebody comes to a session, and what proved who they are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry {
    /// The account is made with its first session.
    Registration(CredentialKind),
    /// The account was there.
    SignIn(CredentialKind),
}

impl Entry {
    pub(crate) fn by(self) -> CredentialKind {
        match self {
            Self::Registration(by) | Self::SignIn(by) => by,
        }
    }
}

/// Whose access token is made, and for which session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holder<'a> {
    pub(crate) account_id: AccountId,
    pub(crate) app_id: AppId,
    pub(crate) session_id: SessionId,
    pub(crate) epoch: u32,
    /// When the player proved who they are: at the sign-in, whatever was refreshed since.
    pub(crate) signed_in_at: Timestamp,
    pub(crate) device_class: DeviceClass,
    pub(crate) channel: Option<&'a str>,
    pub(crate) device_id: Option<&'a str>,
}

/// Prepares a session of `account_id`, which is in this epoch, in `app`.
pub(crate) fn begin(
    parts: &Parts,
    app: &App,
    (account_id, epoch): (AccountId, u32),
    client: Client,
    entry: Entry,
) -> Beginning {
    let now = parts.clock.now();
    let session_id = SessionId::from(new_uuid(&*parts.clock, &*parts.random));
    let refresh_token = RefreshToken::first(session_id, random_bytes(&*parts.random));
    let absolute_expires_at = now + absolute_ttl(parts, app);
    let mut session = NewSession {
        session_id,
        account_id,
        app_id: app.app_id,
        epoch,
        refresh_digest: refresh_token.digest(),
        client,
        created_at: now,
        refresh_expires_at: rotation::refresh_expiry(now, refresh_ttl(parts, app), absolute_expires_at),
        absolute_expires_at,
        event: None,
    };
    session.event = events::signed_in(&parts.events, &session, entry);
    Beginning { session, refresh_token, entry }
}

impl Beginning {
    /// Writes down that the account was made or signed in to in this session.
    pub(crate) fn note(&self, parts: &Parts) {
        let session = &self.session;
        let kind = match self.entry {
            Entry::Registration(_) => EventKind::AccountCreated,
            Entry::SignIn(_) => EventKind::SignedIn,
        };
        let happening = Happening::of(session.account_id, kind).in_app(session.app_id).in_session(session.session_id);
        parts.note(happening.by(&session.client).because(self.entry.by().as_str()));
    }

    /// The tokens of the session, once it is stored.
    pub(crate) fn tokens(&self, parts: &Parts, app: &App) -> TokenSet {
        let session = &self.session;
        let holder = Holder {
            account_id: session.account_id,
            app_id: session.app_id,
            session_id: session.session_id,
            epoch: session.epoch,
            signed_in_at: session.created_at,
            device_class: session.client.device_class,
            channel: session.client.channel.as_deref(),
            device_id: session.client.device_id.as_ref().map(|device_id| device_id.as_str()),
        };
        token_set(parts, app, holder, &self.refresh_token, session.refresh_expires_at)
    }
}

/// A fresh access token beside a refresh token, and an ID token if the app wants one.
pub(crate) fn token_set(
    parts: &Parts,
    app: &App,
    holder: Holder<'_>,
    refresh_token: &RefreshToken,
    refresh_expires_at: Timestamp,
) -> TokenSet {
    let issued_at = parts.clock.now();
    let ttl = app.policy.access_ttl.unwrap_or(parts.config.tokens.access_ttl).min(parts.config.tokens.access_ttl_max);
    // Never longer than the session: what ends sessions looks only at those that live.
    let ttl = ttl.min(refresh_expires_at.since(issued_at));
    let claims = Claims {
        account_id: holder.account_id,
        app_id: holder.app_id,
        session_id: holder.session_id,
        issued_at,
        lifetime: access_token::jittered_lifetime(ttl, parts.config.tokens.access_ttl_jitter, parts.random.fraction()),
        epoch: holder.epoch,
        device_class: access_token::DeviceClass(holder.device_class.code()),
        channel: holder.channel,
        device_id: holder.device_id,
    };
    TokenSet {
        account_id: holder.account_id.get(),
        session_id: holder.session_id.to_string().into(),
        access_token: parts.keys.seal(&claims, &*parts.random).into(),
        access_expires_at: claims.expires_at().as_millis(),
        refresh_token: refresh_token.encode(parts.vault.refresh_token_key()).into(),
        refresh_expires_at: refresh_expires_at.as_millis(),
        id_token: wants_id_token(parts, app).then(|| {
            let ttl = parts.config.id_token.ttl.unwrap_or(claims.lifetime).min(refresh_expires_at.since(issued_at));
            id_token(parts, holder, issued_at, issued_at + ttl).into()
        }),
        renew_after_at: Some(renew_after_at(&claims, parts.random.fraction()).as_millis()),
    }
}

/// Whether players of this app are given ID tokens.
fn wants_id_token(parts: &Parts, app: &App) -> bool {
    app.policy.id_token || parts.config.id_token.for_every_app
}

fn id_token(parts: &Parts, holder: Holder<'_>, issued_at: Timestamp, expires_at: Timestamp) -> String {
    let claims = IdClaims {
        issuer: &parts.config.id_token.issuer,
        account_id: holder.account_id,
        app_id: holder.app_id,
        session_id: holder.session_id,
        signed_in_at: holder.signed_in_at,
        issued_at,
        expires_at,
    };
    id_token::sign(parts.signing_keys.known().signing(issued_at), &claims)
}

/// When the holder of a new token should ask for the next one: a moment by a `fraction` in `0.0..1.0` in the middle of
/// its life. Late enough to be worth it, early enough to outlast an outage, and at no moment for everybody.
fn renew_after_at(claims: &Claims<'_>, fraction: f64) -> Timestamp {
    claims.issued_at + claims.lifetime.mul_f64(EARLIEST_RENEWAL + (LATEST_RENEWAL - EARLIEST_RENEWAL) * fraction)
}

/// How long a session of this app lives without being used.
pub(crate) fn refresh_ttl(parts: &Parts, app: &App) -> Duration {
    app.policy.refresh_ttl.unwrap_or(parts.config.tokens.refresh_ttl)
}

/// How long a session of this app lives however often it is used.
fn absolute_ttl(parts: &Parts, app: &App) -> Duration {
    let cap = parts.config.tokens.session_ttl_max;
    app.policy.refresh_absolute_ttl.unwrap_or(cap).min(cap)
}

/// Refuses a kind of sign-in that the app has switched off.
pub(crate) fn allow_kind(app: &App, kind: LoginKind) -> Result<(), AccountError> {
    if app.policy.login_kinds.contains(&kind) { Ok(()) } else { Err(AccountError::LoginKindDisabled) }
}

/// Stores a session of an account that exists, unless the account is banned, if the app's limit of live sessions has room
/// for it or makes room.
pub(crate) async fn store(parts: &Parts, app: &App, session: &NewSession) -> Result<(), AccountError> {
    // A ban that is made from here on is in the index before it is acknowledged, and concerns the tokens of this session.
    parts.bans.refuse_banned(session.account_id, parts.clock.now()).await?;
    let Some(limit) = app.policy.devices.get(&session.client.device_class) else {
        parts.sessions.begin(session.clone()).await?;
        end_excess(parts, session).await;
        return Ok(());
    };
    let ending = parts.ending(EndReason::DeviceLimit.as_str());
    let ended = parts.sessions.begin_within(session, *limit, ending).await?;
    parts.ended(&ended, ending);
    if ended.count > 0 {
        let happening = Happening::of(session.account_id, EventKind::SessionsEnded).in_app(session.app_id);
        parts.note(happening.by(&session.client).because(ending.reason));
    }
    Ok(())
}

/// Ends sessions that are more than one account may have in one app, at some of the sign-ins.
async fn end_excess(parts: &Parts, session: &NewSession) {
    let most = parts.config.sessions_per_account;
    if parts.random.fraction() * f64::from(most) >= LOOKS {
        return;
    }
    let ending = parts.ending(EndReason::DeviceLimit.as_str());
    match parts.sessions.end_beyond(session.account_id, session.app_id, most, ending).await {
        Ok(ended) => parts.ended(&ended, ending),
        // The player is signed in; a later look finds the same.
        Err(error) => tracing::warn!(%error, "whether an account has too many sessions could not be looked at"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use common::{clock::Clock, sql::testing::TestDatabase};
    use idl::account::{RevocationTarget, TokenStatus};

    use crate::{
        Config, TokenConfig,
        testing::{PASSWORD, Service, config},
    };

    #[tokio::test]
    async fn a_token_lives_up_to_the_configured_share_shorter() {
        for (jitter, shortest) in [(0.0, 7200), (0.5, 3600)] {
            let tokens = TokenConfig { access_ttl_jitter: jitter, ..TokenConfig::default() };
            let service = Service::start_with(TestDatabase::sqlite().await, Config { tokens, ..config() }).await;
            let mut lives = std::collections::BTreeSet::new();
            for name in ["ann", "bob", "cat", "dan"] {
                let tokens = service.register(name).await.expect("registered").tokens;
                let life = tokens.access_expires_at - service.clock.now().as_millis();
                assert!((shortest * 1000..=7_200_000).contains(&life), "{life}");
                lives.insert(life);
            }
            assert_eq!(lives.len() > 1, jitter > 0.0, "{lives:?}");
        }
    }

    common::on_each_database! {
        async fn an_app_sets_its_own_lifetimes_within_the_configured_limits(database: TestDatabase) {
            let service = Service::start(database).await;
            let limits = config().tokens;
            let now = service.clock.now();
            for (change, access_ttl, refresh_ttl) in [
                ("UPDATE account_apps SET access_ttl_ms = 60000, refresh_ttl_ms = 120000", 60, 120),
                (
                    "UPDATE account_apps SET access_ttl_ms = 900000000000, refresh_ttl_ms = 900000000000",
                    limits.access_ttl_max.as_secs(),
                    limits.session_ttl_max.as_secs(),
                ),
            ] {
                service.database.write(change).execute().await.expect("changed");
                service.account.parts().apps.refresh().await.expect("read again");
                let tokens = service.device_login(change, None).await.expect("a guest").tokens;
                let (longest, end) = (Duration::from_secs(access_ttl), now + Duration::from_secs(refresh_ttl));
                let shortest = longest.mul_f64(0.95);
                let access = tokens.access_expires_at;
                assert!(access <= (now + longest).as_millis() && access >= (now + shortest).as_millis(), "{access}");
                assert_eq!(tokens.refresh_expires_at, end.as_millis());
            }
        }

        async fn a_session_ends_at_the_absolute_end_that_its_app_sets(database: TestDatabase) {
            let service = Service::start(database).await;
            let now = service.clock.now();
            let shorter = "UPDATE account_apps SET refresh_absolute_ttl_ms = 60000";
            service.database.write(shorter).execute().await.expect("changed");
            service.account.parts().apps.refresh().await.expect("read again");
            let tokens = service.register("ann").await.expect("registered").tokens;
            assert_eq!(tokens.refresh_expires_at, (now + Duration::from_secs(60)).as_millis());
            service.clock.advance(Duration::from_secs(40));
            let refreshed = service.refresh(&tokens.refresh_token).await.expect("refreshed").tokens;
            assert_eq!(refreshed.refresh_expires_at, tokens.refresh_expires_at);
        }

        async fn an_account_keeps_the_sessions_it_used_last_and_no_more_than_it_may(database: TestDatabase) {
            let mut few = config();
            few.sessions_per_account = 3;
            let service = Service::start_with(database, few).await;
            let mut sessions = vec![service.register("ann").await.expect("registered").tokens];
            service.register("bob").await.expect("registered");
            for _ in 0..2 {
                service.clock.advance(Duration::from_secs(1));
                sessions.push(service.login("ann", PASSWORD).await.expect("signed in").tokens);
            }
            service.clock.advance(Duration::from_secs(1));
            sessions[0] = service.refresh(&sessions[0].refresh_token).await.expect("refreshed").tokens;
            service.clock.advance(Duration::from_secs(1));
            sessions.push(service.login("ann", PASSWORD).await.expect("signed in").tokens);
            let mut statuses = Vec::new();
            for tokens in &sessions {
                statuses.push(service.status(&tokens.access_token).await);
            }
            let (valid, revoked) = (TokenStatus::VALID, TokenStatus::REVOKED);
            assert_eq!(statuses, [valid, revoked, valid, valid], "the second one was not used for longest");
            let refused = service.refresh(&sessions[1].refresh_token).await.expect_err("ended");
            assert_eq!(refused.details, [("reason".into(), "device_limit".into())]);
        }

        async fn the_moment_to_renew_lies_in_the_middle_of_the_tokens_life_and_is_spread(database: TestDatabase) {
            let service = Service::start(database).await;
            let issued_at = service.clock.now().as_millis();
            let mut moments = std::collections::BTreeSet::new();
            for name in ["ann", "bob", "cat", "dan"] {
                let tokens = service.register(name).await.expect("registered").tokens;
                let (renew, life) = (tokens.renew_after_at.expect("told") - issued_at, tokens.access_expires_at - issued_at);
                assert!(renew * 2 >= life - 2 && renew * 10 <= life * 8, "{renew} of {life}");
                moments.insert(renew);
            }
            assert!(moments.len() > 1, "{moments:?}");
        }

        async fn a_token_does_not_outlive_its_session_which_nobody_could_end_any_more(database: TestDatabase) {
            let service = Service::start(database).await;
            let shorter = "UPDATE account_apps SET access_ttl_ms = 3600000, refresh_ttl_ms = 60000";
            service.database.write(shorter).execute().await.expect("changed");
            service.account.parts().apps.refresh().await.expect("read again");
            let tokens = service.register("ann").await.expect("registered").tokens;
            assert!(tokens.access_expires_at <= tokens.refresh_expires_at);
            service.clock.advance(Duration::from_secs(61));
            let account = RevocationTarget::AccountId(tokens.account_id);
            assert_eq!(service.revoke(service.app_id(), account).await, Ok(0));
            assert_eq!(service.status(&tokens.access_token).await, TokenStatus::EXPIRED);
        }
    }
}
