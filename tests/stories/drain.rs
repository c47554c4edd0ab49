//! The platform is replaced while players play: a process that is asked to stop finishes what it began, and nobody who
//! was let in is thrown out.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::Method;
use serde_json::json;
use tokio::{sync::mpsc, task::JoinSet};

use crate::support::{GameServer, PATIENCE, Platform, RawConnection, Role, Shape, Which, eventually, in_every_shape};

in_every_shape!(
    a_stop_with_notice_loses_no_request_old_or_new,
    a_stop_without_notice_loses_no_request_on_a_kept_connection,
    while_it_drains_it_is_not_ready_says_so_and_still_answers,
    a_second_signal_ends_it_at_once_and_not_well,
);

const CALLERS: usize = 16;

/// Calls answered before the signal: the load is under way.
const WARM: usize = 200;

/// Far longer than a test takes: what waits this long has not been cut short.
const LONG: &str = "600s";

/// How a caller's day ended.
#[derive(Debug, Default)]
struct Day {
    answered: usize,
    told_to_go: usize,
    lost: Vec<String>,
}

/// Callers on kept-alive connections, as a load balancer holds them.
struct Load {
    callers: JoinSet<Day>,
    /// Whether a caller that is told to go connects anew: the balancer still sees a ready instance.
    is_ready: Arc<AtomicBool>,
}

impl Load {
    /// Starts the callers and waits until they are under way.
    async fn start(platform: &Platform, token: &str) -> Self {
        let is_ready = Arc::new(AtomicBool::new(true));
        let (progress, mut made) = mpsc::unbounded_channel();
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let (address, server) = (platform.client().address().to_owned(), platform.game_server());
            let (is_ready, progress) = (Arc::clone(&is_ready), progress.clone());
            callers.spawn(call_until_sent_away(address, server, token.to_owned(), is_ready, progress));
        }
        for _ in 0..WARM {
            made.recv().await.expect("calls are answered");
        }
        Self { callers, is_ready }
    }

    /// From now on nobody who is told to go comes back.
    fn look_away(&self) {
        self.is_ready.store(false, Ordering::SeqCst);
    }

    /// Waits until every caller was told to go, and expects that none of them lost a request.
    async fn ends_without_loss(mut self) {
        let mut days = Vec::new();
        while let Some(day) = self.callers.join_next().await {
            days.push(day.unwrap());
        }
        assert!(days.iter().all(|day| day.lost.is_empty()), "{days:?}");
        assert!(days.iter().all(|day| day.told_to_go > 0), "every connection is ended politely: {days:?}");
        assert!(days.iter().map(|day| day.answered).sum::<usize>() >= WARM, "{days:?}");
    }
}

/// Asks again and again over one connection, until told that it closes. A request that was sent and not answered is
/// lost; nothing is ever sent twice.
async fn call_until_sent_away(
    address: String,
    server: GameServer,
    token: String,
    is_ready: Arc<AtomicBool>,
    progress: mpsc::UnboundedSender<()>,
) -> Day {
    let mut day = Day::default();
    while day.answered == 0 || is_ready.load(Ordering::SeqCst) {
        let mut connection = match RawConnection::open(&address).await {
            Ok(connection) => connection,
            Err(error) => {
                day.lost.push(format!("a ready instance refuses: {error}"));
                return day;
            }
        };
        loop {
            match call(&mut connection, &server, &token).await {
                Ok(closes) => {
                    day.answered += 1;
                    progress.send(()).unwrap_or_default();
                    if closes {
                        day.told_to_go += 1;
                        break;
                    }
                }
                Err(lost) => {
                    day.lost.push(lost.to_string());
                    return day;
                }
            }
        }
    }
    day
}

/// One request on an open connection; whether the server said it closes it.
async fn call(connection: &mut RawConnection, server: &GameServer, token: &str) -> io::Result<bool> {
    let request = server.signed(Method::POST, "/v1/server/tokens/verify", "", &json!({ "token": token }).to_string());
    let (body, headers) = (&request.body, request.headers());
    let text =
        format!("POST {} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {}\r\n\r\n{body}", request.path, body.len());
    connection.write(text.as_bytes()).await?;
    let answer = connection.answer().await?.ok_or_else(|| io::Error::other("closed after a request was sent"))?;
    if answer.status == 200 && answer.body.contains("\"valid\"") {
        Ok(answer.closes())
    } else {
        Err(io::Error::other(format!("{answer:?}")))
    }
}

async fn a_stop_with_notice_loses_no_request_old_or_new(shape: Shape) {
    // Longer than it takes to be seen on a busy machine: within it, callers still come back and are served.
    let mut platform = Platform::build(shape).set("lifecycle.drain_delay", "5s").start().await;
    let ann = platform.register("ann").await;
    let load = Load::start(&platform, &ann.tokens.access_token).await;
    let front = platform.front();
    platform.terminate(front);
    is_not_ready(&platform, front).await;
    let late = ann.login().await;
    assert_eq!(platform.verify(&late.tokens.access_token).await.status, "valid");
    load.look_away();
    load.ends_without_loss().await;
    ends_well(&mut platform, front).await;
}

async fn a_stop_without_notice_loses_no_request_on_a_kept_connection(shape: Shape) {
    let mut platform = Platform::build(shape).set("lifecycle.drain_delay", "0s").start().await;
    let ann = platform.register("ann").await;
    let load = Load::start(&platform, &ann.tokens.access_token).await;
    load.look_away();
    let front = platform.front();
    platform.terminate(front);
    load.ends_without_loss().await;
    ends_well(&mut platform, front).await;
}

async fn is_not_ready(platform: &Platform, which: impl Into<Which>) {
    for operator in platform.operators(which) {
        eventually("it is not ready any more", || async {
            (operator.get("/readyz").await.status == 503).then_some(())
        })
        .await;
    }
}

async fn ends_well(platform: &mut Platform, role: Role) {
    let ended = platform.ends_within(role, PATIENCE).await;
    assert_eq!(ended.and_then(|status| status.code()), Some(0), "it ends by itself, and well");
}

async fn while_it_drains_it_is_not_ready_says_so_and_still_answers(shape: Shape) {
    let mut platform = Platform::build(shape).set("lifecycle.drain_delay", LONG).start().await;
    let ann = platform.register("ann").await;
    let front = platform.front();
    platform.terminate(front);
    is_not_ready(&platform, front).await;
    for operator in platform.operators(front) {
        assert_eq!(operator.get("/healthz").await.status, 200, "it still lives");
    }
    assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
    ann.login().await;
    let mut connection = RawConnection::open(platform.client().address()).await.unwrap();
    assert!(
        call(&mut connection, &platform.game_server(), &ann.tokens.access_token).await.unwrap(),
        "Connection: close"
    );
    assert!(connection.closes_silently().await);
}

async fn a_second_signal_ends_it_at_once_and_not_well(shape: Shape) {
    let mut platform = Platform::build(shape).set("lifecycle.drain_delay", LONG).start().await;
    for replica in platform.replicas() {
        platform.terminate(replica);
        is_not_ready(&platform, replica).await;
        assert_eq!(platform.ends_within(replica, Duration::ZERO).await, None, "the first signal only begins the end");
        platform.terminate(replica);
        let ended = platform.ends_within(replica, PATIENCE).await.expect("at once, not after the delay");
        assert!(!ended.success(), "{replica:?} ended with {ended}");
    }
}
