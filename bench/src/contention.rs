//! `login_verify`: what logins do to verifications. A password login is 13 ms of a core; a verification is asked for
//! with every action of every player. The pool that hashes is bounded so that the one does not stop the other.
//!
//! Verifications come at an even pace whatever becomes of those before them, as players do: alone ("idle"), then beside
//! a closed loop that keeps every hash thread busy ("beside"), in turns.

use std::{
    fmt::{self, Display},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde::Serialize;
use tokio::{
    runtime,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{
    caller::{Attempt, Caller},
    client::Request,
    load::{Load, Observed, Order},
    platform::{Installation, Platform},
    report,
    rounds::Spread,
    scenario::{self, Setup},
};

/// Between two verifications: 1000 a second, a fraction of what the platform could answer.
const VERIFY_EVERY: Duration = Duration::from_millis(1);

/// A verification that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// The logins go on for so much longer than the verifications beside them: until the last of those is answered, and
/// from before the first.
const HEAD_START: Duration = Duration::from_millis(500);

/// The p99 of verifications beside logins should be no more than so many times the idle one.
const AIM: f64 = 2.0;

/// Medians over the rounds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Contention {
    /// Verifications alone: answers per second, times in microseconds. Fewer answers than questions mean that the
    /// platform does not keep up with the pace, and that the times are those of a queue.
    idle_per_second: f64,
    idle_p50_us: f64,
    idle_p99_us: f64,
    /// Beside logins.
    beside_per_second: f64,
    beside_p50_us: f64,
    beside_p99_us: f64,
    /// Logins per second beside them.
    logins_per_second: f64,
    /// Logins that were told to come back, of all rounds: a pool that is kept busy may shed some.
    logins_shed: u64,
    /// p99 beside logins over p99 alone, round by round.
    p99_ratio: f64,
    #[serde(skip)]
    p99_ratios: Spread,
}

/// One round.
struct Round {
    idle: Observed,
    beside: Observed,
    logins: Observed,
}

/// Measures both in turns.
pub fn measure(setup: &Setup<'_>, progress: impl Fn(&str)) -> Result<Contention> {
    progress("starting the platform in one process");
    let installation = Installation::new(setup.program, setup.workers)?;
    let platform = installation.start_merged()?;
    progress("registering players");
    let tokens = scenario::tokens_of_players(&platform)?;
    let (logins, connections) = scenario::password_logins(&platform)?;
    let duration = setup.plan.duration;
    let logins = Logins { address: &platform.address, requests: &logins, connections };
    progress("warming up");
    verify(&platform, &tokens, setup.plan.warm_up)?;
    logins.go_on_for(setup.plan.warm_up)?;
    let mut rounds = Vec::with_capacity(setup.plan.rounds);
    for number in 1..=setup.plan.rounds {
        let idle = verify(&platform, &tokens, duration)?;
        let (beside, logins) = thread::scope(|scope| -> Result<(Observed, Observed)> {
            let saturating = scope.spawn(|| logins.go_on_for(duration + 2 * HEAD_START));
            thread::sleep(HEAD_START);
            let beside = verify(&platform, &tokens, duration);
            let logins = saturating.join().map_err(|_| anyhow!("the generator panicked"))??;
            Ok((beside?, logins))
        })?;
        ensure!(logins.refused + logins.broken < logins.requests, "nobody was let in: {logins:?}");
        let round = Round { idle, beside, logins };
        progress(&format!(
            "round {number} of {}: verify p99 {:.0} us idle, {:.0} us beside {:.0} logins/s",
            setup.plan.rounds,
            round.idle.p99_us,
            round.beside.p99_us,
            round.logins_per_second()
        ));
        rounds.push(round);
    }
    Contention::of(&rounds)
}

/// Players who sign in with a password, again and again.
struct Logins<'a> {
    address: &'a str,
    requests: &'a [Request],
    connections: usize,
}

impl Logins<'_> {
    fn go_on_for(&self, duration: Duration) -> Result<Observed> {
        let load = Load { connections: self.connections, duration, order: Order::InTurn };
        load.run(self.address, self.requests)
    }
}

impl Round {
    /// Of those who were let in.
    fn logins_per_second(&self) -> f64 {
        let let_in = self.logins.requests - self.logins.refused;
        Observed { requests: let_in, ..self.logins }.requests_per_second()
    }
}

impl Contention {
    fn of(rounds: &[Round]) -> Result<Self> {
        let spread = |value: fn(&Round) -> f64| Spread::of(rounds.iter().map(value)).context("nothing was measured");
        let median = |value| Ok::<_, anyhow::Error>(spread(value)?.median);
        let p99_ratios = spread(|round| round.beside.p99_us / round.idle.p99_us)?;
        Ok(Self {
            idle_per_second: median(|round| round.idle.requests_per_second())?,
            idle_p50_us: median(|round| round.idle.p50_us)?,
            idle_p99_us: median(|round| round.idle.p99_us)?,
            beside_per_second: median(|round| round.beside.requests_per_second())?,
            beside_p50_us: median(|round| round.beside.p50_us)?,
            beside_p99_us: median(|round| round.beside.p99_us)?,
            logins_per_second: median(Round::logins_per_second)?,
            logins_shed: rounds.iter().map(|round| round.logins.refused + round.logins.broken).sum(),
            p99_ratio: p99_ratios.median,
            p99_ratios,
        })
    }
}

impl Display for Contention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { logins_per_second, logins_shed, .. } = self;
        let asked = format!("{:.0} verifications per second", VERIFY_EVERY.as_secs_f64().recip());
        writeln!(f, "{asked:<33}{:>11}{:>10}{:>10}", "answers/s", "p50 us", "p99 us")?;
        let beside = format!("beside {logins_per_second:.0} password logins/s");
        for (name, per_second, p50_us, p99_us) in [
            ("alone", self.idle_per_second, self.idle_p50_us, self.idle_p99_us),
            (&*beside, self.beside_per_second, self.beside_p50_us, self.beside_p99_us),
        ] {
            writeln!(f, "{name:<33}{per_second:>11.0}{p50_us:>10.0}{p99_us:>10.0}")?;
        }
        writeln!(f, "logins that were told to come back: {logins_shed}")?;
        writeln!(f, "p99 beside logins / p99 alone: {} (aim: at most {AIM:.0}x)", report::ratio(self.p99_ratios))
    }
}

/// Asks about the tokens in turn at an even pace. On a thread that does nothing else, so that it is there on time.
fn verify(platform: &Platform, tokens: &[String], duration: Duration) -> Result<Observed> {
    let requests: Vec<Request> = tokens.iter().map(|token| platform.app.verify(token)).collect();
    let caller = Caller::new(&platform.address)?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let began = Instant::now();
        let mut pace = interval(VERIFY_EVERY);
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut under_way = JoinSet::new();
        for request in requests.iter().cycle() {
            pace.tick().await;
            if began.elapsed() >= duration {
                break;
            }
            let (caller, request) = (caller.clone(), request.clone());
            under_way.spawn(async move { caller.send(&request, PATIENCE).await });
        }
        let mut times = Vec::new();
        while let Some(ended) = under_way.join_next().await {
            let Attempt { took, outcome } = ended?;
            let answer = outcome.map_err(|failure| anyhow!("a verification failed: {failure:?}"))?;
            let good = answer.status == 200 && answer.body.contains(r#""status":"valid""#);
            ensure!(good, "a good token was answered {} {}", answer.status, answer.body);
            times.push(took);
        }
        Ok(Observed::of(times, began.elapsed()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(p99_us: u64) -> Observed {
        let times = [100; 98].into_iter().chain([p99_us, p99_us]).map(Duration::from_micros).collect();
        Observed::of(times, Duration::from_secs(1))
    }

    #[test]
    fn the_ratio_compares_the_two_halves_of_each_round() {
        let round = |idle, beside| Round { idle: observed(idle), beside: observed(beside), logins: observed(100) };
        let contention = Contention::of(&[round(200, 300), round(2000, 6000), round(200, 400)]).expect("measured");
        assert_eq!((contention.p99_ratio, contention.idle_p99_us, contention.idle_p50_us), (2.0, 200.0, 100.0));
        assert!(contention.to_string().ends_with("2.00x (1.50-3.00) (aim: at most 2x)\n"), "{contention}");
        assert!(Contention::of(&[]).is_err());
    }
}
