//! A bill read, looked up in the books, and compared.

use std::{
    collections::{HashMap, HashSet},
    io::Read,
};

use common::sql::Database;
use tokio::sync::mpsc;

use super::{
    BillError, BillFormat, Day, Report,
    bill::{Bill, BillLine, Entry},
    books::{BATCH, Books},
    compare::{Comparison, Found, Ours},
};
use crate::store::StoreError;

/// Batches that are read ahead while one is looked up.
const READ_AHEAD: usize = 2;

/// What is to be compared.
#[derive(Clone, Debug)]
pub struct Question {
    /// The channel, as the app calls it.
    pub channel: String,
    /// The app.
    pub app_id: i64,
    /// The day of the bill.
    pub day: Day,
    /// The form of the bill.
    pub format: BillFormat,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The bill can't be used.
    #[error(transparent)]
    Bill(#[from] BillError),
    /// The database did not answer, or not as expected.
    #[error("the orders can't be read")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The bill was given up in the middle.
    #[error("the bill could not be read to its end")]
    Interrupted,
}

/// Compares a bill with the books. Changes nothing: the same bill gives the same report as often as it is asked for, unless
/// the books change.
///
/// # Errors
/// When bill or books can't be read.
pub async fn reconcile<R: Read + Send + 'static>(
    database: &Database,
    question: Question,
    bill: R,
) -> Result<Report, ReconcileError> {
    let Question { channel, app_id, day, format } = question;
    let books = Books { database, channel: &channel, app_id };
    let mut comparison = Comparison::new(channel.clone(), app_id, day.clone());
    let (batches, mut read) = mpsc::channel(READ_AHEAD);
    let of_day = day.clone();
    // A file may block.
    let reading = tokio::task::spawn_blocking(move || read_bill(bill, &format, &of_day, &batches));
    while let Some(batch) = read.recv().await {
        compare(&mut comparison, books, &batch).await?;
    }
    reading.await.map_err(|_| ReconcileError::Interrupted)??;
    books.paid(&day, |ours| comparison.paid(ours)).await?;
    books.refunded(&day, |ours| comparison.refunded(ours)).await?;
    Ok(comparison.finish())
}

fn read_bill<R: Read>(
    bill: R,
    format: &BillFormat,
    day: &Day,
    batches: &mpsc::Sender<Vec<Entry>>,
) -> Result<(), BillError> {
    let mut batch = Vec::with_capacity(BATCH);
    for entry in Bill::open(bill, format, day)? {
        batch.push(entry?);
        if batch.len() == BATCH && batches.blocking_send(std::mem::take(&mut batch)).is_err() {
            // Nobody compares any more, and says why.
            return Ok(());
        }
    }
    let _ = batches.blocking_send(batch);
    Ok(())
}

async fn compare(comparison: &mut Comparison, books: Books<'_>, batch: &[Entry]) -> Result<(), StoreError> {
    let lines = || batch.iter().filter_map(Entry::line);
    let payments: HashSet<&str> = lines().filter_map(|line| line.channel_order_id.as_deref()).collect();
    let payments: Vec<&str> = payments.into_iter().collect();
    let by_payment = books.by_payments(&payments).await?;
    let by_payment: HashMap<&str, &Ours> =
        by_payment.iter().filter_map(|ours| Some((ours.channel_order_id.as_deref()?, ours))).collect();
    let payment_of =
        |line: &BillLine| line.channel_order_id.as_deref().and_then(|number| by_payment.get(number).copied());
    let numbers: HashSet<&str> = lines()
        .filter(|line| payment_of(line).is_none())
        .filter_map(|line| line.order_id.as_deref())
        .filter(|number| crate::domain::OrderId::parse(number).is_ok())
        .collect();
    let numbers: Vec<&str> = numbers.into_iter().collect();
    let by_number = books.by_numbers(&numbers).await?;
    let by_number: HashMap<&str, &Ours> = by_number.iter().map(|ours| (ours.order_id.as_str(), ours)).collect();
    for entry in batch {
        let found = entry.line().map_or_else(Found::default, |line| {
            let named = line.order_id.as_deref().and_then(|number| by_number.get(number).copied());
            found(books.channel, line, payment_of(line), named)
        });
        comparison.entry(entry, found);
    }
    Ok(())
}

/// A line that names only our number is about the payment that the order was paid with.
fn found<'a>(channel: &str, line: &BillLine, by_payment: Option<&'a Ours>, named: Option<&'a Ours>) -> Found<'a> {
    let is_its_payment = |ours: &&Ours| {
        line.channel_order_id.is_none() && ours.state.was_paid() && ours.channel.as_deref() == Some(channel)
    };
    Found { by_payment: by_payment.or(named.filter(is_its_payment)), by_number: named }
}

impl Entry {
    fn line(&self) -> Option<&BillLine> {
        match self {
            Self::Line(line) => Some(line),
            Self::Other | Self::Unreadable { .. } => None,
        }
    }
}

impl From<StoreError> for ReconcileError {
    fn from(error: StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write, time::Duration};

    use common::clock::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::{
        reconciliation::{Class, Columns},
        testing::{APP, GameServer, OTHER_APP, Service, call_back_on, payment},
    };

    const HEADER: &str = "order_id,channel_order_id,amount,currency,kind\n";

    fn day() -> Day {
        Day::parse("2026-11-29", "+08:00").expect("a day")
    }

    async fn report(service: &Service, app_id: i64, bill: &str) -> Report {
        let (day, format) = (day(), BillFormat::Csv(Columns::guess()));
        let question = Question { channel: "sandbox".to_owned(), app_id, day, format };
        let bill = std::io::Cursor::new(format!("{HEADER}{bill}").into_bytes());
        reconcile(&service.database, question, bill).await.expect("a report")
    }

    /// An order that was paid at this moment by the channel's clock.
    async fn paid_at(service: &Service, key: &str, at: Timestamp) -> String {
        let order_id = service.order(key).await;
        let mut paid = payment(&order_id);
        paid["paid_at"] = json!(at.as_millis());
        assert_eq!(service.call_back(&paid).await, "SUCCESS");
        order_id
    }

    /// A service whose clock stands at noon of the day.
    async fn at_noon(database: common::sql::testing::TestDatabase) -> (Service, Timestamp, GameServer) {
        let (service, game) = (Service::start(database).await, GameServer::start().await);
        service.deliver_to(APP, &game.url());
        let noon = day().start() + Duration::from_secs(12 * 3600);
        service.clock.advance(noon.since(service.clock_now()));
        (service, noon, game)
    }

    fn named(report: &Report, class: Class) -> Vec<&str> {
        let of_class = report.differences.iter().filter(|difference| difference.class == class);
        of_class.filter_map(|difference| difference.order_id.as_deref()).collect()
    }

    common::on_each_database! {
        async fn each_way_in_which_a_bill_and_the_books_can_differ_is_told(database: TestDatabase) {
            let (service, noon, _game) = at_noon(database).await;
            let mut hands = service.hands();
            let matched = paid_at(&service, "matched", noon).await;
            let amount = paid_at(&service, "amount", noon).await;
            let missing_there = paid_at(&service, "missing-there", noon).await;
            let refunded_there = paid_at(&service, "refunded-there", noon).await;
            let refunded_here = paid_at(&service, "refunded-here", noon).await;
            let refunded = paid_at(&service, "refunded", noon).await;
            let at_edge = paid_at(&service, "at-the-edge", day().end().minus(Duration::from_secs(1))).await;
            let next_day = paid_at(&service, "next-day", day().end() + Duration::from_secs(1)).await;
            hands.deliver().await;
            let not_acknowledged = paid_at(&service, "not-acknowledged", noon).await;
            let unpaid = service.order("unpaid").await;
            for order_id in [&refunded_here, &refunded] {
                service.refund(order_id).await.expect("refunded");
            }
            let other = service.create_with("other", |request| request.app_id = OTHER_APP).await.expect("made").order_id;
            call_back_on(&service.pay, OTHER_APP, &payment(&other)).await.expect("paid");

            let line = |order_id: &str, amount: &str, kind: &str| {
                format!("{order_id},sandbox-{order_id},{amount},CNY,{kind}\n")
            };
            let bill = [
                line(&matched, "6.00", "payment"),
                line(&amount, "5.00", "payment"),
                line(&refunded_there, "6.00", "payment"),
                line(&refunded_there, "6.00", "refund"),
                line(&refunded_here, "6.00", "payment"),
                line(&refunded, "6.00", "payment"),
                line(&refunded, "6.00", "refund"),
                // Of a neighbouring day by the books: that is no difference.
                line(&next_day, "6.00", "payment"),
                line(&not_acknowledged, "6.00", "payment"),
                line(&unpaid, "6.00", "payment"),
                line(&other, "6.00", "payment"),
                line(&matched, "6.00", "payment"),
                "01JXT21Q00C5Z0E8T3Y6A9B2DK,stranger,6.00,CNY,payment\n".to_owned(),
                format!("{matched},second-payment,6.00,CNY,payment\n"),
                line(&matched, "six", "payment"),
                line(&matched, "0.04", "fee"),
            ];
            let found = report(&service, APP, &bill.concat()).await;
            let of_bill: Vec<_> = found.bill.iter().collect();
            let expected = [
                (Class::Matched, 6), (Class::NotAcknowledged, 1), (Class::MissingHere, 3), (Class::AmountDiffers, 1),
                (Class::StateDiffers, 1), (Class::Repeated, 1), (Class::Unreadable, 1), (Class::OtherApp, 1),
                (Class::Other, 1),
            ];
            assert_eq!(of_bill, expected);
            let of_books: Vec<_> = found.books.iter().collect();
            assert_eq!(of_books, [(Class::MissingThere, 1), (Class::StateDiffers, 1), (Class::Unclear, 1)]);
            assert_eq!(named(&found, Class::MissingThere), [&*missing_there]);
            assert_eq!(named(&found, Class::AmountDiffers), [&*amount]);
            assert_eq!(named(&found, Class::NotAcknowledged), [&*not_acknowledged]);
            assert_eq!(named(&found, Class::StateDiffers), [&*refunded_there, &*refunded_here]);
            assert_eq!(named(&found, Class::MissingHere), [&*unpaid, "01JXT21Q00C5Z0E8T3Y6A9B2DK", &*matched]);
            let reasons: Vec<_> = found.differences.iter().map(|difference| difference.reason).collect();
            for reason in ["not_paid", "no_such_payment", "paid_with_another_payment", "in_bill_before"] {
                assert!(reasons.contains(&reason), "{reason} {reasons:?}");
            }
            assert!(!reasons.is_empty() && named(&found, Class::Unclear).is_empty(), "{at_edge} may be in another bill");
            let totals = found.totals["CNY"];
            // Eight were paid on the day, the one at the edge among them.
            assert_eq!((totals.paid_here, totals.refunded_here, totals.refunded_there), (4800, 1200, 1200));
            assert_eq!(report(&service, APP, &bill.concat()).await, found, "the same again");
        }

        async fn a_refund_of_a_part_matches_if_the_books_have_it(database: TestDatabase) {
            let (service, noon, _game) = at_noon(database).await;
            let order_id = paid_at(&service, "part", noon).await;
            let bill = format!("{order_id},sandbox-{order_id},1.00,CNY,refund\n");
            assert_eq!(report(&service, APP, &bill).await.bill.of(Class::StateDiffers), 1);
            service.give_back(&order_id, Some("r-1"), 100).await;
            assert_eq!(report(&service, APP, &bill).await.bill.of(Class::Matched), 1);
        }

        async fn bills_and_books_of_many_batches_are_compared_to_the_last_line(database: TestDatabase) {
            let (service, noon, _game) = at_noon(database).await;
            let first = paid_at(&service, "first", noon).await;
            // The same order many times over, by other numbers: a batch and a page more than whole ones.
            let copies = (BATCH * 2 + 3).max(1003);
            let mut tx = service.database.begin().await.expect("begun");
            for copy in 0..copies {
                let number = format!("{}{copy:06}", &first[..20]);
                tx.sql(
                    "INSERT INTO pay_orders SELECT ?, app_id, account_id, product_id, amount, currency, role_id, \
                     server_id, extension, state, channel, ?, created_at, expires_at, paid_at, paid_at, updated_at \
                     FROM pay_orders WHERE order_id = ?",
                )
                .bind(&*number)
                .bind(format!("copy-{copy}"))
                .bind(&*first)
                .execute()
                .await
                .expect("copied");
            }
            tx.commit().await.expect("committed");
            let mut bill = String::new();
            for copy in 0..copies {
                let _ = writeln!(bill, ",copy-{copy},6.00,CNY,payment");
            }
            let found = report(&service, APP, &bill).await;
            assert_eq!((found.lines, found.bill.of(Class::Matched)), (copies as u64, copies as u64));
            assert_eq!((found.books.sum(), named(&found, Class::MissingThere)), (1, vec![&*first]));
            assert_eq!(found.totals["CNY"].paid_here, 600 * (copies as i128 + 1));
            let none = report(&service, APP, "").await;
            assert_eq!((none.lines, none.books.of(Class::MissingThere)), (0, copies as u64 + 1));
        }

        async fn a_bill_that_names_only_our_numbers_is_compared_by_them(database: TestDatabase) {
            let (service, noon, _game) = at_noon(database).await;
            let order_id = paid_at(&service, "k-1", noon).await;
            service.hands().deliver().await;
            let found = report(&service, APP, &format!("{order_id},,6.00,CNY,payment\n")).await;
            assert_eq!((found.differs(), found.bill.of(Class::Matched)), (false, 1));
        }

        async fn a_bill_that_can_not_be_used_makes_no_report(database: TestDatabase) {
            let (service, ..) = at_noon(database).await;
            let question = Question { channel: "alipay".to_owned(), app_id: APP, day: day(), format: BillFormat::Alipay };
            let refused = reconcile(&service.database, question, std::io::Cursor::new(HEADER)).await;
            assert!(matches!(refused, Err(ReconcileError::Bill(BillError::NoHeader))), "{refused:?}");
        }
    }
}
