//! Operators limit who may ask how often; whoever asks too often is told when to come back, and nobody else is.

use reqwest::Method;

use crate::support::{Answer, Platform, Shape, eventually, in_one_process};

in_one_process!(who_asks_too_often_is_told_when_to_come_back_and_nobody_else_is);

const DOCUMENT: &str = "playgate-govern.toml";
const FIVE_A_MINUTE: &str = "keys.address.rate = { limit = 5, per = \"1m\" }\n";

/// Asks as a client at this address, through a proxy of ours.
async fn ask(platform: &Platform, from: &str) -> Answer {
    let request = platform.client().request(Method::GET, "/openapi.json").header("x-forwarded-for", from);
    platform.client().send(request).await
}

async fn who_asks_too_often_is_told_when_to_come_back_and_nobody_else_is(shape: Shape) {
    let documents = tempfile::tempdir().unwrap();
    std::fs::write(documents.path().join(DOCUMENT), FIVE_A_MINUTE).unwrap();
    let platform = Platform::build(shape)
        .set("dynamic.kind", "file")
        .set("dynamic.directory", documents.path().to_str().unwrap())
        .set("gateway.edge.trusted_proxies", r#"["127.0.0.0/8"]"#)
        .start()
        .await;
    for _ in 0..5 {
        assert_eq!(ask(&platform, "203.0.113.1").await.status, 200);
    }
    // What a client says to be does not count, only what our proxy saw.
    let refused = ask(&platform, "198.51.100.7, 203.0.113.1").await;
    refused.refused(4_290_001).not_now();
    assert_eq!(refused.header("ratelimit-policy"), "\"address\";q=5;w=60");
    assert!(refused.header("ratelimit").starts_with("\"address\";r=0;t="), "{refused:?}");
    assert_eq!(ask(&platform, "203.0.113.2").await.status, 200);
    std::fs::write(documents.path().join(DOCUMENT), format!("switches.limits = false\n{FIVE_A_MINUTE}")).unwrap();
    eventually("limits are off", async || (ask(&platform, "203.0.113.1").await.status == 200).then_some(())).await;
}
