//! Who is measured beside whom.

use std::{cell::Cell, rc::Rc, time::Duration};

use anyhow::{Context as _, Result};
use tokio::runtime::Runtime;

use super::{
    bare_sql::BareSql,
    closed_loop::{self, Pace, Stock, repeat, runtime},
    game_server::GameServer,
    shop::Shop,
};
use crate::{
    database::Database,
    load::Observed,
    platform::{Backing, Installation, Platform},
    rounds::{self, Ready, Series, Target, Work},
    scenario::{Setup, bare_fsync, target},
};

/// The database of the bare statements.
const BARE: &str = "playgate_bench_bare";

/// Orders that are there for the first measurement of a target; for a later one as many as it needed, and some more.
const FIRST_STOCK: usize = 400;

/// Everything that both groups stand on.
struct Stage {
    database: Database,
    shop: Shop,
    bare: BareSql,
    runtime: Rc<Runtime>,
    at_once: usize,
    platform: Platform,
    _installations: [Installation; 2],
}

/// One player, or one channel, and what there is to be worked off.
#[derive(Clone)]
struct Working<T> {
    tool: T,
    stock: Stock,
}

/// `order_create`, beside its statements alone.
pub fn orders(setup: &Setup<'_>, progress: impl Fn(&str)) -> Result<Vec<Series>> {
    let stage = Stage::set(setup, &progress)?;
    let by_http = stage.orders(stage.shop.clone(), |shop| async move { Ok(Some(shop.order().await?.1)) });
    let by_sql = stage.orders(stage.bare.clone(), |bare| async move { Ok(Some(bare.order().await?.1)) });
    let targets = [
        stage.ours("order_create", &["bare_order_sql", "bare_fsync"], by_http)?,
        stage.bare("bare_order_sql", by_sql)?,
        bare_fsync(),
    ];
    rounds::run(&targets, setup.plan, progress)
}

/// `callback_acknowledged` and `callback_delivered`, beside their statements alone.
pub fn callbacks(setup: &Setup<'_>, progress: impl Fn(&str)) -> Result<Vec<Series>> {
    let stage = Stage::set(setup, &progress)?;
    let acknowledged = stage.payments(|working| async move {
        let Some(order_id) = working.stock.take() else { return Ok(None) };
        working.tool.acknowledge(order_id).await.map(Some)
    });
    let delivered = stage.payments(|working| async move {
        let Some(order_id) = working.stock.take() else { return Ok(None) };
        working.tool.deliver(order_id).await.map(Some)
    });
    let payment = stage.bare_payments(|working| async move {
        let Some(order_id) = working.stock.take() else { return Ok(None) };
        working.tool.pay(order_id).await.map(Some)
    });
    let delivery = stage.bare_payments(|working| async move {
        let Some(order_id) = working.stock.take() else { return Ok(None) };
        working.tool.pay_and_deliver(order_id).await.map(Some)
    });
    let targets = [
        stage.ours("callback_acknowledged", &["bare_payment_sql", "bare_delivery_sql"], acknowledged)?,
        stage.ours("callback_delivered", &["bare_delivery_sql", "bare_fsync"], delivered)?,
        stage.bare("bare_payment_sql", payment)?,
        stage.bare("bare_delivery_sql", delivery)?,
        bare_fsync(),
    ];
    rounds::run(&targets, setup.plan, progress)
}

impl Stage {
    fn set(setup: &Setup<'_>, progress: &impl Fn(&str)) -> Result<Self> {
        progress("starting the platform in one process on MariaDB");
        let database = Database::start()?;
        let on = |url| Backing { database_url: Some(url), ..Backing::default() };
        let installation = Installation::on(on(database.url()), setup.program, setup.workers)?;
        let platform = installation.start_merged()?;
        progress("opening a shop");
        let shop = Shop::open(&platform, GameServer::start()?)?;
        progress("making the tables for bare statements");
        let bare_url = database.another(BARE)?;
        let bare_installation = Installation::on(on(bare_url.clone()), setup.program, setup.workers)?;
        let runtime = Rc::new(runtime()?);
        let bare = runtime.block_on(BareSql::open(&bare_url))?;
        let at_once = setup.connections;
        let installations = [installation, bare_installation];
        Ok(Self { database, shop, bare, runtime, at_once, platform, _installations: installations })
    }

    /// The platform, its database and what that counts.
    fn ours(&self, name: &'static str, compared_with: &'static [&'static str], work: Work) -> Result<Target> {
        let processes = [self.platform.process_ids(), vec![self.database.process_id()?]].concat();
        let counters = Some(self.database.counters());
        Ok(Target { counters, ..target(name, compared_with, processes, work) })
    }

    /// The database, and this process, which has the driver.
    fn bare(&self, name: &'static str, work: Work) -> Result<Target> {
        let processes = vec![std::process::id(), self.database.process_id()?];
        Ok(Target { counters: Some(self.database.counters()), ..target(name, &[], processes, work) })
    }

    fn orders<T, F>(&self, tool: T, once: fn(T) -> F) -> Work
    where
        T: Clone + Send + 'static,
        F: Future<Output = Result<Option<Duration>>> + Send + 'static,
    {
        let (runtime, at_once) = (Rc::clone(&self.runtime), self.at_once);
        Work::Prepared(Box::new(move |duration| {
            let (runtime, tool) = (Rc::clone(&runtime), tool.clone());
            Ok(Box::new(move || runtime.block_on(repeat(Pace { at_once, duration }, tool, once))) as Ready)
        }))
    }

    /// Of each measurement the orders are made before it, and it is over when all that was paid is delivered: what a
    /// payment costs includes its delivery, whether somebody waits for it or not.
    fn payments<F>(&self, once: fn(Working<Shop>) -> F) -> Work
    where
        F: Future<Output = Result<Option<Duration>>> + Send + 'static,
    {
        let (runtime, at_once, shop) = (Rc::clone(&self.runtime), self.at_once, self.shop.clone());
        let needed = Rc::new(Cell::new(FIRST_STOCK));
        Work::Prepared(Box::new(move |duration| {
            let (runtime, shop, needed) = (Rc::clone(&runtime), shop.clone(), Rc::clone(&needed));
            let stock = Stock::of(runtime.block_on(shop.orders(needed.get(), at_once))?);
            Ok(Box::new(move || {
                let (before, game) = (shop.game().deliveries(), shop.game().clone());
                let pace = Pace { at_once, duration };
                let observed = runtime.block_on(repeat(pace, Working { tool: shop, stock }, once))?;
                game.wait_for(before + observed.requests)?;
                needed.set(enough(&observed, duration)?);
                Ok(observed)
            }) as Ready)
        }))
    }

    fn bare_payments<F>(&self, once: fn(Working<BareSql>) -> F) -> Work
    where
        F: Future<Output = Result<Option<Duration>>> + Send + 'static,
    {
        let (runtime, at_once, bare) = (Rc::clone(&self.runtime), self.at_once, self.bare.clone());
        let needed = Rc::new(Cell::new(FIRST_STOCK));
        Work::Prepared(Box::new(move |duration| {
            let (runtime, bare, needed) = (Rc::clone(&runtime), bare.clone(), Rc::clone(&needed));
            let made = closed_loop::gather(needed.get(), at_once, bare.clone(), BareSql::order);
            let stock = Stock::of(runtime.block_on(made)?);
            Ok(Box::new(move || {
                let pace = Pace { at_once, duration };
                let observed = runtime.block_on(repeat(pace, Working { tool: bare, stock }, once))?;
                needed.set(enough(&observed, duration)?);
                Ok(observed)
            }) as Ready)
        }))
    }
}

/// As many orders as last for so long at that speed, and half as many besides.
fn enough(observed: &Observed, duration: Duration) -> Result<usize> {
    let took = u128::from(observed.duration_us.max(1));
    let needed = u128::from(observed.requests) * duration.as_micros() * 3 / (took * 2);
    Ok(usize::try_from(needed).context("too fast")?.max(FIRST_STOCK))
}
