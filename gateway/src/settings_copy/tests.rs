//! The copy against replicas of the setting service that know differently much and fail.

use std::time::Duration;

use common::{
    clock::Timestamp,
    error_code::{ErrorCode, PublicError},
};
use futures_util::future::join_all;
use idl::setting::DependsOn;

use super::{
    caller::Caller,
    config::SettingsConfig,
    copy::SettingsCopy,
    testing::{NOW, Published, Script, copy_of},
};

const APP: i64 = 7;
const SECOND: Duration = Duration::from_secs(1);
const QUARTER: Duration = Duration::from_millis(250);

fn caller() -> Caller {
    Caller { app_id: APP, ..Caller::default() }
}

fn player(account_id: i64) -> Caller {
    Caller { account_id: Some(account_id), ..caller() }
}

fn revision(revision: i64) -> Published {
    Published { revision, ..Published::default() }
}

fn by_account(number: i64) -> Published {
    Published { depends_on: DependsOn { account_id: true, ..DependsOn::default() }, ..revision(number) }
}

fn counted(copy: &SettingsCopy) -> [u64; 4] {
    let metrics = &copy.0.metrics;
    [&metrics.fresh, &metrics.stale, &metrics.asked, &metrics.refused].map(|counter| counter.get())
}

async fn served(copy: &SettingsCopy, caller: &Caller) -> i64 {
    copy.get(caller, None).await.expect("settings").answer.revision
}

/// Lets time pass as it does while the follower runs.
async fn follow_for(copy: &SettingsCopy, time: Duration) {
    for _ in 0..time.as_millis() / QUARTER.as_millis() {
        tokio::time::advance(QUARTER).await;
        let _ = copy.follow_once().await;
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_revision_is_confirmed_nobody_is_asked_again() {
    let script = Script::of(1);
    script.publish(APP, &revision(3));
    let (copy, _) = copy_of(&script, SettingsConfig::default());
    for _ in 0..40 {
        assert_eq!(served(&copy, &caller()).await, 3);
        follow_for(&copy, QUARTER).await;
    }
    assert_eq!(script.asked(), 1);
    assert_eq!(counted(&copy), [39, 0, 1, 0]);
    assert!(copy.get(&caller(), None).await.expect("settings").age < SECOND);
}

#[tokio::test(start_paused = true)]
async fn what_is_published_is_answered_with_the_next_round_and_asked_for_by_its_revision() {
    let script = Script::of(1);
    script.publish(APP, &revision(3));
    let (copy, _) = copy_of(&script, SettingsConfig::default());
    assert_eq!(served(&copy, &caller()).await, 3);
    script.publish(APP, &revision(4));
    assert_eq!(served(&copy, &caller()).await, 3, "not heard of yet");
    follow_for(&copy, QUARTER).await;
    assert_eq!(served(&copy, &caller()).await, 4);
    let asked: Vec<_> = script.questions().iter().map(|question| question.min_revision).collect();
    assert_eq!(asked, [None, Some(4)]);
    copy.published(APP, 5).await;
    script.publish(APP, &revision(5));
    assert_eq!(served(&copy, &caller()).await, 5, "whoever publishes here is answered it here at once");
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_not_fresh_for_longer_than_its_revision_was_heard_of() {
    let script = Script::of(1);
    script.publish(APP, &revision(3));
    let (copy, _) = copy_of(&script, SettingsConfig::default());
    assert_eq!(served(&copy, &caller()).await, 3);
    tokio::time::advance(SECOND).await;
    script.publish(APP, &revision(4));
    assert_eq!(served(&copy, &caller()).await, 4, "nobody follows here");
}

#[tokio::test(start_paused = true)]
async fn when_a_window_begins_or_ends_the_answer_is_asked_for_again() {
    let script = Script::of(1);
    let until = Timestamp::from_millis(NOW.as_millis() + 10);
    script.publish(APP, &Published { valid_until: Some(until), ..revision(3) });
    let (copy, clock) = copy_of(&script, SettingsConfig::default());
    served(&copy, &caller()).await;
    clock.advance(Duration::from_millis(9));
    served(&copy, &caller()).await;
    assert_eq!(script.asked(), 1);
    clock.advance(Duration::from_millis(1));
    served(&copy, &caller()).await;
    assert_eq!(script.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn of_many_first_questions_at_once_one_is_asked() {
    let script = Script::of(1);
    script.publish(APP, &revision(3));
    let (copy, _) = copy_of(&script, SettingsConfig::default());
    let players: Vec<Caller> = (1..=500).map(player).collect();
    let answers = join_all(players.iter().map(|player| served(&copy, player))).await;
    assert!(answers.into_iter().all(|answer| answer == 3));
    assert_eq!(script.asked(), 1, "they differ in nothing that matters");
    script.publish(APP, &revision(4));
    follow_for(&copy, QUARTER).await;
    join_all(players.iter().map(|player| served(&copy, player))).await;
    assert_eq!(script.asked(), 2, "and of the next revision again one");
}

#[tokio::test(start_paused = true)]
async fn players_who_are_answered_differently_never_share_an_answer() {
    let script = Script::of(1);
    script.publish(APP, &by_account(3));
    let (copy, _) = copy_of(&script, SettingsConfig::default());
    let players: Vec<Caller> = (1..=20).flat_map(|id| [player(id), player(id)]).collect();
    for _ in 0..2 {
        let answers = join_all(players.iter().map(|player| copy.get(player, None))).await;
        for (player, answer) in players.iter().zip(answers) {
            let settings = answer.expect("settings").answer.settings.get().to_owned();
            let account_id = player.account_id.expect("a player");
            assert_eq!(settings, format!(r#"{{"revision":3,"account":{account_id}}}"#));
        }
    }
    assert_eq!(script.asked(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_takes_the_answer_from_nobody() {
    let script = Script::of(1);
    script.publish(APP, &revision(3));
    let gate = script.held_back();
    let (copy, _) = copy_of(&script, SettingsConfig::default());
    let limit = Some(Duration::from_millis(10));
    let caller = caller();
    let (given_up, patient, ()) = tokio::join!(copy.get(&caller, limit), copy.get(&caller, None), async {
        tokio::time::sleep(SECOND).await;
        gate.notify_one();
    });
    assert_eq!(given_up.expect_err("too late").http_status(), 503);
    assert_eq!(patient.expect("settings").answer.revision, 3);
    assert_eq!(script.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_one_question_is_not_answered_to_another() {
    let script = Script::of(1);
    script.publish(APP, &revision(3));
    script.refuses(Some(PublicError::invalid("version", "is no version")));
    let (copy, _) = copy_of(&script, SettingsConfig::default());
    let bad = Caller { version: Some("bad".into()), ..caller() };
    let good = caller();
    let (bad, good) = tokio::join!(copy.get(&bad, None), copy.get(&good, None));
    assert_eq!(bad.expect_err("refused").code, ErrorCode::INVALID_ARGUMENT);
    assert_eq!(good.expect("settings").answer.revision, 3);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_behind_never_takes_the_gateway_back() {
    let script = Script::of(2);
    script.publish(APP, &by_account(3));
    let (copy, _) = copy_of(&script, SettingsConfig::default());
    assert_eq!(served(&copy, &player(1)).await, 3);
    script.tell(0, APP, by_account(4));
    follow_for(&copy, QUARTER * 2).await;
    for _ in 0..20 {
        for id in 1..=3 {
            assert_eq!(served(&copy, &player(id)).await, 4, "one of two attempts reaches the replica that knows");
        }
        follow_for(&copy, QUARTER).await;
    }
    // Now nobody knows what was published: what is kept is answered, and what is not kept is better old than not at all.
    script.publish(APP, &by_account(3));
    follow_for(&copy, SECOND * 2).await;
    let stale = copy.get(&player(1), None).await.expect("settings");
    assert_eq!(stale.answer.revision, 4);
    assert!(stale.age >= SECOND, "{:?}", stale.age);
    assert_eq!(served(&copy, &player(99)).await, 3);
}

#[tokio::test(start_paused = true)]
async fn while_the_service_is_away_the_copy_answers_for_its_time_and_says_how_old_it_is() {
    let script = Script::of(1);
    script.publish(APP, &revision(3));
    let (copy, _) = copy_of(&script, SettingsConfig::default());
    assert_eq!(served(&copy, &caller()).await, 3);
    script.is_away(true);
    follow_for(&copy, SECOND * 2).await;
    let before = script.asked();
    for _ in 0..100 {
        let stale = copy.get(&caller(), None).await.expect("settings");
        assert_eq!((stale.answer.revision, stale.age.as_secs()), (3, 2));
    }
    assert_eq!(script.asked(), before, "it is known to be away");
    let new = Caller { channel: Some("never-asked".into()), ..caller() };
    assert_eq!(copy.get(&new, None).await.expect_err("no copy").http_status(), 503);
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert_eq!(copy.get(&caller(), None).await.expect_err("too old").http_status(), 503);
    script.is_away(false);
    follow_for(&copy, QUARTER).await;
    assert_eq!(served(&copy, &caller()).await, 3);
    let [_, stale, _, refused] = counted(&copy);
    assert_eq!((stale, refused), (100, 2));
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_at_night_the_first_question_in_the_morning_is_asked() {
    let script = Script::of(1);
    script.publish(APP, &revision(3));
    let (copy, _) = copy_of(&script, SettingsConfig::default());
    assert_eq!(served(&copy, &caller()).await, 3);
    script.is_away(true);
    follow_for(&copy, SECOND * 30).await;
    tokio::time::advance(SECOND * 120).await;
    script.is_away(false);
    script.publish(APP, &revision(4));
    copy.follow_once().await.expect("answered");
    assert_eq!(served(&copy, &caller()).await, 4);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_hangs_costs_its_patience_and_no_more() {
    let script = Script::of(1);
    script.publish(APP, &revision(3));
    let (copy, _) = copy_of(&script, SettingsConfig::default());
    assert_eq!(served(&copy, &caller()).await, 3);
    script.hangs(true);
    tokio::time::advance(SECOND * 2).await;
    let begin = tokio::time::Instant::now();
    let player = player(1);
    let answers = join_all((0..100).map(|_| served(&copy, &player))).await;
    assert!(answers.into_iter().all(|answer| answer == 3));
    assert_eq!(begin.elapsed(), Duration::from_millis(500), "gateway.optional_part_timeout");
    for _ in 0..3 {
        assert!(copy.follow_once().await.is_err());
    }
    let begin = tokio::time::Instant::now();
    assert_eq!(served(&copy, &caller()).await, 3);
    assert_eq!(begin.elapsed(), Duration::ZERO, "it is known to be away");
}

#[tokio::test(start_paused = true)]
async fn what_its_service_can_not_confirm_is_asked_for_again_and_never_looks_young() {
    let script = Script::of(1);
    script.publish(APP, &Published { age_ms: 60_000, ..revision(3) });
    let (copy, _) = copy_of(&script, SettingsConfig::default());
    for _ in 0..8 {
        let answer = copy.get(&caller(), None).await.expect("settings");
        assert!(answer.age >= Duration::from_secs(60), "{:?}", answer.age);
        follow_for(&copy, QUARTER).await;
    }
    assert_eq!(script.asked(), 2, "once a second");
    script.publish(APP, &revision(3));
    follow_for(&copy, SECOND).await;
    assert!(copy.get(&caller(), None).await.expect("settings").age < SECOND);
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_a_confirmed_revision_makes_every_copy_of_it_fresh() {
    let script = Script::of(1);
    script.publish(APP, &by_account(3));
    let (copy, _) = copy_of(&script, SettingsConfig::default());
    for id in 1..=50 {
        served(&copy, &player(id)).await;
    }
    script.is_away(true);
    follow_for(&copy, SECOND * 10).await;
    script.is_away(false);
    follow_for(&copy, QUARTER).await;
    for id in 1..=50 {
        assert_eq!(served(&copy, &player(id)).await, 3);
    }
    assert_eq!(script.asked(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_the_revision_before_is_as_old_as_the_time_since_it_was_the_newest() {
    let script = Script::of(1);
    script.publish(APP, &revision(3));
    let hours = SECOND * 10_000;
    let (copy, _) = copy_of(&script, SettingsConfig { follow_for: hours, ..SettingsConfig::default() });
    served(&copy, &caller()).await;
    tokio::time::advance(hours).await;
    copy.follow_once().await.expect("answered");
    assert_eq!((served(&copy, &caller()).await, script.asked()), (3, 1));
    script.publish(APP, &revision(4));
    follow_for(&copy, QUARTER).await;
    script.is_away(true);
    let stale = copy.get(&caller(), None).await.expect("it was the newest just now");
    assert_eq!((stale.answer.revision, stale.age), (3, QUARTER));
}

#[tokio::test(start_paused = true)]
async fn only_apps_that_were_asked_for_lately_are_followed_a_thousand_at_a_time() {
    let script = Script::of(1);
    let (copy, _) = copy_of(&script, SettingsConfig { apps_max: 5_000, ..SettingsConfig::default() });
    for app_id in 1..=2_500 {
        served(&copy, &Caller { app_id, ..Caller::default() }).await;
    }
    copy.follow_once().await.expect("answered");
    let mut sizes: Vec<usize> = script.rounds().iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [500, 1000, 1000]);
    tokio::time::advance(Duration::from_secs(61)).await;
    served(&copy, &caller()).await;
    copy.follow_once().await.expect("answered");
    assert_eq!(script.rounds().last(), Some(&vec![APP]));
    tokio::time::advance(Duration::from_secs(61)).await;
    let before = script.rounds().len();
    copy.follow_once().await.expect("nothing to do");
    assert_eq!(script.rounds().len(), before, "nobody asks for anything");
}

#[tokio::test(start_paused = true)]
async fn the_memory_is_bounded_and_what_is_not_kept_is_asked_for() {
    let script = Script::of(1);
    script.publish(APP, &by_account(3));
    let (copy, _) = copy_of(&script, SettingsConfig { cache_bytes_max: 10_000, ..SettingsConfig::default() });
    for id in 1..=1_000 {
        assert_eq!(served(&copy, &player(id)).await, 3);
        if id % 50 == 0 {
            copy.follow_once().await.expect("answered");
            assert!(copy.0.answers.weighted_size() <= 10_000, "{}", copy.0.answers.weighted_size());
        }
    }
    assert!(copy.0.metrics.entries.get() > 0 && copy.0.metrics.bytes.get() > 0);
}
