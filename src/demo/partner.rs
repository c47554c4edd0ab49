//! Another company's server pushes events.

use anyhow::ensure;
use reqwest::Method;
use serde_json::json;

use super::{
    order::Operator,
    show::{Proof, Shown},
};

/// Makes a partner, pushes two events as it would, and pushes them again.
pub(super) async fn push(shown: &mut Shown, operator: &Operator) -> anyhow::Result<()> {
    shown.title("An operator makes a partner: an ad network that tells of installs");
    let public = shown.speak_to(operator.base.clone());
    let token = Proof::Bearer(&operator.token);
    let wish = json!({ "partner": "ads", "signing": "hmac" });
    let made = shown.send(Method::POST, "/admin/v1/partners", token, Some(wish), 200).await?;
    let secret = made.text("secret")?.to_owned();
    shown.speak_to(public);

    let events = "{\"event_id\":\"e-1\",\"kind\":\"click\"}\n{\"event_id\":\"e-2\",\"kind\":\"install\"}";
    let headers = || vec![("Content-Type", "application/x-ndjson".to_owned())];
    let proof = Proof::Partner { name: "ads", secret: &secret };
    let target = "/v1/partner/ads/events";
    shown.title("... which pushes two events, signed with its secret");
    let first = shown.send_raw(Method::POST, target, proof, headers(), events.to_owned(), 202).await?;
    first.expect("accepted", 2)?;

    shown.title("... and once more, because the answer was lost: nothing is stored twice");
    let again = shown.send_raw(Method::POST, target, proof, headers(), events.to_owned(), 202).await?;
    again.expect("duplicates", 2)?;
    ensure!(again.body["data"]["accepted"] == 0, "nothing should be stored twice");
    Ok(())
}
