//! A caller of our own says how long it still waits, and is answered by then, whatever hangs behind the gateway.

use reqwest::{Method, RequestBuilder};

use crate::support::{Answer, Platform, Player, Role, Shape, in_four_roles};

in_four_roles!(
    a_trusted_caller_in_a_hurry_is_told_that_its_time_is_over_and_a_patient_one_to_come_back,
    a_stranger_cannot_cut_its_requests_short,
);

const HEADER: &str = "x-request-timeout-ms";

/// A look at one's own account, which only account can answer.
fn me(platform: &Platform, ann: &Player) -> RequestBuilder {
    platform.client().request(Method::GET, "/v1/sdk/me").bearer_auth(&ann.tokens.access_token)
}

async fn within(platform: &Platform, request: RequestBuilder, millis: &str) -> Answer {
    platform.client().send(request.header(HEADER, millis)).await
}

async fn a_trusted_caller_in_a_hurry_is_told_that_its_time_is_over_and_a_patient_one_to_come_back(shape: Shape) {
    let mut platform = Platform::build(shape).set("gateway.edge.trusted_proxies", "[\"127.0.0.0/8\"]").start().await;
    let ann = platform.register("ann").await;
    within(&platform, me(&platform, &ann), "5000").await.ok();

    platform.freeze(Role::Account);
    let signing_in = within(&platform, ann.login_request(), "100").await;
    assert_eq!((signing_in.status, signing_in.code()), (504, 5_040_001), "{signing_in:?}");
    let looking = within(&platform, me(&platform, &ann), "100").await;
    assert_eq!((looking.status, looking.code()), (504, 5_040_001), "{looking:?}");
    // As before for those who say nothing, and for those who say nothing that can be read.
    within(&platform, ann.login_request(), "soon").await.could_not_tell();
    ann.try_login().await.could_not_tell();

    platform.thaw(Role::Account);
    crate::support::eventually("account answers again", || async {
        (within(&platform, me(&platform, &ann), "5000").await.status == 200).then_some(())
    })
    .await;
}

async fn a_stranger_cannot_cut_its_requests_short(shape: Shape) {
    let mut platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    platform.freeze(Role::Account);
    within(&platform, ann.login_request(), "1").await.could_not_tell();
    platform.thaw(Role::Account);
}
