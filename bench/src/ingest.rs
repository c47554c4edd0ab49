//! Events as partners push them: one at a time, and many as NDJSON. Signed, and without an `event_id`: the generator repeats
//! its requests, which would be duplicates otherwise.

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::{
    client::Request,
    load::Order,
    platform::Platform,
    rounds::{Expected, Served},
    signing::Partner,
};

/// Events of a batch.
pub(crate) const BATCH: usize = 500;

/// More than any machine pushes.
const LIMIT: u32 = 1_000_000;

/// A partner that may push as much as it can, into all of the queue.
pub(crate) fn partner(platform: &Platform) -> Result<Partner> {
    let limits = json!({ "events_per_second": LIMIT, "burst": LIMIT, "share": 100 });
    let body = json!({ "partner": "bench", "signing": "hmac", "limits": limits });
    let made = platform.administer("/admin/v1/partners", &body)?;
    let secret = made["secret"].as_str().context("a new partner has got no secret")?.to_owned();
    Ok(Partner { name: "bench".to_owned(), secret })
}

/// Pushes of so many events. `accepted` has to be in every answer.
pub(crate) fn served(
    platform: &Platform,
    partner: &Partner,
    connections: usize,
    events: usize,
    accepted: &'static str,
) -> Served {
    let partner = partner.clone();
    let requests = move || Ok(vec![push(&partner, events)]);
    Served {
        address: platform.address.clone(),
        connections,
        requests: Box::new(requests),
        order: Order::InTurn,
        expects: Expected { status: 202, text: accepted },
    }
}

/// One push of so many events, signed now.
pub(crate) fn push(partner: &Partner, events: usize) -> Request {
    let event = |index| {
        json!({
            "kind": "role_login", "game": 1001, "server": "s1024", "role": format!("role-{index:08}"), "level": index % 100,
            "device": "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "channel": "official", "ip": "203.0.113.7",
            "network": "wifi", "version": "1.8.3", "time": 1_796_006_096_000_i64 + i64::from(index),
            "campaign": "spring-2026", "creative": "video-0042", "idfa": "00000000-0000-0000-0000-000000000000",
        })
    };
    let count = u16::try_from(events).unwrap_or(u16::MAX);
    let body: Vec<String> = (0..count).map(|index| event(i32::from(index)).to_string()).collect();
    let headers = vec![("Content-Type", "application/x-ndjson".to_owned())];
    let path = format!("/v1/partner/{}/events", partner.name);
    partner.sign(Request { method: "POST", path, headers, body: body.join("\n") })
}
