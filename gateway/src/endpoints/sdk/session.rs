//! What a signed-in client is answered: tokens, and around them the parts it can do without.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use common::{
    clock::Timestamp,
    context::RequestContext,
    error_code::{ErrorCode, PublicError},
    http::ApiError,
    maintenance,
    rpc::CallError,
};
use idl::{
    account::{ClientInfo, LoginResponse, TokenSet},
    common::SignInSwitches,
    pay::GetWalletRequest,
};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use volo::FastStr;
use volo_thrift::ClientError;

use crate::{
    settings_copy::{Answer, Caller, Served},
    state::Gateway,
    upstream::within,
};

/// A session's tokens. Times are Unix milliseconds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tokens {
    /// The player's account in this platform.
    account_id: i64,
    /// The session these tokens belong to.
    #[schema(value_type = String)]
    session_id: FastStr,
    /// Present it as `Authorization: Bearer …`, and to your game server.
    #[schema(value_type = String)]
    access_token: FastStr,
    /// When the access token stops being good.
    access_expires_at: i64,
    /// Refresh at this moment or soon after it: it lies well before the end, and at another moment for every token.
    #[serde(skip_serializing_if = "Option::is_none")]
    renew_after_at: Option<i64>,
    /// Exchange it at `/v1/sdk/refresh`; each one works once.
    #[schema(value_type = String)]
    refresh_token: FastStr,
    /// When the refresh token stops being good.
    refresh_expires_at: i64,
    /// A JWT for game servers that verify offline with `/.well-known/jwks.json`; for apps that want one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    id_token: Option<FastStr>,
}

impl From<TokenSet> for Tokens {
    fn from(tokens: TokenSet) -> Self {
        Self {
            account_id: tokens.account_id,
            session_id: tokens.session_id,
            access_token: tokens.access_token,
            access_expires_at: tokens.access_expires_at,
            renew_after_at: tokens.renew_after_at,
            refresh_token: tokens.refresh_token,
            refresh_expires_at: tokens.refresh_expires_at,
            id_token: tokens.id_token,
        }
    }
}

/// A signed-in player.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SignedIn {
    #[serde(flatten)]
    tokens: Tokens,
    /// This login created the account.
    is_new_account: bool,
    /// Answered once, when a device account is created; required at every later login of that device. Keep it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    device_secret: Option<FastStr>,
    /// The app's settings for this player.
    #[schema(value_type = Object)]
    settings: PartOfSettings,
    /// Currency → balance in minor units.
    #[schema(value_type = Object, example = json!({"CNY": 600}))]
    wallet: BTreeMap<FastStr, i64>,
    /// Messages to show to this player now, in this order.
    #[schema(value_type = Vec<Notice>)]
    notices: PartOfSettings,
    /// The parts that could not be fetched in time (`setting`, `pay`); their fields are empty: of `setting` those are
    /// `settings` and `notices`. The login itself is good.
    #[schema(value_type = Vec<String>, example = json!([]))]
    degraded: Vec<&'static str>,
}

/// A message for players, as an operator published it. Further fields may come.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema of what is answered as the setting service gives it")]
pub(crate) struct Notice {
    /// The same notice has the same id at every sign-in: remember it to show a notice once.
    #[schema(example = "spring-sale")]
    id: String,
    title: String,
    body: String,
    /// Where to read on.
    url: Option<String>,
    /// Since when it is news, in Unix milliseconds.
    from: Option<i64>,
    /// Until when, in Unix milliseconds.
    until: Option<i64>,
}

/// What of an answer of the setting service goes out as it is; an empty document where there is none.
#[derive(Debug)]
enum PartOfSettings {
    Settings(Option<Arc<Answer>>),
    Notices(Option<Arc<Answer>>),
}

impl Serialize for PartOfSettings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Settings(Some(answer)) => answer.settings.serialize(serializer),
            Self::Notices(Some(answer)) => answer.notices.serialize(serializer),
            Self::Settings(None) => serializer.collect_map(NOTHING),
            Self::Notices(None) => serializer.collect_seq([(); 0]),
        }
    }
}

/// No members.
const NOTHING: [(&str, ()); 0] = [];

/// Who signs in, as settings are chosen for them.
pub(super) fn caller_of(app_id: i64, client: &ClientInfo) -> Caller {
    Caller {
        app_id,
        channel: client.channel.clone(),
        package_name: client.package_name.clone(),
        version: client.sdk_version.clone(),
        account_id: None,
        device_id: client.device_id.clone(),
    }
}

/// Looks up what is switched for sign-ins, runs `sign_in` with that, and adds what else a signed-in client is answered.
/// Optional parts that fail or are late are named in `degraded`.
///
/// `makes_account`: it never signs in to an account that there is.
pub(super) async fn sign_in<F>(
    gateway: &Gateway,
    caller: Caller,
    makes_account: bool,
    sign_in: impl FnOnce(Option<SignInSwitches>) -> F,
) -> Result<SignedIn, ApiError>
where
    F: Future<Output = Result<LoginResponse, ClientError>>,
{
    let limit = gateway.optional_part_timeout;
    // First of all: it decides whether there is a sign-in. Usually it is in memory; if it can't be had, nothing is switched.
    let settings = if_to_be_had(gateway.settings.get(&caller, Some(limit)).await)?;
    let switches = settings.as_ref().map(|answer| in_force(&answer.switches, gateway.clock.now()));
    if let Some(maintenance) = switches.as_ref().and_then(|switches| switches.maintenance.as_ref())
        && (makes_account || maintenance.allowed_accounts.is_empty())
    {
        // Nobody could be on the list: account has nothing to find out.
        let until = maintenance.until.map(Timestamp::from_millis);
        return Err(ApiError(maintenance::refusal(maintenance.message.clone(), until, gateway.clock.now())));
    }
    let LoginResponse { tokens, is_new_account, device_secret, .. } = sign_in(switches).await.map_err(come_back)?;
    let (app_id, account_id) = (caller.app_id, tokens.account_id);
    let (settings, wallet) = tokio::join!(
        settings_of_account(gateway, settings, caller, account_id),
        within(limit, gateway.upstream.pay.get_wallet(GetWalletRequest { app_id, account_id })),
    );

    let mut degraded = Vec::new();
    if settings.is_none() {
        degraded.push("setting");
    }
    let wallet = match wallet {
        Ok(wallet) => wallet.balances.into_iter().collect(),
        Err(_) => {
            degraded.push("pay");
            BTreeMap::new()
        }
    };
    let notices = PartOfSettings::Notices(settings.clone());
    let settings = PartOfSettings::Settings(settings);
    Ok(SignedIn { tokens: tokens.into(), is_new_account, device_secret, settings, wallet, notices, degraded })
}

/// The settings, or none if they can't be had now. Nobody may get past a maintenance by asking so that they are refused.
fn if_to_be_had(settings: Result<Served, PublicError>) -> Result<Option<Arc<Answer>>, PublicError> {
    match settings {
        Ok(served) => Ok(Some(served.answer)),
        Err(refusal) if refusal.code == ErrorCode::INVALID_ARGUMENT => Err(refusal),
        Err(_) => Ok(None),
    }
}

/// The settings of whoever has signed in: those from before, unless they depend on the account.
async fn settings_of_account(
    gateway: &Gateway,
    before: Option<Arc<Answer>>,
    caller: Caller,
    account_id: i64,
) -> Option<Arc<Answer>> {
    let before = before?;
    if !before.depends_on_account() {
        return Some(before);
    }
    let caller = Caller { account_id: Some(account_id), ..caller };
    // Those from before are not the player's: none are better than another's.
    Some(gateway.settings.get(&caller, Some(gateway.optional_part_timeout)).await.ok()?.answer)
}

/// The switches without a maintenance that is over: a copy that nobody could renew may still tell of it.
fn in_force(switches: &SignInSwitches, now: Timestamp) -> SignInSwitches {
    let maintenance = switches.maintenance.as_ref();
    let going_on = maintenance.filter(|is| !maintenance::is_over(is.until.map(Timestamp::from_millis), now));
    SignInSwitches { maintenance: going_on.cloned(), ..switches.clone() }
}

/// What a failed sign-in is told. Time that ran out is answered like any other trouble behind the gateway:
/// come back. Doing it again does no harm, whether or not the first attempt was carried out in the end. Whose own time is
/// over has gone, and is told just that.
fn come_back(error: ClientError) -> CallError {
    match CallError::from(error) {
        CallError::DeadlineExceeded if RequestContext::nobody_waits() => CallError::DeadlineExceeded,
        CallError::DeadlineExceeded => CallError::LostAfterSend { cause: "account did not answer in time".to_owned() },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use idl::common::Maintenance;

    use super::*;

    #[test]
    fn a_maintenance_ends_on_time_whatever_the_copy_says() {
        let end = 1_750_000_000_000;
        let maintenance = Maintenance { message: "soon".into(), until: Some(end), allowed_accounts: vec![1] };
        let switches =
            SignInSwitches { maintenance: Some(maintenance), registration_open: Some(false), login_kinds: None };
        assert_eq!(in_force(&switches, Timestamp::from_millis(end - 1)), switches);
        let after = in_force(&switches, Timestamp::from_millis(end));
        assert_eq!((after.maintenance, after.registration_open), (None, Some(false)));
    }

    #[test]
    fn a_sign_in_goes_on_without_settings_unless_the_client_made_them_impossible() {
        let away = if_to_be_had(Err(PublicError::unavailable(std::time::Duration::from_secs(1))));
        assert!(matches!(away, Ok(None)), "{away:?}");
        let refused = if_to_be_had(Err(PublicError::invalid("channel", "can't be")));
        assert_eq!(refused.expect_err("refused").details[0].0, "channel");
    }

    #[test]
    fn settings_that_could_not_be_had_are_empty_documents() {
        let json = |part: PartOfSettings| serde_json::to_string(&part).expect("JSON");
        assert_eq!(json(PartOfSettings::Settings(None)), "{}");
        assert_eq!(json(PartOfSettings::Notices(None)), "[]");
    }
}
