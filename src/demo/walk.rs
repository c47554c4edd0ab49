//! One player's way through the platform.

use anyhow::ensure;
use reqwest::Method;
use serde_json::json;

use super::{
    order::{Operator, buy},
    partner::push,
    show::{Proof, Shown},
};
use crate::first_run::DemoApp;

/// Walks registration, login, verify, settings, an order, a partner's push, refresh and logout against the platform at `base`.
/// Fails at the first answer that is not what the contract says.
pub(crate) async fn walk(
    base: String,
    operator: &Operator,
    demo: &DemoApp,
    out: Box<dyn FnMut(&str) + Send>,
) -> anyhow::Result<()> {
    let mut shown = Shown::new(base, out)?;
    let app_id = demo.app_id;
    let signed = || Proof::Signed { app_id, secret: &demo.app_secret };

    shown.title("A player registers");
    let registration = json!({ "app_id": app_id, "username": "ann", "password": "correct horse battery" });
    let registered = shown.send(Method::POST, "/v1/sdk/register", Proof::None, Some(registration), 200).await?;
    registered.expect("is_new_account", true)?;

    shown.title("... and logs in on a phone");
    let login = json!({ "app_id": app_id, "kind": "password", "username": "ann", "password": "correct horse battery",
        "device_id": "phone-1", "channel": "official" });
    let session = shown.send(Method::POST, "/v1/sdk/login", Proof::None, Some(login), 200).await?;
    session.expect("degraded", json!([]))?;
    let access_token = session.text("access_token")?.to_owned();
    let refresh_token = session.text("refresh_token")?.to_owned();

    shown.title("The game server asks whether the token is good");
    let question = || Some(json!({ "token": access_token }));
    let verify = "/v1/server/tokens/verify";
    let verdict = shown.send(Method::POST, verify, signed(), question(), 200).await?;
    verdict.expect("status", "valid")?;

    shown.title("... and about a batch in which one token is forged");
    let batch = Some(json!({ "tokens": [access_token, "pg1.forged"] }));
    let verdicts = shown.send(Method::POST, "/v1/server/tokens/verify-batch", signed(), batch, 200).await?;
    let statuses: Vec<_> = [0, 1].map(|index| verdicts.body["data"]["results"][index]["status"].clone()).into();
    ensure!(statuses == ["valid", "invalid"], "the batch should be valid, invalid and is {statuses:?}");

    shown.title("A tool that speaks RFC 7662 introspects the same token");
    let basic = Proof::Basic { app_id, secret: &demo.app_secret };
    let form = vec![("Content-Type", "application/x-www-form-urlencoded".to_owned())];
    let body = format!("token={access_token}");
    let introspection = shown.send_raw(Method::POST, "/oauth2/introspect", basic, form, body, 200).await?;
    ensure!(introspection.body["active"] == true, "the token should be active");

    shown.title("The client reads its settings, then asks whether they changed");
    let target = format!("/v1/sdk/settings?app_id={app_id}&channel=official");
    let settings = shown.send(Method::GET, &target, Proof::None, None, 200).await?;
    let entity_tag = settings.headers.get("etag").and_then(|tag| tag.to_str().ok()).unwrap_or_default().to_owned();
    ensure!(!entity_tag.is_empty(), "settings carry an ETag");
    let unchanged = vec![("If-None-Match", entity_tag)];
    shown.send_raw(Method::GET, &target, Proof::None, unchanged, String::new(), 304).await?;

    buy(&mut shown, demo, operator, &access_token).await?;

    push(&mut shown, operator).await?;

    shown.title("The session is refreshed");
    let refresh = json!({ "app_id": app_id, "refresh_token": refresh_token });
    let refreshed = shown.send(Method::POST, "/v1/sdk/refresh", Proof::None, Some(refresh), 200).await?;
    ensure!(refreshed.text("refresh_token")? != refresh_token, "a refresh rotates the refresh token");
    let access_token = refreshed.text("access_token")?.to_owned();

    shown.title("What the platform knows of the player");
    let profile = shown.send(Method::GET, "/v1/sdk/me", Proof::Bearer(&access_token), None, 200).await?;
    ensure!(profile.status.is_success());

    shown.title("The player signs out, and the token is refused at once");
    shown.send(Method::POST, "/v1/sdk/logout", Proof::Bearer(&access_token), None, 200).await?;
    let question = Some(json!({ "token": access_token }));
    let verdict = shown.send(Method::POST, verify, signed(), question, 200).await?;
    verdict.expect("status", "revoked")?;

    shown.title("All went well.");
    Ok(())
}
