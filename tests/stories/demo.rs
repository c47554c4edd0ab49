//! Somebody who has just heard of the platform runs `playgate demo`.

use crate::support::{Shape, in_one_process, playgate, run_to_end};

in_one_process!(the_demo_walks_through_the_main_job_and_ends_well);

async fn the_demo_walks_through_the_main_job_and_ends_well(_shape: Shape) {
    let directory = tempfile::tempdir().unwrap();
    let mut command = playgate(directory.path(), &Vec::new());
    command.arg("demo");
    let output = run_to_end(command).await;
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}\n{shown}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    for step in [
        "/v1/sdk/login",
        "/v1/server/tokens/verify",
        "/v1/sdk/settings",
        "/v1/sdk/orders",
        "/v1/partner/ads/events",
        "x-signature",
        "\"delivered\"",
        "\"valid\"",
    ] {
        assert!(shown.contains(step), "the walk does not show {step}:\n{shown}");
    }
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "the demo leaves {left:?} behind");
}
