//! Events as partners push them: one at a time, and many as NDJSON. Signed, and without an `event_id`: the generator repeats
//! its requests, which would be duplicates otherwise.
//!
//! What becomes of them when there are too many: [`overload`], [`fairness`].

pub mod fairness;
pub mod overload;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::{
    client::Request,
    load::Order,
    peer::Peer,
    platform::Platform,
    rounds::{Expected, Served},
    signing::Partner,
};

/// Events of a batch.
pub(crate) const BATCH: u32 = 500;

/// More than any machine pushes.
const LIMIT: u32 = 1_000_000;

/// A partner that may push as much as it can, into all of the queue.
pub(crate) fn unlimited(platform: &Platform) -> Result<Partner> {
    join(platform, "bench", &json!({ "events_per_second": LIMIT, "burst": LIMIT, "share": 100 }))
}

/// A partner with these limits.
fn join(platform: &Platform, name: &str, limits: &Value) -> Result<Partner> {
    let body = json!({ "partner": name, "signing": "hmac", "limits": limits });
    let made = platform.administer("/admin/v1/partners", &body)?;
    let secret = made["secret"].as_str().context("a new partner has got no secret")?.to_owned();
    Ok(Partner { name: name.to_owned(), secret })
}

/// Pushes of so many events. `accepted` has to be in every answer.
pub(crate) fn served(
    platform: &Platform,
    partner: &Partner,
    connections: usize,
    events: u32,
    accepted: &'static str,
) -> Served {
    let partner = partner.clone();
    Served {
        address: platform.address.clone(),
        connections,
        requests: Box::new(move || Ok(vec![push(&partner, events)])),
        order: Order::InTurn,
        expects: Expected { status: 202, text: accepted },
    }
}

/// The same single event, pushed to the step in Go.
pub(crate) fn served_by_go(peer: &Peer, connections: usize) -> Served {
    let request = || {
        let headers = vec![("Content-Type", "application/json".to_owned())];
        Request { method: "POST", path: "/events".to_owned(), headers, body: event(0) }
    };
    Served {
        address: peer.address.clone(),
        connections,
        requests: Box::new(move || Ok(vec![request()])),
        order: Order::InTurn,
        expects: Expected { status: 202, text: r#""accepted":1,"# },
    }
}

/// A signed push of so many events.
pub(crate) fn push(partner: &Partner, events: u32) -> Request {
    let headers = vec![("Content-Type", "application/x-ndjson".to_owned())];
    let body: Vec<String> = (0..events).map(event).collect();
    let path = format!("/v1/partner/{}/events", partner.name);
    partner.sign(Request { method: "POST", path, headers, body: body.join("\n") })
}

fn event(index: u32) -> String {
    let event = json!({
        "kind": "role_login", "game": 1001, "server": "s1024", "role": format!("role-{index:08}"), "level": index % 100,
        "device": "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "channel": "official", "ip": "203.0.113.7",
        "network": "wifi", "version": "1.8.3", "time": 1_796_006_096_000_i64 + i64::from(index),
        "campaign": "spring-2026", "creative": "video-0042", "idfa": "00000000-0000-0000-0000-000000000000",
    });
    event.to_string()
}
