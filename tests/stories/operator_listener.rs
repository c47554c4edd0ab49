//! An operator looks at a role: does it live, is it ready, which version is it, how does it do?

use crate::support::{Platform, Shape, in_every_shape};

in_every_shape!(
    every_role_tells_that_it_lives_and_is_ready_and_which_version_it_is,
    every_role_has_metrics_of_its_process,
    requests_are_counted_by_route_and_never_by_what_players_typed,
);

async fn every_role_tells_that_it_lives_and_is_ready_and_which_version_it_is(shape: Shape) {
    let platform = Platform::start(shape).await;
    for replica in platform.replicas() {
        let operator = platform.operator(replica);
        for path in ["/healthz", "/readyz"] {
            assert_eq!(operator.get(path).await.status, 200, "{path} of {replica:?}");
        }
        let version = operator.get("/version").await;
        assert_eq!(version.json()["version"], env!("CARGO_PKG_VERSION"), "{version:?}");
        assert_eq!(operator.get("/nope").await.status, 404, "{replica:?}");
    }
}

async fn every_role_has_metrics_of_its_process(shape: Shape) {
    let platform = Platform::start(shape).await;
    for replica in platform.replicas() {
        let metrics = platform.operator(replica).get("/metrics").await;
        assert!(metrics.header("content-type").starts_with("text/plain"), "{replica:?}");
        for name in
            ["playgate_build_info", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"]
        {
            let sampled = metrics.text.lines().any(|line| line.starts_with(name));
            assert!(sampled, "no {name} of {replica:?} in\n{}", metrics.text);
        }
    }
}

async fn requests_are_counted_by_route_and_never_by_what_players_typed(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    platform.verify(&ann.tokens.access_token).await;
    platform.client().get("/v1/typed/by/somebody").await;
    let metrics = platform.metrics(platform.front()).await;
    let counted = |route: &str| {
        let labelled = format!("\"{route}\"");
        metrics.lines().any(|line| line.starts_with("playgate_") && line.contains(&labelled) && !line.ends_with(" 0"))
    };
    assert!(counted("/v1/server/tokens/verify"), "{metrics}");
    assert!(counted("/v1/sdk/register"), "{metrics}");
    for typed in ["typed/by/somebody", "ann", ann.tokens.access_token.as_str()] {
        assert!(!metrics.contains(&format!("\"{typed}")) && !metrics.contains(&format!("/{typed}")), "{metrics}");
    }
}
