//! Discovery through Nacos. A push is a hint that something changed; what changed is read.
//!
//! Pushes can be lost, come in any order and tell less than an answer does. So whatever wakes the follower, a push or
//! the time, it does the same: asks for the whole list and lets `last_good` decide what holds.

use std::sync::Arc;

use futures_util::{FutureExt, future::BoxFuture};
use nacos_sdk::api::naming::{NamingChangeEvent, NamingEventListener, NamingService};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep},
};

use super::{
    client::{Inner, Nacos},
    disk::ListFile,
    last_good::LastGood,
    wire,
};
use crate::{
    clock::jittered,
    discovery::{Discovery, Instances, feed::Feed},
};

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
    let kept = file.load().await.unwrap_or_default();
    let mut known = LastGood::new(kept.clone(), nacos.config.keep_missing_for);
    if !kept.is_empty() {
        feed.publish(kept);
        feed.settle();
    }
    let naming = nacos.naming().await;
    let push = subscribe(&nacos, &naming, &feed.service).await;
    loop {
        refresh(&nacos, &naming, &feed, &file, &mut known).await;
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

/// Reads the list, hands out what holds now, and keeps it for the next run.
async fn refresh(nacos: &Inner, naming: &NamingService, feed: &Feed, file: &ListFile, known: &mut LastGood) {
    let (name, group) = (Inner::registered_name(&feed.service), Some(nacos.config.group.clone()));
    // Not from the library's own cache, which knows only what was pushed.
    let answer = nacos.naming.ask(naming.get_all_instances(name, group, Vec::new(), false)).await;
    let Ok(found) = answer else {
        known.unanswered(Instant::now());
        return;
    };
    let holds = known.answered(wire::decode(&found), Instant::now());
    feed.confirm();
    if *feed.current() != *holds {
        feed.publish(holds.clone());
        file.save(holds).await;
    }
}
