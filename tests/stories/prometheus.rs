//! A Prometheus scrapes every role, and finds what the manual says is there, and nothing that it doesn't say.

use serde_json::Value;
use xtask::{dashboards::metrics_in, services::Prometheus, workspace};

use crate::support::{Client, Platform, Shape, eventually, in_every_shape};

in_every_shape!(on_prometheus_every_role_is_scraped_without_an_error, every_metric_of_every_role_is_in_the_manual,);

async fn on_prometheus_every_role_is_scraped_without_an_error(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    platform.verify(&ann.tokens.access_token).await;
    let targets: Vec<String> =
        platform.replicas().into_iter().map(|replica| address(&platform.operator(replica))).collect();
    let rules = workspace::root().join("deploy/prometheus/alerts.yaml");
    let prometheus = Prometheus::start(&targets, &rules).expect("Prometheus starts");
    let client = Client::operator(prometheus.address());
    eventually("every role is scraped", || async {
        let scraped = client.get("/api/v1/targets").await.json();
        let seen = scraped["data"]["activeTargets"].as_array().cloned().unwrap_or_default();
        let is_well = |target: &Value| target["health"] == "up" && target["lastError"] == "";
        (seen.len() == targets.len() && seen.iter().all(is_well)).then_some(())
    })
    .await;
    let query = "/api/v1/query?query=sum(playgate_http_requests_total%7Blistener%3D%22public%22%7D)";
    eventually("requests are counted", || async {
        let answer = client.get(query).await.json();
        let counted = answer["data"]["result"][0]["value"][1].as_str().and_then(|count| count.parse::<f64>().ok());
        counted.filter(|count| *count >= 2.0).map(drop)
    })
    .await;
    let rules = client.get("/api/v1/rules").await.json();
    let groups = rules["data"]["groups"].as_array().cloned().unwrap_or_default();
    let broken: Vec<String> = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default())
        .filter(|rule| rule["health"] == "err")
        .map(|rule| format!("{}: {}", rule["name"], rule["lastError"]))
        .collect();
    assert_eq!(broken, [""; 0]);
    assert!(!groups.is_empty(), "{rules}");
}

async fn every_metric_of_every_role_is_in_the_manual(shape: Shape) {
    let platform = Platform::start(shape).await;
    let manual = include_str!("../../docs/operations.md");
    let documented = metrics_in(manual);
    let ann = platform.register("ann").await;
    platform.verify(&ann.tokens.access_token).await;
    for replica in platform.replicas() {
        let scraped = platform.operator(replica).get("/metrics").await.text;
        let names: String = scraped.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let missing: Vec<String> = metrics_in(&names).difference(&documented).cloned().collect();
        assert_eq!(missing, [""; 0], "metrics of {replica:?} that the manual does not have");
    }
}

/// As Prometheus writes it: without the scheme.
fn address(operator: &Client) -> String {
    operator.address().trim_start_matches("http://").to_owned()
}
