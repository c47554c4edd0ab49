//! Players who buy again and again, and a channel that does not give up: it calls until it is told that all is well, and
//! sometimes once more.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinSet;

use super::{PATIENCE, Player, Shop, eventually};

/// Buyers at their work; they end with this value.
pub(crate) struct Buyers {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    buying: JoinSet<Vec<String>>,
}

impl Buyers {
    /// So many purchases are under way at once from now on, all of them of one player.
    pub(crate) fn start(shop: &Shop, player: &Player, count: usize) -> Self {
        let (stop, acknowledged, mut buying) = (Arc::default(), Arc::default(), JoinSet::new());
        for buyer in 0..count {
            let (stop, acknowledged) = (Arc::clone(&stop), Arc::clone(&acknowledged));
            buying.spawn(buy(shop.clone(), player.clone(), buyer, stop, acknowledged));
        }
        Self { stop, acknowledged, buying }
    }

    /// Waits until the channel was told of so many more payments that all is well.
    pub(crate) async fn pay_for(&self, more: usize) {
        let enough = self.acknowledged.load(Ordering::Relaxed) + more;
        let is_enough = || async { (self.acknowledged.load(Ordering::Relaxed) >= enough).then_some(()) };
        eventually("payments go on", is_enough).await;
    }

    /// Lets them finish what they have begun; the orders, all of which the channel was told that all is well with.
    pub(crate) async fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.buying.join_all().await.concat()
    }
}

async fn buy(
    shop: Shop,
    player: Player,
    buyer: usize,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
) -> Vec<String> {
    let mut orders = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let number = orders.len();
        let order_id = persist("an order is made", || create(&shop, &player, format!("{buyer}-{number}"))).await;
        let payment = Shop::payment(&order_id);
        persist("the channel is told that all is well", || async {
            (shop.call_back(&payment).await? == (200, "SUCCESS".to_owned())).then_some(())
        })
        .await;
        acknowledged.fetch_add(1, Ordering::Relaxed);
        if number % 3 == 0 {
            shop.call_back(&payment).await;
        }
        orders.push(order_id);
    }
    orders
}

/// An order, once pay is there to make one. However often it is asked for, the key is the same.
async fn create(shop: &Shop, player: &Player, key: String) -> Option<String> {
    let answer = shop.try_create(player, &key, &Shop::wish()).await;
    if answer.status != 200 {
        answer.not_now();
        return None;
    }
    Some(answer.ok()["order_id"].as_str()?.to_owned())
}

/// Tries again until it succeeds. More patient than a story: what is called may be killed as often as it comes back.
async fn persist<T, F: Future<Output = Option<T>>>(what: &str, attempt: impl Fn() -> F) -> T {
    let give_up = tokio::time::Instant::now() + 4 * PATIENCE;
    loop {
        if let Some(done) = attempt().await {
            return done;
        }
        assert!(tokio::time::Instant::now() < give_up, "{what}: not in {:?}", 4 * PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
