//! Discovery through Nacos. A push is a hint that something changed; what changed is read.
//!
//! Pushes can be lost, come in any order and tell less than an answer does. So whatever wakes the follower, a push or
//! the time, it does the same: asks for the whole list and lets `last_good` decide what holds.

use std::sync::Arc;

use futures_util::{FutureExt, future::BoxFuture};
use nacos_sdk::api::naming::{NamingChangeEvent, NamingEventListener, NamingService};
use tokio::{
    sync::{Notify, watch},
    time::{Duration, Instant, sleep},
};

use super::{
    client::{Inner, Nacos},
    disk::{KeptList, ListFile},
    last_good::LastGood,
    wire,
};
use crate::{
    clock::jittered,
    discovery::{Discovery, Instances, feed::Feed},
};

/// A list that stays the same is written down again after this, so that the next run knows how old it is.
const SAVE_EVERY: Duration = Duration::from_secs(60);

/// The list of one service, as this process knows it.
struct Following {
    nacos: Arc<Inner>,
    feed: Arc<Feed>,
    file: ListFile,
    known: LastGood,
    saved_at: Option<Instant>,
}

/// Wakes the follower. Any number of pushes while it reads are one more reading.
struct Push(Notify);

impl NamingEventListener for Push {
    fn event(&self, _: Arc<NamingChangeEvent>) {
        self.0.notify_one();
    }
}

impl Discovery for Nacos {
    fn watch(&self, service: &str) -> watch::Receiver<Arc<Instances>> {
        self.0.feeds.watch(service, |feed| {
            self.0.lifecycle.spawn_background("nacos discovery", follow(Arc::clone(&self.0), feed));
        })
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        self.0.feeds.settled(self.0.config.start_timeout).boxed()
    }
}

async fn follow(nacos: Arc<Inner>, feed: Arc<Feed>) {
    let file = ListFile::new(&nacos.cache_dir, &feed.service, &nacos.config);
    let KeptList { instances, confirmed_at } = file.load().await.unwrap_or_default();
    let known = LastGood::new(instances.clone(), nacos.config.keep_missing_for, Instant::now());
    if !instances.is_empty() {
        feed.publish(instances);
        feed.settle_as_of(confirmed_at);
    }
    let naming = nacos.naming().await;
    let push = subscribe(&nacos, &naming, &feed.service).await;
    let mut following = Following { nacos: Arc::clone(&nacos), feed, file, known, saved_at: None };
    loop {
        following.refresh(&naming).await;
        tokio::select! {
            () = push.0.notified() => {}
            () = sleep(jittered(nacos.config.refresh_interval, 0.2, &*nacos.random)) => {}
        }
    }
}

/// Asks for pushes. A failure needs no answer from us: the library asks again until it has succeeded.
async fn subscribe(nacos: &Inner, naming: &NamingService, service: &str) -> Arc<Push> {
    let push = Arc::new(Push(Notify::new()));
    let (name, group) = (Inner::registered_name(service), Some(nacos.config.group.clone()));
    let listener: Arc<Push> = Arc::clone(&push);
    if let Err(error) = nacos.naming.ask(naming.subscribe(name, group, Vec::new(), listener)).await {
        tracing::debug!(service, %error, "no pushes yet");
    }
    push
}

impl Following {
    /// Reads the list, hands out what holds now, and keeps it for the next run.
    async fn refresh(&mut self, naming: &NamingService) {
        let Self { nacos, feed, .. } = self;
        let (name, group) = (Inner::registered_name(&feed.service), Some(nacos.config.group.clone()));
        // Not from the library's own cache, which knows only what was pushed.
        let answer = nacos.naming.ask(naming.get_all_instances(name, group, Vec::new(), false)).await;
        let Ok(found) = answer else {
            self.known.unanswered(Instant::now());
            return;
        };
        let holds = self.known.answered(wire::decode(&found), Instant::now()).clone();
        let confirmed_at = self.feed.confirm();
        let is_new = *self.feed.current() != holds;
        if is_new {
            self.feed.publish(holds.clone());
        }
        if is_new || self.saved_at.is_none_or(|saved_at| saved_at.elapsed() >= SAVE_EVERY) {
            self.saved_at = Some(Instant::now());
            self.file.save(&KeptList { instances: holds, confirmed_at }).await;
        }
    }
}
