//! What a signed-in client is answered: tokens, and around them the parts it can do without.

use std::{collections::BTreeMap, time::Duration};

use common::rpc::CallError;
use idl::{
    account::{ClientInfo, LoginResponse, TokenSet},
    pay::GetWalletRequest,
    setting::{GetSettingsRequest, GetSettingsResponse},
};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use volo::FastStr;
use volo_thrift::ClientError;

use crate::upstream::{Upstream, within};

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
    settings: Box<RawValue>,
    /// Currency → balance in minor units.
    #[schema(value_type = Object, example = json!({"CNY": 600}))]
    wallet: BTreeMap<FastStr, i64>,
    /// Messages to show.
    #[schema(value_type = Vec<Object>)]
    notices: [(); 0],
    /// The parts that could not be fetched in time (`setting`, `pay`); their fields are empty. The login itself is good.
    #[schema(value_type = Vec<String>, example = json!([]))]
    degraded: Vec<&'static str>,
}

/// Which settings go with a login.
pub(super) struct LoginScope {
    app_id: i64,
    channel: Option<FastStr>,
    package_name: Option<FastStr>,
    version: Option<FastStr>,
}

impl LoginScope {
    pub(super) fn of(app_id: i64, client: &ClientInfo) -> Self {
        Self {
            app_id,
            channel: client.channel.clone(),
            package_name: client.package_name.clone(),
            version: client.sdk_version.clone(),
        }
    }
}

/// Runs `sign_in`, and beside it what does not need its answer; then what does. Optional parts that fail or are late
/// are named in `degraded`.
pub(super) async fn sign_in(
    upstream: &Upstream,
    scope: LoginScope,
    optional_part_timeout: Duration,
    sign_in: impl Future<Output = Result<LoginResponse, ClientError>>,
) -> Result<SignedIn, CallError> {
    let LoginScope { app_id, channel, package_name, version } = scope;
    let settings = within(
        optional_part_timeout,
        upstream.setting.get_settings(GetSettingsRequest {
            app_id,
            channel,
            package_name,
            version,
            ..GetSettingsRequest::default()
        }),
    );
    let (signed_in, settings) = tokio::join!(sign_in, settings);
    let LoginResponse { tokens, is_new_account, device_secret, .. } = signed_in.map_err(come_back)?;
    let account_id = tokens.account_id;
    let wallet = within(optional_part_timeout, upstream.pay.get_wallet(GetWalletRequest { app_id, account_id })).await;

    let mut degraded = Vec::new();
    let settings = settings.ok().and_then(settings_object).unwrap_or_else(|| {
        degraded.push("setting");
        empty_object()
    });
    let wallet = match wallet {
        Ok(wallet) => wallet.balances.into_iter().collect(),
        Err(_) => {
            degraded.push("pay");
            BTreeMap::new()
        }
    };
    Ok(SignedIn { tokens: tokens.into(), is_new_account, device_secret, settings, wallet, notices: [], degraded })
}

/// What a failed sign-in is told. Time that ran out is answered like any other trouble behind the gateway:
/// come back. Doing it again does no harm, whether or not the first attempt was carried out in the end.
fn come_back(error: ClientError) -> CallError {
    match CallError::from(error) {
        CallError::DeadlineExceeded => CallError::LostAfterSend { cause: "account did not answer in time".to_owned() },
        other => other,
    }
}

/// The settings document as it came, not parsed again. `None` if it is not JSON, which its service rules out.
pub(super) fn settings_object(response: GetSettingsResponse) -> Option<Box<RawValue>> {
    serde_json::from_str(&response.settings_json?).ok()
}

fn empty_object() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).unwrap_or_default()
}
