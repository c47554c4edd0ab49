//! What happens on the platform reaches a studio's data warehouse: each thing at least once, also when processes are killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{
    Builder, Client, PATIENCE, Platform, Player, Role, Shape, Shop, Studio, eventually, in_a_fleet, in_four_roles,
    in_one_process,
};

in_one_process!(
    what_players_and_orders_do_is_in_segments_for_a_warehouse,
    wherever_a_process_is_killed_every_event_is_kept_and_once_where_it_goes_on,
    an_operator_looks_into_the_platforms_own_segments,
    unless_they_are_wanted_there_are_no_segments,
);
in_four_roles!(
    what_players_and_orders_do_is_in_segments_for_a_warehouse,
    wherever_a_process_is_killed_every_event_is_kept_and_once_where_it_goes_on,
);
in_a_fleet!(what_players_and_orders_do_is_in_segments_for_a_warehouse);

/// Looks for the end of a process that is about to die, each as short as a moment: a minute in all.
const LOOKS: usize = 2400;
const MOMENT: Duration = Duration::from_millis(25);

fn publishing(shape: Shape) -> Builder {
    let builder = Platform::build(shape).set("account.events.publish", "true").set("pay.events.publish", "true");
    builder.set("account.events.every", "50ms").set("pay.events.every", "50ms")
}

/// Where the processes keep the platform's events, those that have any.
fn stores(platform: &Platform) -> Vec<PathBuf> {
    let data_dirs: Vec<PathBuf> = match platform.front() {
        Role::All => vec![platform.directory().join("data")],
        _ => platform.replicas().into_iter().map(|replica| platform.data_dir_of(replica)).collect(),
    };
    data_dirs
        .into_iter()
        .map(|data_dir| data_dir.join("platform-events/segments"))
        .filter(|store| store.exists())
        .collect()
}

/// The lines of every segment of every process; `None` when one is being written or renamed at this moment.
fn lines(platform: &Platform) -> Option<Vec<Value>> {
    let mut lines = Vec::new();
    for store in stores(platform) {
        let mut files: Vec<PathBuf> = fs::read_dir(store).ok()?.flatten().map(|entry| entry.path()).collect();
        files.sort();
        for file in files {
            for line in fs::read_to_string(file).ok()?.lines() {
                lines.push(serde_json::from_str(line).ok()?);
            }
        }
    }
    Some(lines)
}

/// The events that `wanted` has a use for, once there are as many as `count`.
async fn events(platform: &Platform, count: usize, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    eventually("the events are in segments", || async {
        let events = lines(platform)?.into_iter().map(|mut line| line["event"].take());
        let events: Vec<Value> = events.filter(|event| wanted(event)).collect();
        (events.len() >= count).then_some(events)
    })
    .await
}

async fn what_players_and_orders_do_is_in_segments_for_a_warehouse(shape: Shape) {
    let (platform, studio) = (publishing(shape).start().await, Studio::start().await);
    let (shop, ann) = (Shop::open(&platform, &studio).await, platform.register("ann").await);
    let again = ann.login().await;
    let order_id = shop.create(&ann, "k-1").await;
    shop.pay(&order_id).await;
    shop.is(&order_id, "delivered").await;
    let ban = format!("/admin/v1/accounts/{}/ban", ann.tokens.account_id);
    platform.admin().post(&ban, &json!({ "reason": "aim bot", "note": "ticket 7" })).await.ok();
    let hers = |event: &Value| event["account_id"] == json!(ann.tokens.account_id);
    let mut told: BTreeMap<String, Value> = BTreeMap::new();
    for event in events(&platform, 5, hers).await {
        let kind = event["kind"].as_str().unwrap().to_owned();
        assert!(told.insert(kind, event).is_none(), "each once");
    }
    let kinds: Vec<&str> = told.keys().map(String::as_str).collect();
    assert_eq!(kinds, ["account.banned", "account.login", "account.registered", "order.delivered", "order.paid"]);
    assert_eq!(told["account.registered"]["session_id"], json!(ann.tokens.session_id));
    assert_eq!(told["account.login"]["session_id"], json!(again.tokens.session_id));
    assert_eq!(told["account.banned"]["reason"], "aim bot");
    let paid = &told["order.paid"];
    assert_eq!((&paid["order_id"], &paid["amount"], &paid["currency"]), (&json!(order_id), &json!(600), &json!("CNY")));
    let ids: BTreeSet<&str> = told.values().map(|event| event["event_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 5);
    for line in lines(&platform).expect("nothing is written any more") {
        let service = if line["event"]["kind"].as_str().unwrap().starts_with("order.") { "pay" } else { "account" };
        assert_eq!(line["partner"], json!(format!("playgate.{service}")));
        assert_eq!(line["event_id"], line["event"]["event_id"]);
        let text = line.to_string();
        for secret in ["ticket 7", &ann.password, &ann.tokens.access_token, &ann.tokens.refresh_token] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    let role = |role: Role| if platform.front() == Role::All { Role::All } else { role };
    for (service, role) in [("account", role(Role::Account)), ("pay", role(Role::Pay))] {
        let metrics = platform.metrics(role).await;
        let waiting = format!("playgate_events_waiting{{service=\"{service}\"}}");
        assert!(metrics.contains(&waiting), "{metrics}");
        let kept = format!("playgate_ingest_accepted_total{{partner=\"playgate.{service}\",store=\"platform\"}}");
        assert!(metrics.contains(&kept), "{metrics}");
    }
}

async fn wherever_a_process_is_killed_every_event_is_kept_and_once_where_it_goes_on(shape: Shape) {
    let (mut platform, studio) = (publishing(shape).start().await, Studio::start().await);
    let (shop, ann) = (Shop::open(&platform, &studio).await, platform.register("ann").await);
    let (mut sessions, mut orders) = (BTreeSet::from([ann.tokens.session_id.clone()]), BTreeSet::new());
    let client = platform.client().clone();
    let role = |role: Role, platform: &Platform| if platform.front() == Role::All { Role::All } else { role };
    for place in ["events_kept", "events_deleted"] {
        // Whoever is told that the session is there, or the payment taken, is right, whatever becomes of the process then.
        let account = role(Role::Account, &platform);
        platform.restart_to_die(account, &format!("{place}.account"));
        sessions.extend(until_it_dies(&mut platform, account, || signed_in(client.clone(), &ann)).await);
        platform.restart(account).await;
        sessions.insert(eventually("somebody can sign in", || signed_in(client.clone(), &ann)).await);

        let order_id = shop.create(&ann, &format!("k-{place}")).await;
        let pay = role(Role::Pay, &platform);
        platform.restart_to_die(pay, &format!("{place}.pay"));
        until_it_dies(&mut platform, pay, || paid(&shop, &order_id)).await;
        platform.restart(pay).await;
        eventually("the payment is taken", || paid(&shop, &order_id)).await;
        orders.insert(order_id);
    }
    let of_sessions =
        |event: &Value| ["account.login", "account.registered"].contains(&event["kind"].as_str().unwrap());
    let told = |events: Vec<Value>, field: &str| -> Vec<String> {
        events.iter().map(|event| event[field].as_str().unwrap().to_owned()).collect()
    };
    let in_segments = eventually("every session is told of", || async {
        let events = told(events(&platform, sessions.len(), of_sessions).await, "session_id");
        sessions.iter().all(|session| events.contains(session)).then_some(events)
    })
    .await;
    assert_eq!(in_segments.len(), in_segments.iter().collect::<BTreeSet<_>>().len(), "{in_segments:?}");
    let paid = told(events(&platform, orders.len(), |event| event["kind"] == "order.paid").await, "order_id");
    assert_eq!((paid.len(), paid.into_iter().collect::<BTreeSet<_>>()), (orders.len(), orders));
}

/// Does something again and again until it is done, while a process is about to die, and waits for that.
async fn until_it_dies<T, F>(platform: &mut Platform, which: Role, act: impl Fn() -> F) -> Option<T>
where
    F: Future<Output = Option<T>>,
{
    let mut done = None;
    for _ in 0..LOOKS {
        if done.is_none() {
            done = act().await;
        }
        if let Some(ended) = platform.ends_within(which, MOMENT).await {
            // By its own hand, and not because it could not start.
            assert_eq!(ended.signal(), Some(9), "{ended:?}");
            return done;
        }
    }
    panic!("{which:?} never comes to where it dies");
}

/// Signs in; the session, if somebody was there to answer.
async fn signed_in(client: Client, player: &Player) -> Option<String> {
    let answer = client.exchange(player.login_request()).await.ok()?;
    (answer.status == 200).then(|| answer.ok()["session_id"].as_str().unwrap().to_owned())
}

/// Says that the order was paid; whether that was taken.
async fn paid(shop: &Shop, order_id: &str) -> Option<()> {
    let (status, _) = shop.call_back(&Shop::payment(order_id)).await?;
    (status == 200).then_some(())
}

async fn an_operator_looks_into_the_platforms_own_segments(shape: Shape) {
    let mut platform = publishing(shape).start().await;
    let ann = platform.register("ann").await;
    events(&platform, 1, |event| event["account_id"] == json!(ann.tokens.account_id)).await;
    let front = platform.front();
    platform.terminate(front);
    assert!(platform.ends_within(front, PATIENCE).await.is_some_and(|status| status.success()));
    let inspected = platform.run(&["ingest", "inspect", "--platform"]).await;
    assert_eq!((&inspected["complete"], &inspected["torn"]), (&json!(true), &Value::Null));
    assert!(inspected["partners"]["playgate.account"].as_u64() >= Some(1), "{inspected}");
}

async fn unless_they_are_wanted_there_are_no_segments(shape: Shape) {
    let platform = Platform::start(shape).await;
    platform.register("ann").await;
    assert!(stores(&platform).is_empty());
    assert!(!platform.metrics(platform.front()).await.contains("playgate_events_"));
}
