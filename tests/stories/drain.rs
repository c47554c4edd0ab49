//! The platform is replaced while players play: a process that is asked to stop finishes what it began, and nobody who
//! was let in is thrown out.

use std::{io, time::Duration};

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{GameServer, PATIENCE, Platform, RawConnection, Shape, eventually, in_both_shapes};

in_both_shapes!(
    a_stop_under_keep_alive_load_loses_no_request,
    while_it_drains_it_is_not_ready_says_so_and_still_answers,
    a_second_signal_ends_it_at_once_and_not_well,
);

const CALLERS: usize = 16;

/// Far longer than a test takes: what waits this long has not been cut short.
const LONG: &str = "600s";

/// How a caller's day ended.
#[derive(Debug, Default)]
struct Day {
    answered: usize,
    told_to_go: usize,
    lost: Vec<String>,
}

async fn a_stop_under_keep_alive_load_loses_no_request(shape: Shape) {
    const WARM: usize = 200;
    let mut platform = Platform::build(shape).set("lifecycle.drain_delay", "500ms").start().await;
    let ann = platform.register("ann").await;
    let (progress, mut made) = tokio::sync::mpsc::unbounded_channel();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (address, server) = (platform.client().address().to_owned(), platform.game_server());
        callers.spawn(call_until_the_door_is_closed(
            address,
            server,
            ann.tokens.access_token.clone(),
            progress.clone(),
        ));
    }
    drop(progress);
    for _ in 0..WARM {
        made.recv().await.expect("calls are answered");
    }
    // Somebody who signs in at the last moment: it takes long enough to be under way when the signal comes.
    let mut late = JoinSet::new();
    late.spawn({
        let ann = ann.clone();
        async move { ann.try_login().await }
    });
    let front = platform.front();
    platform.terminate(front);

    let ended = platform.ends_within(front, PATIENCE).await;
    assert_eq!(ended.and_then(|status| status.code()), Some(0), "it ends by itself, and well");
    assert_eq!(late.join_next().await.unwrap().unwrap().status, 200, "what was under way is finished");
    let mut days = Vec::new();
    while let Some(day) = callers.join_next().await {
        days.push(day.unwrap());
    }
    assert!(days.iter().all(|day| day.lost.is_empty()), "{days:?}");
    assert!(days.iter().map(|day| day.answered).sum::<usize>() >= WARM, "{days:?}");
    assert!(
        days.iter().map(|day| day.told_to_go).sum::<usize>() >= CALLERS,
        "connections are ended politely: {days:?}"
    );
}

/// Asks again and again over kept-alive connections. Opens a new one when told that this one closes, and ends when
/// there is nobody to connect to any more. A request that was sent and not answered is lost.
async fn call_until_the_door_is_closed(
    address: String,
    server: GameServer,
    token: String,
    progress: tokio::sync::mpsc::UnboundedSender<()>,
) -> Day {
    let mut day = Day::default();
    while let Ok(mut connection) = RawConnection::open(&address).await {
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
                    break;
                }
            }
        }
    }
    day
}

/// One request on an open connection; whether the server said it closes it.
async fn call(connection: &mut RawConnection, server: &GameServer, token: &str) -> io::Result<bool> {
    let request =
        server.signed(reqwest::Method::POST, "/v1/server/tokens/verify", "", &json!({ "token": token }).to_string());
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

async fn while_it_drains_it_is_not_ready_says_so_and_still_answers(shape: Shape) {
    let mut platform = Platform::build(shape).set("lifecycle.drain_delay", LONG).start().await;
    let ann = platform.register("ann").await;
    let front = platform.front();
    platform.terminate(front);
    let operator = platform.operator(front);
    eventually("it is not ready any more", || async { (operator.get("/readyz").await.status == 503).then_some(()) })
        .await;
    assert_eq!(operator.get("/healthz").await.status, 200, "it still lives");
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
    for role in platform.roles() {
        platform.terminate(role);
        let operator = platform.operator(role);
        eventually("the first signal is taken", || async {
            (operator.get("/readyz").await.status == 503).then_some(())
        })
        .await;
        assert_eq!(platform.ends_within(role, Duration::ZERO).await, None, "the first signal only begins the end");
        platform.terminate(role);
        let ended = platform.ends_within(role, PATIENCE).await.expect("at once, not after the delay");
        assert!(!ended.success(), "{role:?} ended with {ended}");
    }
}
