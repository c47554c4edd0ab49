//! Players who sign in, at an even pace whatever becomes of those before them: half of them with the device they signed
//! in from before, half with a password.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use serde::Serialize;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use super::crowd::Crowd;
use crate::{
    caller::{Attempt, Caller},
    client::Request,
    platform::Platform,
};

/// Between two logins: 50 a second.
pub(super) const LOGIN_EVERY: Duration = Duration::from_millis(20);

/// The deadline of a request: `gateway.edge.request_timeout` by default. A login is answered by then, whatever is
/// broken.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// A player waits for longer than the platform may take, to see whether it does.
const PATIENCE_OF_A_PLAYER: Duration = Duration::from_secs(15);

/// Players who sign in with a password, in turn.
const WITH_PASSWORDS: usize = 50;

/// So many logins in a row are no accident.
const WELL_AGAIN: usize = 25;

/// If it has not come to that by then, it will not.
const WELL_LIMIT: Duration = Duration::from_secs(60);

/// Between two looks at whether it has.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How a player signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Device,
    Password,
}

/// One login. Times count from the beginning.
#[derive(Clone, Debug)]
pub(super) struct Login {
    pub(super) kind: Kind,
    pub(super) sent: Duration,
    pub(super) took: Duration,
    /// `None`: no answer.
    pub(super) status: Option<u16>,
    pub(super) says_when: bool,
}

/// The logins of players who have been here before.
#[derive(Debug)]
pub(super) struct Returning {
    device: Vec<Request>,
    password: Vec<Request>,
}

/// Keeps them coming.
#[derive(Debug)]
pub(super) struct Logins {
    shared: Arc<Shared>,
    pace: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    caller: Caller,
    returning: Returning,
    began: Instant,
    stop: CancellationToken,
    records: Mutex<Vec<Login>>,
}

impl Login {
    pub(super) fn is_in(&self) -> bool {
        self.status == Some(200)
    }

    /// Not now, and when.
    pub(super) fn is_told_when(&self) -> bool {
        self.status == Some(503) && self.says_when
    }

    pub(super) fn answered(&self) -> Duration {
        self.sent + self.took
    }
}

impl Returning {
    /// Registers those with passwords. Blocks.
    pub(super) fn new(platform: &Platform, crowd: &Crowd) -> Result<Self> {
        let device = crowd.devices().iter().map(|device| {
            let secret = Some(device.device_secret.as_str());
            platform.app.device_login(&device.device_id, secret)
        });
        let password = (0..WITH_PASSWORDS).map(|number| {
            let username = format!("returning{number}");
            platform.register(&username)?;
            Ok(platform.app.password_login(&username))
        });
        Ok(Self { device: device.collect(), password: password.collect::<Result<_>>()? })
    }

    fn number(&self, number: usize) -> (Kind, &Request) {
        let (kind, requests) =
            if number.is_multiple_of(2) { (Kind::Device, &self.device) } else { (Kind::Password, &self.password) };
        (kind, &requests[number / 2 % requests.len()])
    }
}

impl Logins {
    /// From now on.
    pub(super) fn start(caller: Caller, returning: Returning) -> Self {
        let shared = Arc::new(Shared {
            caller,
            returning,
            began: Instant::now(),
            stop: CancellationToken::new(),
            records: Mutex::default(),
        });
        let mut pace = JoinSet::new();
        pace.spawn(Arc::clone(&shared).keep_coming());
        Self { shared, pace }
    }

    pub(super) fn now(&self) -> Duration {
        self.shared.began.elapsed()
    }

    /// Waits until the last of those sent from now on were all let in.
    pub(super) async fn are_well(&self) -> Result<()> {
        let since = self.now();
        while !self.shared.last_are_in(since) {
            if self.now() - since >= WELL_LIMIT {
                bail!("players are still not let in after {WELL_LIMIT:?}");
            }
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// No more come; waits for the answers to those who did.
    pub(super) async fn stop(self) -> Vec<Login> {
        self.shared.stop.cancel();
        self.pace.join_all().await;
        std::mem::take(&mut *self.shared.records.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shared {
    fn last_are_in(&self, since: Duration) -> bool {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let last = || records.iter().rev().filter(|login| login.sent >= since).take(WELL_AGAIN);
        last().count() == WELL_AGAIN && last().all(Login::is_in)
    }

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
            // Those that have ended are forgotten as others come.
            while under_way.try_join_next().is_some() {}
        }
        under_way.join_all().await;
    }

    async fn log_in(self: Arc<Self>, number: usize) {
        let (kind, request) = self.returning.number(number);
        let sent = self.began.elapsed();
        let Attempt { took, outcome } = self.caller.send(request, PATIENCE_OF_A_PLAYER).await;
        let answer = outcome.ok();
        let status = answer.as_ref().map(|answer| answer.status);
        let says_when = answer.is_some_and(|answer| answer.says_when);
        let login = Login { kind, sent, took, status, says_when };
        self.records.lock().unwrap_or_else(PoisonError::into_inner).push(login);
    }
}
