//! A developer reads the contract where it runs.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

use crate::support::{Client, Platform, Shape, in_every_shape};

in_every_shape!(
    the_openapi_document_lists_every_route_that_answers,
    every_operation_has_a_name_and_documented_answers,
    the_docs_load_nothing_from_elsewhere,
);

/// Every route the contract has names for, whether this version has it or not.
const CONTRACT: &[(&str, &str)] = &[
    ("post", "/v1/sdk/register"),
    ("post", "/v1/sdk/login"),
    ("post", "/v1/sdk/refresh"),
    ("post", "/v1/sdk/logout"),
    ("get", "/v1/sdk/me"),
    ("post", "/v1/sdk/phone-codes"),
    ("post", "/v1/sdk/link"),
    ("post", "/v1/sdk/password"),
    ("post", "/v1/sdk/deletion"),
    ("delete", "/v1/sdk/deletion"),
    ("delete", "/v1/sdk/sessions"),
    ("delete", "/v1/sdk/sessions/{session_id}"),
    ("get", "/v1/sdk/settings"),
    ("post", "/v1/sdk/orders"),
    ("get", "/v1/sdk/orders/{order_id}"),
    ("post", "/v1/server/tokens/verify"),
    ("post", "/v1/server/tokens/verify-batch"),
    ("post", "/v1/server/sessions/revoke"),
    ("get", "/v1/server/orders/{order_id}"),
    ("post", "/v1/server/orders/{order_id}/redeliver"),
    ("post", "/v1/pay/callbacks/{channel}/{app_id}"),
    ("post", "/v1/partner/{partner}/events"),
    ("get", "/v1/partner/{partner}/clicks"),
    ("post", "/v1/partner/{partner}/clicks"),
    ("post", "/oauth2/introspect"),
    ("get", "/.well-known/jwks.json"),
    ("get", "/openapi.json"),
    ("get", "/docs"),
];

/// What the main job cannot do without.
const MAIN_JOB: &[&str] = &[
    "/v1/sdk/register",
    "/v1/sdk/login",
    "/v1/sdk/refresh",
    "/v1/sdk/logout",
    "/v1/sdk/me",
    "/v1/sdk/settings",
    "/v1/server/tokens/verify",
    "/v1/server/tokens/verify-batch",
    "/oauth2/introspect",
];

async fn document(client: &Client) -> Value {
    let answer = client.get("/openapi.json").await;
    assert!(answer.header("content-type").starts_with("application/json"), "{answer:?}");
    answer.json()
}

fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let is_method = |name: &str| ["get", "post", "put", "patch", "delete", "head", "options"].contains(&name);
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            let operations = item.as_object().unwrap().iter().filter(move |(method, _)| is_method(method));
            operations.map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
        })
        .collect()
}

/// Whether there is something behind a route: no such route is 404, another method's is 405.
async fn answers(client: &Client, method: &str, path: &str) -> bool {
    let path =
        path.replace("{order_id}", "1").replace("{app_id}", "1").replace("{channel}", "x").replace("{partner}", "x");
    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
    let answer = client.send(client.request(method, &path)).await;
    !matches!((answer.status, answer.text.contains("4040001")), (404, true) | (405, _))
}

async fn the_openapi_document_lists_every_route_that_answers(shape: Shape) {
    let platform = Platform::start(shape).await;
    let client = platform.client();
    let document = document(client).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{}", document["openapi"]);

    let listed: BTreeSet<(&str, &str)> =
        operations(&document).iter().map(|(method, path, _)| (*method, *path)).collect();
    for (method, path) in &listed {
        assert!(answers(client, method, path).await, "{method} {path} is listed and does not answer");
    }
    for (method, path) in CONTRACT {
        let is_answered = answers(client, method, path).await;
        assert_eq!(is_answered, listed.contains(&(*method, *path)), "{method} {path}: answers, listed");
    }
    for path in MAIN_JOB {
        assert!(listed.iter().any(|(_, listed)| listed == path), "{path} is not there");
    }
}

async fn every_operation_has_a_name_and_documented_answers(shape: Shape) {
    let platform = Platform::start(shape).await;
    let document = document(platform.client()).await;
    let mut names = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let name = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no operationId"));
        assert!(names.insert(name), "two operations are called {name}");
        let text = ["summary", "description"].iter().find_map(|field| operation[*field].as_str());
        assert!(text.is_some_and(|text| !text.trim().is_empty()), "{method} {path} is not described");
        let answers = operation["responses"].as_object();
        assert!(answers.is_some_and(|answers| !answers.is_empty()), "{method} {path} documents no answer");
    }
    for reference in references(&document) {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads elsewhere"));
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

fn references(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str);
            own.into_iter().chain(fields.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

async fn the_docs_load_nothing_from_elsewhere(shape: Shape) {
    let platform = Platform::start(shape).await;
    let page = platform.client().get("/docs").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"), "{:?}", page.headers);
    let mut to_read = vec![page.text];
    let mut seen = BTreeSet::new();
    while let Some(text) = to_read.pop() {
        for asset in assets(&text) {
            let is_elsewhere = asset.contains("://") || asset.starts_with("//");
            assert!(!is_elsewhere, "/docs loads {asset}");
            let path = if asset.starts_with('/') { asset.to_owned() } else { format!("/{asset}") };
            if seen.insert(path.clone()) {
                let loaded = platform.client().get(&path).await;
                assert_eq!(loaded.status, 200, "/docs loads {path}, which is not there");
                to_read.push(loaded.text);
            }
        }
    }
}

/// What a page or style sheet makes a browser load: everything but links to click on.
fn assets(text: &str) -> Vec<&str> {
    let after = |marker: &'static str, end: &'static [char]| {
        text.match_indices(marker).filter_map(move |(at, _)| text[at + marker.len()..].split(end).next())
    };
    let style_sheets = text.match_indices("<link").filter_map(|(at, _)| {
        let tag = text[at..].split('>').next()?;
        tag.split("href=\"").nth(1)?.split('"').next()
    });
    after("src=\"", &['"'])
        .chain(after("@import \"", &['"']))
        .chain(after("url(", &[')']).map(|url| url.trim_matches(['"', '\''])))
        .chain(style_sheets)
        .filter(|asset| !asset.is_empty() && !asset.starts_with("data:"))
        .collect()
}
