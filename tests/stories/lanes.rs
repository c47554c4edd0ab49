//! A version of account that only developers are to meet: it runs beside the base, and who is coloured for it gets it.

use reqwest::Method;

use crate::support::{Platform, Player, Replica, Role, Shape, eventually, in_a_fleet};

in_a_fleet!(
    whoever_is_coloured_meets_the_lane_where_it_has_an_instance_and_the_base_everywhere_else,
    a_lane_that_nobody_serves_is_the_base,
    a_stranger_cannot_choose_a_lane_by_baggage,
);

const DOCUMENT: &str = "playgate-govern.toml";

/// Whoever sends this header is coloured.
const RULE: &str = "[[lanes.rules]]\nlane = \"dev\"\nheader = { name = \"X-Lane\", equals = \"let-me-in\" }\n";

/// Enough to reach every instance that would be asked in turn.
const OFTEN: usize = 20;

/// How many looks at an own account a process has answered.
async fn looks_answered(platform: &Platform, account: Replica) -> u64 {
    let metrics = platform.metrics(account).await;
    let of_looks =
        |line: &&str| line.starts_with("playgate_rpc_server_requests_total{") && line.contains("method=\"GetProfile\"");
    let count = |line: &str| line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok()).unwrap_or_default();
    metrics.lines().filter(of_looks).map(count).sum()
}

async fn looks_of_all(platform: &Platform, accounts: &[Replica]) -> Vec<u64> {
    let mut looks = Vec::new();
    for account in accounts {
        looks.push(looks_answered(platform, *account).await);
    }
    looks
}

/// Looks at the player's own account again and again, with a header, and counts who answered.
async fn who_answers(platform: &Platform, ann: &Player, header: (&str, &str), accounts: &[Replica]) -> Vec<u64> {
    let before = looks_of_all(platform, accounts).await;
    for _ in 0..OFTEN {
        let request = platform.client().request(Method::GET, "/v1/sdk/me").bearer_auth(&ann.tokens.access_token);
        platform.client().send(request.header(header.0, header.1)).await.ok();
    }
    let after = looks_of_all(platform, accounts).await;
    before.iter().zip(after).map(|(before, after)| after - before).collect()
}

/// A fleet whose rules colour, and the accounts: two of the base.
async fn coloured(shape: Shape) -> (Platform, Vec<Replica>) {
    let platform = Platform::start(shape).await;
    platform.registry().publish(DOCUMENT, RULE).await;
    for gateway in platform.operators(Role::Gateway) {
        eventually("the gateway colours", || async {
            (gateway.get("/govern").await.json()["origin"] == "nacos").then_some(())
        })
        .await;
    }
    (platform, vec![Role::Account.replica(0), Role::Account.replica(1)])
}

async fn whoever_is_coloured_meets_the_lane_where_it_has_an_instance_and_the_base_everywhere_else(shape: Shape) {
    let (mut platform, mut accounts) = coloured(shape).await;
    let ann = platform.register("ann").await;
    accounts.push(platform.add_in_lane(Role::Account, "dev").await);
    platform.has_found_everybody().await;

    let answered = who_answers(&platform, &ann, ("x-lane", "let-me-in"), &accounts).await;
    assert_eq!(answered, [0, 0, OFTEN as u64]);
    let answered = who_answers(&platform, &ann, ("x-lane", "something else"), &accounts).await;
    assert_eq!((answered[0] + answered[1], answered[2]), (OFTEN as u64, 0));
    // Setting and pay have no instance in the lane.
    let sign_in = ann.login_request().header("x-lane", "let-me-in");
    let welcome = platform.client().send(sign_in).await.ok();
    assert_eq!(welcome["degraded"], serde_json::json!([]), "{welcome}");

    platform.kill(accounts[2]);
    let answered = who_answers(&platform, &ann, ("x-lane", "let-me-in"), &accounts[..2]).await;
    assert_eq!(answered.iter().sum::<u64>(), OFTEN as u64, "the base stands in at once");
}

async fn a_lane_that_nobody_serves_is_the_base(shape: Shape) {
    let (platform, accounts) = coloured(shape).await;
    let ann = platform.register("ann").await;
    let answered = who_answers(&platform, &ann, ("x-lane", "let-me-in"), &accounts).await;
    assert_eq!(answered.iter().sum::<u64>(), OFTEN as u64);
}

async fn a_stranger_cannot_choose_a_lane_by_baggage(shape: Shape) {
    let (mut platform, mut accounts) = coloured(shape).await;
    let ann = platform.register("ann").await;
    accounts.push(platform.add_in_lane(Role::Account, "dev").await);
    platform.has_found_everybody().await;
    let answered = who_answers(&platform, &ann, ("baggage", "lane=dev"), &accounts).await;
    assert_eq!(answered[2], 0, "{answered:?}");
}
