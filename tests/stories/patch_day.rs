//! The worst patch day, replayed: everybody is online, game servers ask about every token and do not wait, logins keep
//! coming, and what the platform stands on has stopped answering without closing a single connection.
//!
//! Each story prints what was seen: `cargo test -p playgate --test stories -- patch_day --nocapture`. At full size it is
//! played with `PLAYGATE_STORM_PLAYERS=20000`.

#![expect(clippy::print_stdout, reason = "what a storm does to players is shown by `cargo test -- --nocapture`")]

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::Method;
use serde_json::json;
use tokio::{
    task::{JoinSet, block_in_place},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use xtask::services::Redis;

use crate::support::{Answer, Builder, Client, GameServer, PATIENCE, Platform, Role, Shape, eventually, in_four_roles};

in_four_roles!(
    while_database_and_redis_hang_every_token_stays_good_and_logins_are_told_to_come_back,
    while_account_hangs_every_token_stays_good_by_the_gateways_copy,
);

/// How many players are online, unless `PLAYGATE_STORM_PLAYERS` says otherwise.
const PLAYERS: usize = 1000;

/// How often every token is asked about while things are broken.
const TIMES_OVER: usize = 3;

/// An impatient game server waits this long, and asks again at once.
const PATIENCE_OF_A_GAME_SERVER: Duration = Duration::from_secs(1);

/// Questions that are under way at a time.
const ASKERS: usize = 48;

/// Between two logins, each of another player: 50 a second.
const LOGIN_EVERY: Duration = Duration::from_millis(20);

/// The deadline of a request: `edge.request_timeout` by default. A login is answered by then, whatever is broken.
const DEADLINE: Duration = Duration::from_secs(10);

/// So soon after the mending nobody is refused any more.
const NORMAL_AGAIN: Duration = Duration::from_secs(2);

/// So many logins in a row are no accident.
const WELL_AGAIN: usize = 25;

async fn while_database_and_redis_hang_every_token_stays_good_and_logins_are_told_to_come_back(shape: Shape) {
    let mut redis = Redis::start().unwrap();
    let mut platform = patch_day(shape).set("redis.url", &redis.url()).with_own_mariadb().start().await;
    let crowd = Crowd::signs_in(&platform).await;
    let logins = Logins::start(&platform);
    logins.are_well().await;

    block_in_place(|| {
        platform.mariadb().freeze().unwrap();
        redis.freeze().unwrap();
    });
    let frozen = logins.now();
    let asked = crowd.is_asked_about().await;
    logins.go_on().await;
    let mending = logins.now();
    block_in_place(|| {
        redis.thaw().unwrap();
        platform.mariadb().thaw().unwrap();
    });
    logins.are_well().await;
    let records = logins.stop().await;

    println!("database and Redis hang, {} players\n{asked}{}", crowd.tokens.len(), table(&records, frozen, mending));
    asked.every_token_was_called_valid();
    every_login_was_answered_in_time(&records, mending);
    let shed = of_phase(&records, frozen, mending).filter(|record| record.status == 503).count();
    assert!(shed > 0, "nothing was broken: {records:?}");
}

async fn while_account_hangs_every_token_stays_good_by_the_gateways_copy(shape: Shape) {
    let mut platform = patch_day(shape).start().await;
    let crowd = Crowd::signs_in(&platform).await;
    let logins = Logins::start(&platform);
    logins.are_well().await;
    // As on any day before: the gateway knows the app.
    assert_eq!(platform.verify(&crowd.tokens[0]).await.status, "valid");

    platform.freeze(Role::Account);
    let frozen = logins.now();
    let asked = crowd.is_asked_about().await;
    logins.go_on().await;
    let mending = logins.now();
    platform.thaw(Role::Account);
    logins.are_well().await;
    let records = logins.stop().await;

    println!("account hangs, {} players\n{asked}{}", crowd.tokens.len(), table(&records, frozen, mending));
    asked.every_token_was_called_valid();
    assert!(asked.degraded > 0, "the copy was not needed: {asked:?}");
    every_login_was_answered_in_time(&records, mending);
}

/// A platform with a gateway that has a copy, and without the limits that a crowd behind one address would meet.
fn patch_day(shape: Shape) -> Builder {
    let many = "1000000";
    Platform::build(shape)
        .set("gateway.fallback.master_key", &"5a".repeat(32))
        .set("account.risk.registrations_per_address", many)
        .set("account.risk.registrations_per_device", many)
}

/// Everybody who is online, and who asks about them.
struct Crowd {
    server: GameServer,
    client: Client,
    tokens: Vec<String>,
}

/// What became of the questions about the crowd's tokens.
#[derive(Debug, Default)]
struct Asked {
    valid: usize,
    /// How many of them came from a copy.
    degraded: usize,
    not_now: usize,
    timed_out: usize,
    /// Anything else, which nobody may ever see.
    wrong: Vec<String>,
    /// Of every attempt.
    took: Vec<Duration>,
    /// In which every token had its answers.
    whole: Duration,
}

impl Crowd {
    /// Signs everybody in, each on a device of their own.
    async fn signs_in(platform: &Platform) -> Self {
        let players = std::env::var("PLAYGATE_STORM_PLAYERS").map_or(PLAYERS, |players| players.parse().unwrap());
        let (client, app_id) = (platform.client().clone(), platform.app().app_id);
        let next = Arc::new(AtomicUsize::new(0));
        let mut doors = JoinSet::new();
        for _ in 0..ASKERS {
            let (client, next) = (client.clone(), Arc::clone(&next));
            doors.spawn(async move {
                let mut tokens = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= players {
                        return tokens;
                    }
                    let answer = client.send(device_login(&client, app_id, &format!("online-{number}"))).await;
                    tokens.push(answer.ok()["access_token"].as_str().unwrap().to_owned());
                }
            });
        }
        let tokens = doors.join_all().await.concat();
        Self { server: platform.game_server(), client, tokens }
    }

    /// Every token is asked about three times over until each question is answered.
    async fn is_asked_about(&self) -> Asked {
        let began = Instant::now();
        let next = Arc::new(AtomicUsize::new(0));
        let tokens: Arc<[String]> = self.tokens.clone().into();
        let mut askers = JoinSet::new();
        for _ in 0..ASKERS {
            let (server, client) = (self.server.clone(), self.client.clone());
            let (next, tokens) = (Arc::clone(&next), Arc::clone(&tokens));
            askers.spawn(async move {
                let mut asked = Asked::default();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= tokens.len() * TIMES_OVER {
                        return asked;
                    }
                    let token = &tokens[number % tokens.len()];
                    while !asked.ask(&server, &client, token).await {
                        assert!(began.elapsed() < PATIENCE, "nobody answers: {asked:?}");
                    }
                }
            });
        }
        let mut all = Asked::default();
        for asked in askers.join_all().await {
            all.add(asked);
        }
        all.took.sort();
        all.whole = began.elapsed();
        all
    }
}

impl Asked {
    /// Asks once. `false`: there was no answer to the question, so it is asked again.
    async fn ask(&mut self, server: &GameServer, client: &Client, token: &str) -> bool {
        let sent = Instant::now();
        let request = server.verify_request(token).timeout(PATIENCE_OF_A_GAME_SERVER);
        let answer = client.exchange(request).await;
        self.took.push(sent.elapsed());
        match answer {
            Ok(answer) if answer.status == 200 && answer.ok()["status"] == "valid" => {
                self.valid += 1;
                self.degraded += usize::from(answer.ok()["degraded"] == true);
                return true;
            }
            Ok(answer) if matches!(answer.status, 429 | 503) => {
                answer.keeps_the_conventions();
                self.not_now += 1;
            }
            Ok(answer) => {
                self.wrong.push(format!("{answer:?}"));
                return true;
            }
            Err(error) if error.is_timeout() => self.timed_out += 1,
            Err(error) => self.wrong.push(error.to_string()),
        }
        false
    }

    fn add(&mut self, other: Self) {
        self.valid += other.valid;
        self.degraded += other.degraded;
        self.not_now += other.not_now;
        self.timed_out += other.timed_out;
        self.wrong.extend(other.wrong);
        self.took.extend(other.took);
    }

    fn every_token_was_called_valid(&self) {
        assert!(self.wrong.is_empty(), "{} answers, the first: {}", self.wrong.len(), self.wrong[0]);
    }
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { valid, degraded, not_now, timed_out, wrong, took, whole } = self;
        writeln!(
            f,
            "  verify: {valid} valid ({degraded} from the copy), {not_now} not now, {timed_out} timed out, {} wrong in \
             {whole:.1?}; p50 {:.1?}, p99 {:.1?}",
            wrong.len(),
            percentile(took, 50),
            percentile(took, 99),
        )
    }
}

/// Players who sign in, at an even pace whatever becomes of those before them.
struct Logins {
    shared: Arc<SharedLogins>,
    pace: JoinSet<()>,
}

struct SharedLogins {
    client: Client,
    app_id: i64,
    began: Instant,
    stop: CancellationToken,
    records: Mutex<Vec<Login>>,
}

/// One login. Times count from the beginning.
#[derive(Clone, Debug)]
struct Login {
    sent: Duration,
    took: Duration,
    status: u16,
    says_when: bool,
}

impl Logins {
    fn start(platform: &Platform) -> Self {
        let shared = Arc::new(SharedLogins {
            client: platform.client().clone(),
            app_id: platform.app().app_id,
            began: Instant::now(),
            stop: CancellationToken::new(),
            records: Mutex::default(),
        });
        let mut pace = JoinSet::new();
        pace.spawn(Arc::clone(&shared).keep_coming());
        Self { shared, pace }
    }

    fn now(&self) -> Duration {
        self.shared.began.elapsed()
    }

    /// Waits until so many more have been answered, whatever the answer was.
    async fn go_on(&self) {
        let count = || self.shared.records.lock().unwrap().len();
        let enough = count() + WELL_AGAIN;
        eventually("logins are answered", || async { (count() >= enough).then_some(()) }).await;
    }

    /// Waits until the last of those sent from now on were all good.
    async fn are_well(&self) {
        let since = self.now();
        eventually("logins work", || async {
            let records = self.shared.records.lock().unwrap();
            let last: Vec<&Login> = records.iter().rev().filter(|login| login.sent >= since).take(WELL_AGAIN).collect();
            (last.len() == WELL_AGAIN && last.iter().all(|login| login.status == 200)).then_some(())
        })
        .await;
    }

    /// No more come; waits for the answers to those who did.
    async fn stop(self) -> Vec<Login> {
        self.shared.stop.cancel();
        self.pace.join_all().await;
        std::mem::take(&mut *self.shared.records.lock().unwrap())
    }
}

impl SharedLogins {
    async fn keep_coming(self: Arc<Self>) {
        let mut ticks = interval(LOGIN_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut under_way = JoinSet::new();
        for number in 0.. {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.stop.cancelled() => break,
            }
            under_way.spawn(Arc::clone(&self).log_in(number));
        }
        while let Some(ended) = under_way.join_next().await {
            ended.unwrap();
        }
    }

    async fn log_in(self: Arc<Self>, number: usize) {
        let sent = self.began.elapsed();
        let answer = self.client.exchange(device_login(&self.client, self.app_id, &format!("comes-{number}"))).await;
        let (status, says_when) = answer.map_or((0, false), |answer| (answer.status, says_when(&answer)));
        let login = Login { sent, took: self.began.elapsed() - sent, status, says_when };
        self.records.lock().unwrap().push(login);
    }
}

/// The request of a device that signs in for the first time.
fn device_login(client: &Client, app_id: i64, device_id: &str) -> reqwest::RequestBuilder {
    let body = json!({ "app_id": app_id, "kind": "device", "device_id": device_id });
    client.request(Method::POST, "/v1/sdk/login").json(&body)
}

fn says_when(answer: &Answer) -> bool {
    answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0)
}

/// Everybody got in, or was told when to come back, before the deadline; and soon after the mending everybody got in.
fn every_login_was_answered_in_time(records: &[Login], mending: Duration) {
    for login in records {
        assert!(login.status == 200 || (login.status == 503 && login.says_when), "{login:?}");
        assert!(login.took < DEADLINE, "{login:?}");
        assert!(login.status == 200 || login.sent < mending + NORMAL_AGAIN, "{login:?}");
    }
}

fn of_phase(records: &[Login], from: Duration, until: Duration) -> impl Iterator<Item = &Login> {
    records.iter().filter(move |login| login.sent >= from && login.sent < until)
}

/// What logins saw before, while and after things were broken, and how long after the mending the last one was refused.
fn table(records: &[Login], broken: Duration, mended: Duration) -> String {
    let mut table = String::new();
    for (phase, from, until) in
        [("before", Duration::ZERO, broken), ("broken", broken, mended), ("after", mended, Duration::MAX)]
    {
        let mut took: Vec<Duration> = of_phase(records, from, until).map(|login| login.took).collect();
        took.sort();
        let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
        for login in of_phase(records, from, until) {
            *statuses.entry(login.status).or_default() += 1;
        }
        let (p50, p99) = (percentile(&took, 50), percentile(&took, 99));
        writeln!(
            table,
            "  logins {phase}: {statuses:?}, p50 {p50:.1?}, p99 {p99:.1?}, longest {:.1?}",
            percentile(&took, 100)
        )
        .unwrap();
    }
    let refused = of_phase(records, mended, Duration::MAX).filter(|login| login.status != 200);
    let normal = refused.map(|login| login.sent + login.took - mended).max().unwrap_or_default();
    writeln!(table, "  normal {normal:.1?} after the mending").unwrap();
    table
}

/// Of sorted times.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).copied().unwrap_or_default()
}
