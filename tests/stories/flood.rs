//! A flood of sign-ins comes to a platform that has little room, while games go on that ask about tokens.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{Platform, Player, Shape, eventually, in_both_shapes};

in_both_shapes!(while_logins_are_refused_every_good_token_is_good);

/// Sign-ins that are tried at once.
const FLOOD: usize = 40;

/// Questions about tokens meanwhile.
const QUESTIONS: usize = 100;

/// Room for ten, of which eight may be sign-ins; four more may wait, and not for long.
const RULES: &str = r#"
    concurrency = { min = 10, initial = 10, max = 10 }
    priority.pay_reserved = 0
    queue = { capacity = 4, target = "5ms", interval = "20ms" }
"#;

/// Sign-ins that are tried again at once, whatever is answered.
struct Flood {
    tries: JoinSet<()>,
    stop: CancellationToken,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    let_in: AtomicUsize,
    refused: AtomicUsize,
}

impl Flood {
    fn begin(player: &Arc<Player>) -> Self {
        let mut flood = Self { tries: JoinSet::new(), stop: CancellationToken::new(), seen: Arc::default() };
        for _ in 0..FLOOD {
            let (player, stop, seen) = (Arc::clone(player), flood.stop.clone(), Arc::clone(&flood.seen));
            flood.tries.spawn(async move {
                while !stop.is_cancelled() {
                    let answer = player.try_login().await;
                    if answer.code() == 2_000_000 {
                        seen.let_in.fetch_add(1, Ordering::Relaxed);
                    } else {
                        answer.refused(5_030_001).not_now();
                        seen.refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        flood
    }

    fn let_in(&self) -> usize {
        self.seen.let_in.load(Ordering::Relaxed)
    }

    fn refused(&self) -> usize {
        self.seen.refused.load(Ordering::Relaxed)
    }

    /// No more of it. Fails if anybody in it was answered anything else.
    async fn end(self) {
        self.stop.cancel();
        self.tries.join_all().await;
    }
}

/// How often requests of a class were refused.
fn refusals(metrics: &str, class: &str) -> u64 {
    let of_class = metrics.lines().filter(|line| {
        line.starts_with("playgate_shedding_refused_total") && line.contains(&format!("class=\"{class}\""))
    });
    of_class.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

async fn while_logins_are_refused_every_good_token_is_good(shape: Shape) {
    let documents = tempfile::tempdir().unwrap();
    std::fs::write(documents.path().join("playgate-govern.toml"), RULES).unwrap();
    let platform = Platform::build(shape)
        .set("dynamic.kind", "file")
        .set("dynamic.directory", documents.path().to_str().unwrap())
        .start()
        .await;
    let ann = Arc::new(platform.register("ann").await);
    let flood = Flood::begin(&ann);
    eventually("some sign-ins are refused", async || (flood.refused() > 0).then_some(())).await;
    for _ in 0..QUESTIONS {
        assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
    }
    eventually("some players get in all the same", async || (flood.let_in() > 0).then_some(())).await;
    flood.end().await;
    let (mut logins, mut verifications) = (0, 0);
    for replica in platform.replicas() {
        let metrics = platform.metrics(replica).await;
        logins += refusals(&metrics, "login");
        verifications += refusals(&metrics, "verify");
    }
    assert!(logins > 0 && verifications == 0, "{logins} logins and {verifications} verifications refused");
    eventually("the flood is over", async || (ann.try_login().await.code() == 2_000_000).then_some(())).await;
}
