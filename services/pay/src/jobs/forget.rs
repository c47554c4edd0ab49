//! Forgetting what is old enough, a few rows at a time.
//!
//! A table is walked through once from its oldest row, over as many runs as that takes, and then left alone for a while:
//! rows that are kept, because their orders are not settled, are not looked at again and again.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use common::{clock::Timestamp, sql::JobTurn};

use super::{JobError, step};
use crate::{
    service::Parts,
    store::retention::{Place, Swept, forget_callbacks, forget_deliveries},
};

/// How long a table is left alone once it was walked through.
const REST: Duration = Duration::from_secs(3600);

/// Where this instance is in its walks. Another one that gets the job begins its own.
#[derive(Debug)]
pub(crate) struct Walks {
    callbacks: Mutex<Walk>,
    deliveries: Mutex<Walk>,
}

#[derive(Clone, Debug)]
struct Walk {
    place: Place,
    rests_until: Timestamp,
}

#[derive(Clone, Copy, Debug)]
enum Table {
    Callbacks,
    Deliveries,
}

/// Goes on with both walks until they are at their ends, or the run has taken its time.
pub(super) async fn forget(parts: &Parts, turn: JobTurn, started: Timestamp) -> Result<(), JobError> {
    for table in [Table::Callbacks, Table::Deliveries] {
        let walks = parts.walks.of(table);
        let mut walk = walks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        while started >= walk.rests_until {
            let swept = sweep(parts, turn, table, started, &mut walk.place).await?;
            if swept.is_end {
                walk = Walk { place: Place::start(), rests_until: started + REST };
            }
            *walks.lock().unwrap_or_else(PoisonError::into_inner) = walk.clone();
            if parts.clock.now().since(started) >= parts.config.jobs.longest_run {
                break;
            }
        }
    }
    Ok(())
}

async fn sweep(
    parts: &Parts,
    turn: JobTurn,
    table: Table,
    started: Timestamp,
    place: &mut Place,
) -> Result<Swept, JobError> {
    let limits = &parts.config.jobs;
    let most = limits.batch.get();
    let mut tx = step(parts, turn).await?;
    let swept = match table {
        Table::Callbacks => forget_callbacks(&mut tx, started.minus(limits.keep_callbacks), place, most).await?,
        Table::Deliveries => forget_deliveries(&mut tx, started.minus(limits.keep_deliveries), place, most).await?,
    };
    tx.commit().await?;
    if swept.forgotten > 0 {
        tracing::debug!(?table, forgotten = swept.forgotten, "old rows are forgotten");
    }
    Ok(swept)
}

impl Walks {
    fn of(&self, table: Table) -> &Mutex<Walk> {
        match table {
            Table::Callbacks => &self.callbacks,
            Table::Deliveries => &self.deliveries,
        }
    }
}

impl Default for Walks {
    fn default() -> Self {
        let start = || Mutex::new(Walk { place: Place::start(), rests_until: Timestamp::from_millis(0) });
        Self { callbacks: start(), deliveries: start() }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::{
        Config, JobsConfig,
        jobs::tidy_up,
        testing::{Answering, GameServer, Service},
    };

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn small_steps() -> Config {
        let jobs = JobsConfig { batch: NonZeroU32::new(2).expect("not zero"), ..JobsConfig::default() };
        Config { jobs, ..Config::default() }
    }

    async fn left(service: &Service) -> (i64, i64) {
        let callbacks = service.count("SELECT COUNT(*) FROM pay_callbacks").await;
        (callbacks, service.count("SELECT COUNT(*) FROM pay_deliveries").await)
    }

    common::on_each_database! {
        async fn what_is_old_is_forgotten_unless_its_order_still_waits(database: TestDatabase) {
            let service = Service::start_with(database, small_steps()).await;
            let game = GameServer::start().await;
            service.deliver_to(crate::testing::APP, &game.url());
            let mut hands = service.hands();
            for number in 0..5 {
                service.paid_order(&format!("k-{number}")).await;
            }
            hands.deliver().await;
            game.answer(Answering::With(500, "no".to_owned()));
            let stuck = service.paid_order("stuck").await;
            hands.deliver().await;
            assert_eq!(left(&service).await, (6, 6));

            service.clock.advance(DAY * 90);
            tidy_up(service.pay.parts()).await.expect("a run");
            assert_eq!(left(&service).await, (6, 6), "nothing is older than that");
            // It rests first.
            service.clock.advance(Duration::from_secs(1800));
            tidy_up(service.pay.parts()).await.expect("a run");
            assert_eq!(left(&service).await, (6, 6));
            service.clock.advance(Duration::from_secs(1801));
            tidy_up(service.pay.parts()).await.expect("a run");
            assert_eq!(left(&service).await, (6, 1), "attempts go first; those of the stuck order stay");

            service.clock.advance(DAY * 400);
            tidy_up(service.pay.parts()).await.expect("a run");
            assert_eq!(left(&service).await, (1, 1));
            let kept = service.count("SELECT COUNT(*) FROM pay_callbacks WHERE verdict = 'paid'").await;
            assert_eq!((kept, &*service.state(&stuck).await), (1, "delivering"));
            service.refund(&stuck).await.expect("refunded");
            service.clock.advance(REST);
            tidy_up(service.pay.parts()).await.expect("a run");
            assert_eq!(left(&service).await, (0, 0));
        }
    }
}
