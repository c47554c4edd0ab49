//! The database dies in the middle of the day and comes back. Tokens stay good meanwhile, and whatever a player was
//! told had happened, has happened.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::task::JoinSet;

use crate::support::{Client, Platform, Player, Role, Shape, eventually, in_a_fleet, in_four_roles};

in_four_roles!(
    while_the_database_is_gone_tokens_are_still_verified,
    when_the_database_comes_back_logins_work_again_by_itself,
    nothing_a_player_was_told_is_lost_when_the_database_is_killed_under_load,
    a_database_that_hangs_is_not_waited_for_without_end,
);
in_a_fleet!(
    while_the_database_is_gone_tokens_are_still_verified,
    when_the_database_comes_back_logins_work_again_by_itself,
    nothing_a_player_was_told_is_lost_when_the_database_is_killed_under_load,
    a_database_that_hangs_is_not_waited_for_without_end,
);

/// So many logins in a row reach every replica.
const IN_A_ROW: usize = 10;

async fn while_the_database_is_gone_tokens_are_still_verified(shape: Shape) {
    let mut platform = Platform::build(shape).with_own_mariadb().start().await;
    let ann = platform.register("ann").await;
    let signed_out = ann.login().await;
    signed_out.logout().await.ok();
    platform.mariadb().kill().unwrap();
    for _ in 0..10 {
        assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
        platform.is_revoked(&signed_out.tokens.access_token).await;
    }
    ann.try_login().await.could_not_tell();
    platform.try_register("bob").await.could_not_tell();
    ann.refresh().await.could_not_tell();
}

async fn when_the_database_comes_back_logins_work_again_by_itself(shape: Shape) {
    let mut platform = Platform::build(shape).with_own_mariadb().start().await;
    let ann = platform.register("ann").await;
    platform.mariadb().kill().unwrap();
    ann.try_login().await.could_not_tell();
    platform.mariadb().restart().unwrap();
    // Replicas find it again one after the other.
    eventually("every login works again, and nothing is missing any more", || async {
        for _ in 0..IN_A_ROW {
            let answer = ann.try_login().await;
            let is_whole = answer.status == 200 && answer.ok()["degraded"] == serde_json::json!([]);
            is_whole.then_some(())?;
        }
        Some(())
    })
    .await;
    ann.refresh().await.ok();
}

async fn nothing_a_player_was_told_is_lost_when_the_database_is_killed_under_load(shape: Shape) {
    const ENOUGH: usize = 20;
    let mut platform = Platform::build(shape).with_own_mariadb().start().await;
    let witness = platform.register("witness").await;
    let stop = Arc::new(AtomicBool::new(false));
    let (told, mut hearing) = tokio::sync::mpsc::unbounded_channel();
    let mut load = JoinSet::new();
    for writer in 0..4 {
        let (client, app_id) = (platform.client().clone(), platform.app().app_id);
        load.spawn(write_until(Arc::clone(&stop), client, app_id, writer, told.clone()));
    }
    drop(told);

    // In the middle of it, twice: the second time while it is still recovering its pools.
    let mut promises = Vec::new();
    for _ in 0..2 {
        for _ in 0..ENOUGH {
            promises.push(hearing.recv().await.expect("the writers write"));
        }
        platform.mariadb().kill().unwrap();
        assert_eq!(platform.verify(&witness.tokens.access_token).await.status, "valid");
        platform.mariadb().restart().unwrap();
    }
    promises.push(hearing.recv().await.expect("it recovers by itself"));
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = load.join_next().await {
        ended.unwrap();
    }
    while let Some(promise) = hearing.recv().await {
        promises.push(promise);
    }

    // From the database and nothing else: what account remembers is forgotten.
    platform.kill(Role::Account);
    platform.restart(Role::Account).await;
    eventually("logins work again", || async { (witness.try_login().await.status == 200).then_some(()) }).await;
    for Promise { player, signed_out } in &promises {
        player.login().await;
        let expected = if *signed_out { "revoked" } else { "valid" };
        let verdict = platform.verify(&player.tokens.access_token).await;
        assert_eq!(verdict.status, expected, "{} was told something else", player.username);
    }
}

/// What a player was told had happened.
struct Promise {
    player: Player,
    signed_out: bool,
}

/// Registers players and signs every other one out again; passes on what was acknowledged.
async fn write_until(
    stop: Arc<AtomicBool>,
    client: Client,
    app_id: i64,
    writer: usize,
    told: tokio::sync::mpsc::UnboundedSender<Promise>,
) {
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let username = format!("writer_{writer}_{number}");
        let answer = Player::try_register(&client, app_id, &username).await;
        if answer.status != 200 {
            answer.not_now();
            continue;
        }
        let player = Player::from_answer(client.clone(), app_id, &username, &answer);
        if number % 2 == 0 {
            told.send(Promise { player, signed_out: false }).unwrap_or_default();
            continue;
        }
        let answer = player.logout().await;
        if answer.status == 200 {
            told.send(Promise { player, signed_out: true }).unwrap_or_default();
        } else {
            // It may have happened or not: nothing was promised.
            answer.not_now();
        }
    }
}

async fn a_database_that_hangs_is_not_waited_for_without_end(shape: Shape) {
    let mut platform = Platform::build(shape).with_own_mariadb().start().await;
    let ann = platform.register("ann").await;
    platform.mariadb().freeze().unwrap();
    // The harness gives up on an answer long after any deadline of the platform's.
    ann.try_login().await.not_now();
    assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
    platform.mariadb().thaw().unwrap();
    eventually("logins work again", || async { (ann.try_login().await.status == 200).then_some(()) }).await;
}
