//! An operator looks at a role: does it live, is it ready, which version is it, how does it do?

use crate::support::{Platform, Shape, in_every_shape, playgate, run_to_end};

in_every_shape!(
    every_role_tells_that_it_lives_and_is_ready_and_which_version_it_is,
    every_role_can_be_asked_for_its_health_by_its_own_program,
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

async fn every_role_can_be_asked_for_its_health_by_its_own_program(shape: Shape) {
    let mut platform = Platform::start(shape).await;
    let ask = async |address: String| {
        let settings = [("operator.listen", address)].map(|(key, value)| (key.to_owned(), value));
        let scratch = tempfile::tempdir().unwrap();
        let mut command = playgate(scratch.path(), &settings.into());
        command.args(["health", "--ready"]);
        run_to_end(command).await
    };
    for replica in platform.replicas() {
        let operator = platform.operator(replica).address().trim_start_matches("http://").to_owned();
        let healthy = ask(operator.clone()).await;
        assert_eq!((healthy.status.code(), &*healthy.stdout, &*healthy.stderr), (Some(0), &b""[..], &b""[..]));
        platform.kill(replica);
        let gone = ask(operator).await;
        assert_eq!(gone.status.code(), Some(70));
        assert!(String::from_utf8_lossy(&gone.stderr).starts_with("playgate: nobody listens on "), "{gone:?}");
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
