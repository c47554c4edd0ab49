//! Authentic callbacks as they came: `pay_callbacks`.
//!
//! Everything that a signature may cover is kept, so that a callback can be judged again: the method and the target stand
//! before the headers as `:method` and `:path`, as HTTP/2 writes them.

use aws_lc_rs::digest::{SHA256, digest};
use common::{
    clock::Timestamp,
    sql::{Database, Sql, SqlError, Text, Tx},
};

use crate::{channels::RawCallback, domain::OrderId, store::StoreError};

const INSERT: Sql = Sql::Each {
    mysql: "INSERT IGNORE INTO pay_callbacks (order_id, digest, channel, app_id, verdict, headers, body, received_at) \
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    sqlite: "INSERT OR IGNORE INTO pay_callbacks \
             (order_id, digest, channel, app_id, verdict, headers, body, received_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
};

/// An order has a few; a channel that goes on and on makes no answer without end.
const OF_ORDER: &str = "SELECT digest, channel, app_id, verdict, headers, body, received_at FROM pay_callbacks \
     WHERE order_id = ? ORDER BY received_at, digest LIMIT 100";

const METHOD: &str = ":method";
const PATH: &str = ":path";

/// A callback exactly as it came, beside what its channel says of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) channel: &'a str,
    pub(crate) app_id: i64,
    /// What [`headers_of`] makes of them.
    pub(crate) headers: &'a str,
    /// The raw body.
    pub(crate) body: &'a [u8],
}

/// A callback that was kept.
#[derive(Clone)]
pub(crate) struct Kept {
    /// SHA-256 of what it said: tells the callbacks of an order apart.
    pub(crate) digest: Vec<u8>,
    pub(crate) channel: String,
    pub(crate) app_id: i64,
    /// What it came to when it came.
    pub(crate) verdict: String,
    pub(crate) method: String,
    pub(crate) path: String,
    /// Without its question mark.
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) received_at: Timestamp,
}

/// A JSON list of pairs: method, target and headers.
pub(crate) fn headers_of(raw: &RawCallback<'_>) -> Result<String, StoreError> {
    let target = if raw.query.is_empty() { raw.path.to_owned() } else { format!("{}?{}", raw.path, raw.query) };
    let line = [(METHOD, raw.method), (PATH, &*target)];
    let pairs = line.into_iter().chain(raw.headers.iter().map(|(name, value)| (&**name, &**value)));
    serde_json::to_string(&pairs.collect::<Vec<_>>()).map_err(|_| StoreError::Unreadable("headers"))
}

/// The same of an answer to a question, which has no target. It is kept as proof, and can't be judged again: nobody called.
pub(crate) fn pairs_of(headers: &[(String, String)]) -> Result<String, StoreError> {
    serde_json::to_string(headers).map_err(|_| StoreError::Unreadable("headers"))
}

/// Keeps it; `false`: the same is kept already.
pub(crate) async fn keep(
    tx: &mut Tx,
    order_id: OrderId,
    evidence: Evidence<'_>,
    verdict: &str,
    now: Timestamp,
) -> Result<bool, SqlError> {
    let rows = tx
        .sql(INSERT)
        .bind(order_id.as_str())
        .bind(digest_of(evidence).as_ref())
        .bind(evidence.channel)
        .bind(evidence.app_id)
        .bind(verdict)
        .bind(evidence.headers)
        .bind(evidence.body)
        .bind(now.as_millis())
        .execute()
        .await?;
    Ok(rows == 1)
}

/// What was kept of an order, oldest first.
pub(crate) async fn of_order(database: &Database, order_id: OrderId) -> Result<Vec<Kept>, StoreError> {
    type Row = (Vec<u8>, Text, i64, Text, Text, Vec<u8>, i64);
    let rows: Vec<Row> = database.read(OF_ORDER).bind(order_id.as_str()).all().await?;
    let kept = |(digest, channel, app_id, verdict, headers, body, received_at): Row| {
        let (line, headers) = split(&headers)?;
        // What was kept before the line was can only have come by the usual way.
        let method = line.method.unwrap_or_else(|| "POST".to_owned());
        let target = line.path.unwrap_or_else(|| format!("/v1/pay/callbacks/{}/{app_id}", &*channel));
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        Ok(Kept {
            digest,
            channel: channel.into(),
            app_id,
            verdict: verdict.into(),
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body,
            received_at: Timestamp::from_millis(received_at),
        })
    };
    rows.into_iter().map(kept).collect()
}

/// What the channel said: its body, or of a callback without one what stands in its target.
fn digest_of(evidence: Evidence<'_>) -> aws_lc_rs::digest::Digest {
    let target = || split(evidence.headers).ok().and_then(|(line, _)| line.path);
    match evidence.body {
        [] => digest(&SHA256, target().unwrap_or_default().as_bytes()),
        body => digest(&SHA256, body),
    }
}

#[derive(Default)]
struct RequestLine {
    method: Option<String>,
    path: Option<String>,
}

fn split(headers: &str) -> Result<(RequestLine, Vec<(String, String)>), StoreError> {
    let pairs: Vec<(String, String)> =
        serde_json::from_str(headers).map_err(|_| StoreError::Unreadable("headers of a callback"))?;
    let (mut line, mut headers) = (RequestLine::default(), Vec::with_capacity(pairs.len()));
    for (name, value) in pairs {
        match &*name {
            METHOD => line.method = Some(value),
            PATH => line.path = Some(value),
            _ => headers.push((name, value)),
        }
    }
    Ok((line, headers))
}

impl Kept {
    /// As it came.
    pub(crate) fn raw(&self) -> RawCallback<'_> {
        let Self { method, path, query, headers, body, .. } = self;
        RawCallback { method, path, query, headers, body }
    }
}

/// Headers may hold tokens, bodies personal data.
impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("Kept");
        debug.field("channel", &self.channel).field("app_id", &self.app_id).field("verdict", &self.verdict);
        debug.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{APP, Service};

    fn raw<'a>(query: &'a str, headers: &'a [(String, String)], body: &'a [u8]) -> RawCallback<'a> {
        RawCallback { method: "GET", path: "/v1/pay/callbacks/uc/1001", query, headers, body }
    }

    async fn kept(service: &Service, order_id: OrderId, raw: RawCallback<'_>) -> bool {
        let headers = headers_of(&raw).expect("text");
        let evidence = Evidence { channel: "uc", app_id: APP, headers: &headers, body: raw.body };
        let mut tx = service.database.begin().await.expect("begun");
        let first = keep(&mut tx, order_id, evidence, "paid", Timestamp::from_millis(7)).await.expect("kept");
        tx.commit().await.expect("committed");
        first
    }

    common::on_each_database! {
        async fn a_callback_is_kept_with_everything_that_a_signature_may_cover(database: TestDatabase) {
            let service = Service::start(database).await;
            let order_id = OrderId::first_of(Timestamp::from_millis(1));
            let headers = [("X-Sign".to_owned(), "a".to_owned()), ("x-sign".to_owned(), "b".to_owned())];
            assert!(kept(&service, order_id, raw("a=1&b=%3F?", &headers, b"\xff")).await);
            let found = of_order(&service.database, order_id).await.expect("read");
            let [found] = &*found else { panic!("one, not {found:?}") };
            let again = found.raw();
            assert_eq!((again.method, again.path, again.query), ("GET", "/v1/pay/callbacks/uc/1001", "a=1&b=%3F?"));
            assert_eq!((again.headers, again.body), (&headers[..], &b"\xff"[..]));
            assert_eq!((&*found.verdict, found.received_at.as_millis()), ("paid", 7));
        }

        async fn callbacks_without_a_body_are_told_apart_by_what_they_say(database: TestDatabase) {
            let service = Service::start(database).await;
            let order_id = OrderId::first_of(Timestamp::from_millis(1));
            assert!(kept(&service, order_id, raw("status=1", &[], b"")).await);
            assert!(kept(&service, order_id, raw("status=2", &[], b"")).await);
            assert!(!kept(&service, order_id, raw("status=1", &[], b"")).await, "that is there");
            assert!(kept(&service, order_id, raw("status=1", &[], b"{}")).await);
            assert!(!kept(&service, order_id, raw("status=1", &[("x-id".to_owned(), "2".to_owned())], b"{}")).await);
        }

        async fn what_was_kept_without_its_target_came_by_the_usual_way(database: TestDatabase) {
            let service = Service::start(database).await;
            let order_id = OrderId::first_of(Timestamp::from_millis(1));
            let evidence = Evidence { channel: "uc", app_id: APP, headers: r#"[["a","b"]]"#, body: b"x" };
            let mut tx = service.database.begin().await.expect("begun");
            keep(&mut tx, order_id, evidence, "paid", Timestamp::from_millis(7)).await.expect("kept");
            tx.commit().await.expect("committed");
            let found = of_order(&service.database, order_id).await.expect("read").remove(0);
            assert_eq!((&*found.method, &*found.path, &*found.query), ("POST", "/v1/pay/callbacks/uc/1001", ""));
            assert_eq!(found.headers, [("a".to_owned(), "b".to_owned())]);
        }
    }
}
