//! Settings as a game reads them: a document of a hundred settings and twenty rules, asked for by clients of many versions,
//! whole or as "is what I have still right?".

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use crate::{
    client::Request,
    load::Order,
    platform::Platform,
    rounds::{Expected, Served},
};

/// Settings of the document. About 4 KiB of JSON in an answer.
const SETTINGS: usize = 100;

/// Rules of the document: by channel, by version, by a share of the accounts.
const RULES: usize = 20;

/// Versions that clients have, in turn.
const VERSIONS: usize = 8;

/// Publishes the document.
pub(crate) fn publish(platform: &Platform) -> Result<()> {
    let path = format!("/admin/v1/apps/{}/settings", platform.app.app_id);
    let body = json!({ "base_revision": 0, "document": document(), "note": "bench" });
    platform.administer(&path, &body).map(drop)
}

/// The settings, every time whole.
pub(crate) fn get(platform: &Platform, connections: usize) -> Served {
    let requests = requests(platform);
    served(platform, connections, Expected::ok("\"setting_99\""), Box::new(move || Ok(requests.clone())))
}

/// The settings, asked for by clients who have them.
pub(crate) fn get_unchanged(platform: &Platform, connections: usize) -> Result<Served> {
    let mut requests = requests(platform);
    for request in &mut requests {
        let answer = request.send(&platform.address)?;
        let entity_tag = answer.header("etag").context("settings have no entity tag")?.to_owned();
        request.headers.push(("If-None-Match", entity_tag));
    }
    let unchanged = Expected { status: 304, text: "" };
    Ok(served(platform, connections, unchanged, Box::new(move || Ok(requests.clone()))))
}

fn served(
    platform: &Platform,
    connections: usize,
    expects: Expected,
    requests: Box<dyn Fn() -> Result<Vec<Request>>>,
) -> Served {
    Served { address: platform.address.clone(), connections, requests, order: Order::InTurn, expects }
}

pub(crate) fn requests(platform: &Platform) -> Vec<Request> {
    let path = format!("/v1/sdk/settings?app_id={}&channel=official&package=com.example.game", platform.app.app_id);
    (0..VERSIONS).map(|minor| Request::get(format!("{path}&version=1.{minor}.0"))).collect()
}

fn document() -> Value {
    let settings: Map<String, Value> = (0..SETTINGS)
        .map(|index| {
            let value = match index % 4 {
                0 => json!({ "type": "bool", "value": index % 8 == 0 }),
                1 => json!({ "type": "number", "value": index }),
                2 => json!({ "type": "string", "value": format!("value of setting {index}") }),
                _ => json!({ "type": "json", "value": { "open": true, "products": ["gold_60", "gold_300"] } }),
            };
            (format!("setting_{index}"), value)
        })
        .collect();
    let rules: Vec<Value> = (0..RULES)
        .map(|index| {
            let when = match index % 3 {
                0 => json!({ "channel": [format!("channel_{index}"), "official"] }),
                1 => json!({ "version": format!(">=1.{}", index % VERSIONS) }),
                _ => json!({ "percent": 10, "salt": format!("rollout {index}") }),
            };
            json!({ "setting": format!("setting_{}", 4 * index + 1), "value": 1000 + index, "when": when })
        })
        .collect();
    json!({ "settings": settings, "rules": rules })
}
