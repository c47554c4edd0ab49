//! Who asks what, how often: an open loop, because players and game servers do not wait for each other either.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::{Method, RequestBuilder};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{Kind, Outcome, Report, record::Record, starvation::Watch};
use crate::support::{Client, GameServer, Platform, Player, eventually, now_ms};

/// Between two verifies: 100 a second, from all game servers together. Unoptimised processes on a small machine can do
/// that with room to spare.
const VERIFY_EVERY: Duration = Duration::from_millis(10);

/// Between two logins, and between two refreshes of one player.
const SIGN_IN_EVERY: Duration = Duration::from_millis(250);

/// Between two looks at whether a gateway is alive.
const PULSE_EVERY: Duration = Duration::from_millis(50);

/// Accounts, each with several sessions, whose tokens are verified in turn.
const ACCOUNTS: usize = 4;
const SESSIONS: usize = 4;

/// Nobody waits longer. Far beyond what the platform promises, so that what ends here was forgotten.
const PATIENCE_OF_A_CALLER: Duration = Duration::from_secs(10);

/// Verifies that may be under way: beyond it none is sent, and the story fails for it.
const MOST_UNDER_WAY: usize = 4096;

/// A load that goes on until it is stopped.
pub(crate) struct Load {
    shared: Arc<Shared>,
    askers: JoinSet<()>,
    machine: Watch,
}

struct Shared {
    client: Client,
    server: GameServer,
    tokens: Vec<String>,
    began: Instant,
    under_way: AtomicUsize,
    records: Mutex<Vec<Record>>,
    stop: CancellationToken,
}

impl Load {
    /// Signs players in and begins to ask.
    pub(crate) async fn start(platform: &Platform) -> Self {
        // One platform may have several loads, one after the other, of different people.
        let crowd = now_ms();
        let mut players = Vec::new();
        for number in 0..ACCOUNTS {
            let player = platform.register(&format!("player_{number}_{crowd}")).await;
            for _ in 1..SESSIONS {
                players.push(player.login().await);
            }
            players.push(player);
        }
        let who_logs_in = platform.register(&format!("logs_in_{crowd}")).await;
        let who_refreshes = platform.register(&format!("refreshes_{crowd}")).await;
        let shared = Arc::new(Shared {
            client: platform.client().clone(),
            server: platform.game_server(),
            tokens: players.into_iter().map(|player| player.tokens.access_token).collect(),
            began: Instant::now(),
            under_way: AtomicUsize::new(0),
            records: Mutex::default(),
            stop: CancellationToken::new(),
        });
        let mut askers = JoinSet::new();
        askers.spawn(Arc::clone(&shared).verify());
        askers.spawn(Arc::clone(&shared).log_in(who_logs_in));
        askers.spawn(Arc::clone(&shared).refresh(who_refreshes));
        for gateway in platform.operators(platform.front()) {
            askers.spawn(Arc::clone(&shared).feel_the_pulse(gateway));
        }
        let machine = Watch::start(shared.began.into_std());
        Self { shared, askers, machine }
    }

    /// Since the load began.
    pub(crate) fn now(&self) -> Duration {
        self.shared.began.elapsed()
    }

    /// Waits until so many more verifies have come to an end, whatever it was.
    pub(crate) async fn goes_on_for(&self, verifies: usize) {
        let is_verify = |record: &&Record| record.kind == Kind::Verify;
        let count = || self.shared.records.lock().unwrap().iter().filter(is_verify).count();
        let enough = count() + verifies;
        eventually("the load goes on", || async { (count() >= enough).then_some(()) }).await;
    }

    /// Waits until a request of every kind that was sent after `since` has been answered as it should be.
    pub(crate) async fn is_well_again(&self, since: Duration) {
        eventually("all is well again", || async {
            let report = self.shared.records.lock().unwrap();
            Report::is_well(&report, since).then_some(())
        })
        .await;
    }

    /// Asks no more, waits for the answers that are still to come, and says what was seen.
    pub(crate) async fn stop(mut self) -> Report {
        self.shared.stop.cancel();
        while let Some(ended) = self.askers.join_next().await {
            ended.unwrap();
        }
        let records = std::mem::take(&mut *self.shared.records.lock().unwrap());
        Report::new(records, self.machine.stop())
    }
}

impl Shared {
    /// Sends a verify at every tick, whatever became of those before it.
    async fn verify(self: Arc<Self>) {
        let mut under_way = JoinSet::new();
        let mut ticks = interval(VERIFY_EVERY);
        // A busy machine sends late, and all the same as many.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for number in 0.. {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.stop.cancelled() => break,
            }
            assert!(self.under_way.load(Ordering::Relaxed) < MOST_UNDER_WAY, "verifies are not answered at all");
            let this = Arc::clone(&self);
            under_way.spawn(async move {
                this.under_way.fetch_add(1, Ordering::Relaxed);
                let token = &this.tokens[number % this.tokens.len()];
                this.ask(Kind::Verify, this.server.verify_request(token)).await;
                this.under_way.fetch_sub(1, Ordering::Relaxed);
            });
            while let Some(ended) = under_way.try_join_next() {
                ended.unwrap();
            }
        }
        while let Some(ended) = under_way.join_next().await {
            ended.unwrap();
        }
    }

    /// Signs one player in again and again.
    async fn log_in(self: Arc<Self>, player: Player) {
        let mut ticks = interval(SIGN_IN_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.next(&mut ticks).await {
            self.ask(Kind::Login, player.login_request()).await;
        }
    }

    /// Goes on with one session, as its game client does: the old token is kept until there is a new one.
    async fn refresh(self: Arc<Self>, player: Player) {
        let mut ticks = interval(SIGN_IN_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut token = player.tokens.refresh_token.clone();
        while self.next(&mut ticks).await {
            let answer = self.ask(Kind::Refresh, player.refresh_request(&token)).await;
            if let Some(renewed) = answer.and_then(|data| Some(data["refresh_token"].as_str()?.to_owned())) {
                token = renewed;
            }
        }
    }

    /// Looks whether a gateway is alive.
    async fn feel_the_pulse(self: Arc<Self>, operator: Client) {
        let mut ticks = interval(PULSE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.next(&mut ticks).await {
            self.ask(Kind::Pulse, operator.request(Method::GET, "/healthz")).await;
        }
    }

    /// Whether to go on, at the next tick.
    async fn next(&self, ticks: &mut tokio::time::Interval) -> bool {
        tokio::select! {
            _ = ticks.tick() => true,
            () = self.stop.cancelled() => false,
        }
    }

    /// Sends one request and writes down what became of it. Answers the data of a good answer to a refresh.
    async fn ask(&self, kind: Kind, request: RequestBuilder) -> Option<serde_json::Value> {
        let sent = self.began.elapsed();
        let answer = self.client.exchange(request.timeout(PATIENCE_OF_A_CALLER)).await;
        let outcome = match &answer {
            Ok(answer) => kind.judge(answer),
            Err(error) => Outcome::from(error),
        };
        let data = answer.ok().filter(|_| kind == Kind::Refresh && outcome.is_good()).map(|answer| answer.ok());
        let record = Record { kind, sent, answered: self.began.elapsed(), outcome };
        self.records.lock().unwrap().push(record);
        data
    }
}
