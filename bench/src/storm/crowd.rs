//! Everybody who is online, and the game servers that ask about them: with one second of patience, and again at once.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tokio::task::JoinSet;

use crate::{
    caller::{Answer, Attempt, Caller, Failure},
    platform::Player,
    signing::App,
};

/// How often every token is asked about while things are broken.
const TIMES_OVER: usize = 3;

/// Things stay broken for at least so long, and game servers go on asking: for longer than the deadline of a login.
const BROKEN_FOR: Duration = Duration::from_secs(12);

/// An impatient game server waits this long, and asks again at once.
pub(super) const PATIENCE_OF_A_GAME_SERVER: Duration = Duration::from_secs(1);

/// Questions that are under way at a time.
pub(super) const ASKERS: usize = 48;

/// A question that is still not answered by then is given up, and counted.
pub(super) const GIVE_UP: Duration = Duration::from_secs(60);

/// How long signing in may take.
const PATIENCE_AT_THE_DOOR: Duration = Duration::from_secs(30);

/// Wrong answers that are kept word for word.
const KEPT: usize = 3;

/// Signed in, each on a device of their own.
#[derive(Debug)]
pub(super) struct Crowd {
    caller: Caller,
    app: App,
    devices: Arc<[Device]>,
}

/// Where a player is online.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub(super) device_id: String,
    pub(super) device_secret: String,
    access_token: String,
}

/// What became of the questions about the crowd's tokens.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) valid: usize,
    /// How many of them came from a gateway's copy.
    pub(super) degraded: usize,
    /// Answers by their status.
    pub(super) statuses: BTreeMap<u16, usize>,
    /// 429 and 503 that say when to come back.
    pub(super) not_now: usize,
    pub(super) timed_out: usize,
    /// Questions that were given up, however often they were asked.
    pub(super) unanswered: usize,
    /// Anything else, which nobody may ever see.
    pub(super) wrong: usize,
    /// The first of them.
    pub(super) examples: Vec<String>,
    /// Of every attempt.
    pub(super) took: Vec<Duration>,
    /// From the first question to the last answer.
    pub(super) whole: Duration,
}

impl Crowd {
    /// Signs everybody in.
    pub(super) async fn signs_in(caller: &Caller, app: &App, players: usize) -> Result<Self> {
        let next = Arc::new(AtomicUsize::new(0));
        let mut doors = JoinSet::new();
        for _ in 0..ASKERS {
            let (caller, app, next) = (caller.clone(), app.clone(), Arc::clone(&next));
            doors.spawn(async move {
                let mut devices = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= players {
                        return Ok::<_, anyhow::Error>(devices);
                    }
                    devices.push(sign_in(&caller, &app, format!("online-{number}")).await?);
                }
            });
        }
        let mut devices = Vec::with_capacity(players);
        while let Some(signed_in) = doors.join_next().await {
            devices.extend(signed_in??);
        }
        Ok(Self { caller: caller.clone(), app: app.clone(), devices: devices.into() })
    }

    /// Where they are.
    pub(super) fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// Every token is asked about once, until the question is answered.
    pub(super) async fn is_asked_about_once(&self) -> Result<Asked> {
        self.is_asked_about(1, Duration::ZERO).await
    }

    /// Every token is asked about three times over, each time until the question is answered, and so on until things
    /// have been broken for long enough.
    pub(super) async fn is_asked_about_while_broken(&self) -> Result<Asked> {
        self.is_asked_about(TIMES_OVER, BROKEN_FOR).await
    }

    async fn is_asked_about(&self, times: usize, at_least: Duration) -> Result<Asked> {
        let began = Instant::now();
        let next = Arc::new(AtomicUsize::new(0));
        let mut askers = JoinSet::new();
        for _ in 0..ASKERS {
            let (caller, app) = (self.caller.clone(), self.app.clone());
            let (next, devices) = (Arc::clone(&next), Arc::clone(&self.devices));
            askers.spawn(async move {
                let mut asked = Asked::default();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= devices.len() * times && began.elapsed() >= at_least {
                        return asked;
                    }
                    asked.ask_until_answered(&caller, &app, &devices[number % devices.len()].access_token).await;
                }
            });
        }
        let mut all = Asked::default();
        while let Some(asked) = askers.join_next().await {
            all.add(asked?);
        }
        all.took.sort_unstable();
        all.whole = began.elapsed();
        Ok(all)
    }
}

async fn sign_in(caller: &Caller, app: &App, device_id: String) -> Result<Device> {
    let attempt = caller.send(&app.device_login(&device_id, None), PATIENCE_AT_THE_DOOR).await;
    let Ok(Answer { status: 200, body, .. }) = &attempt.outcome else {
        bail!("{device_id} was not let in: {attempt:?}");
    };
    let mut envelope: serde_json::Value = serde_json::from_str(body)?;
    let Player { access_token, device_secret, .. } = serde_json::from_value(envelope["data"].take())?;
    Ok(Device { device_id, device_secret: device_secret.context("a new device has got no secret")?, access_token })
}

impl Asked {
    async fn ask_until_answered(&mut self, caller: &Caller, app: &App, token: &str) {
        let began = Instant::now();
        // Signed once: asking again is sending the same again.
        let request = app.verify(token);
        while !self.judge(caller.send(&request, PATIENCE_OF_A_GAME_SERVER).await) {
            if began.elapsed() >= GIVE_UP {
                self.unanswered += 1;
                return;
            }
        }
    }

    /// `false`: there was no answer to the question, so it is asked again.
    fn judge(&mut self, attempt: Attempt) -> bool {
        self.took.push(attempt.took);
        let answer = match attempt.outcome {
            Ok(answer) => answer,
            Err(Failure::TimedOut) => {
                self.timed_out += 1;
                return false;
            }
            Err(Failure::Broken(why)) => {
                self.is_wrong(why);
                return false;
            }
        };
        *self.statuses.entry(answer.status).or_default() += 1;
        match answer.status {
            200 if answer.body.contains(r#""status":"valid""#) => {
                self.valid += 1;
                self.degraded += usize::from(answer.body.contains(r#""degraded":true"#));
                true
            }
            429 | 503 if answer.says_when => {
                self.not_now += 1;
                false
            }
            status => {
                self.is_wrong(format!("{status} {}", answer.body));
                // A refusal that does not say when is as good as asked again; a verdict is a verdict.
                status == 200
            }
        }
    }

    fn is_wrong(&mut self, what: String) {
        self.wrong += 1;
        if self.examples.len() < KEPT {
            self.examples.push(what);
        }
    }

    fn add(&mut self, other: Self) {
        self.valid += other.valid;
        self.degraded += other.degraded;
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.not_now += other.not_now;
        self.timed_out += other.timed_out;
        self.unanswered += other.unanswered;
        self.wrong += other.wrong;
        self.examples.extend(other.examples);
        self.examples.truncate(KEPT);
        self.took.extend(other.took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, says_when: bool, body: &str) -> Attempt {
        let answer = Answer { status, says_when, body: body.to_owned() };
        Attempt { took: Duration::from_millis(1), outcome: Ok(answer) }
    }

    #[test]
    fn only_a_verdict_ends_the_asking_and_any_but_valid_is_wrong() {
        let mut asked = Asked::default();
        assert!(asked.judge(answered(200, false, r#"{"data":{"status":"valid","degraded":false}}"#)));
        assert!(asked.judge(answered(200, false, r#"{"data":{"status":"valid","degraded":true}}"#)));
        assert!(!asked.judge(answered(503, true, "{}")));
        assert!(!asked.judge(Attempt { took: Duration::from_secs(1), outcome: Err(Failure::TimedOut) }));
        assert_eq!((asked.valid, asked.degraded, asked.not_now, asked.timed_out, asked.wrong), (2, 1, 1, 1, 0));

        assert!(asked.judge(answered(200, false, r#"{"data":{"status":"invalid"}}"#)));
        assert!(!asked.judge(answered(503, false, "{}")));
        assert!(!asked.judge(answered(500, false, "{}")));
        assert_eq!((asked.valid, asked.not_now, asked.wrong), (2, 1, 3));
        assert_eq!(asked.statuses, BTreeMap::from([(200, 3), (500, 1), (503, 2)]));
    }
}
