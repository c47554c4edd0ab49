//! What a line of a bill comes to beside an order of the books, and an order beside the whole bill.
//!
//! Every line is in one class, whichever lines come before and after it. An order is in one class for its payment, which is
//! that of its line if it has one, and in one for its refund if it was refunded on the day.

use std::collections::HashMap;

use common::clock::Timestamp;

use super::{
    bill::{BillLine, Entry, Kind},
    day::Day,
    report::{Class, Counts, Difference, Report, Totals},
};
use crate::domain::{Money, OrderId, OrderState};

/// An order as far as a bill is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ours {
    pub(super) order_id: OrderId,
    pub(super) app_id: i64,
    pub(super) channel: Option<String>,
    pub(super) channel_order_id: Option<String>,
    pub(super) price: Money,
    pub(super) state: OrderState,
    /// Minor units that are back by the books.
    pub(super) refunded: i64,
    pub(super) is_acknowledged: bool,
    pub(super) paid_at: Option<Timestamp>,
    /// When it last changed: of one that is refunded, when it was.
    pub(super) changed_at: Timestamp,
}

/// The orders that a line may be about.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found<'a> {
    /// The one that was paid with the line's payment.
    pub(super) by_payment: Option<&'a Ours>,
    /// The one whose number the line names.
    pub(super) by_number: Option<&'a Ours>,
}

/// What the bill has said of an order so far.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    payment: bool,
    refund: bool,
    /// Minor units, in all its refunds.
    refunded: i64,
}

/// A comparison under way.
#[derive(Debug)]
pub(super) struct Comparison {
    day: Day,
    app_id: i64,
    report: Report,
    /// By the bits of the order's number: all that is remembered of the bill.
    seen: HashMap<[u8; 16], Seen>,
}

type Judged = (Class, &'static str);

impl Comparison {
    pub(super) fn new(channel: String, app_id: i64, day: Day) -> Self {
        let report = Report {
            channel,
            app_id,
            day: day.name().to_owned(),
            from: day.start().as_millis(),
            until: day.end().as_millis(),
            lines: 0,
            bill: Counts::default(),
            books: Counts::default(),
            totals: std::collections::BTreeMap::new(),
            differences: Vec::new(),
            differences_left_out: 0,
        };
        Self { day, app_id, report, seen: HashMap::new() }
    }

    /// An entry of the bill.
    pub(super) fn entry(&mut self, entry: &Entry, found: Found<'_>) {
        self.report.lines += 1;
        let (line, judged) = match entry {
            Entry::Line(line) => (line, self.judge(line, found)),
            Entry::Other => return self.report.bill.add(Class::Other),
            Entry::Unreadable { line, reason } => {
                self.report.bill.add(Class::Unreadable);
                return self.report.differ(Difference { line: Some(*line), ..of_nothing(Class::Unreadable, reason) });
            }
        };
        let (class, reason) = judged;
        self.report.bill.add(class);
        if let (Some(money), true) = (line.money, class != Class::OtherApp) {
            let totals = self.totals(money.currency.as_str());
            match line.kind {
                Kind::Payment => totals.paid_there += i128::from(money.amount),
                Kind::Refund => totals.refunded_there += i128::from(money.amount),
            }
        }
        if class.is_difference() {
            self.report.differ(of_line(line, found, class, reason));
        }
    }

    /// An order that was paid on the day by the books; once each, and behind the whole bill.
    pub(super) fn paid(&mut self, ours: &Ours) {
        self.totals(ours.price.currency().as_str()).paid_here += i128::from(ours.price.amount());
        if !self.seen(ours).payment {
            self.missing(ours, Kind::Payment, ours.paid_at, (Class::MissingThere, "not_in_bill"));
        }
    }

    /// An order that was refunded on the day by the books; likewise.
    pub(super) fn refunded(&mut self, ours: &Ours) {
        self.totals(ours.price.currency().as_str()).refunded_here += i128::from(ours.price.amount());
        if !self.seen(ours).refund {
            self.missing(ours, Kind::Refund, Some(ours.changed_at), (Class::StateDiffers, "refunded_here"));
        }
    }

    pub(super) fn finish(self) -> Report {
        self.report
    }

    fn judge(&mut self, line: &BillLine, found: Found<'_>) -> Judged {
        let ours = match (found.by_payment, found.by_number) {
            (Some(ours), _) => ours,
            (None, Some(ours)) if ours.app_id != self.app_id => return (Class::OtherApp, ""),
            (None, Some(ours)) => return (Class::MissingHere, why_not_this(ours)),
            (None, None) => return (Class::MissingHere, "no_such_payment"),
        };
        if ours.app_id != self.app_id {
            return (Class::OtherApp, "");
        }
        let seen = self.seen.entry(ours.order_id.to_bytes()).or_default();
        match line.kind {
            Kind::Payment if std::mem::replace(&mut seen.payment, true) => (Class::Repeated, "in_bill_before"),
            Kind::Payment => judge_payment(line, ours),
            Kind::Refund => {
                seen.refund = true;
                seen.refunded = seen.refunded.saturating_add(line.money.map_or(0, |money| money.amount));
                judge_refund(line, ours, seen.refunded)
            }
        }
    }

    fn seen(&self, ours: &Ours) -> Seen {
        self.seen.get(&ours.order_id.to_bytes()).copied().unwrap_or_default()
    }

    fn totals(&mut self, currency: &str) -> &mut Totals {
        self.report.totals.entry(currency.to_owned()).or_default()
    }

    fn missing(&mut self, ours: &Ours, kind: Kind, at: Option<Timestamp>, (class, reason): Judged) {
        let is_at_edge = at.is_none_or(|at| self.day.is_at_edge(at));
        let class = if is_at_edge { Class::Unclear } else { class };
        self.report.books.add(class);
        if class.is_difference() {
            let difference =
                Difference { kind: Some(kind), at: at.map(Timestamp::as_millis), ..of_nothing(class, reason) };
            self.report.differ(with_ours(difference, ours));
        }
    }
}

/// The line's own payment is not in the books, and its order is.
fn why_not_this(ours: &Ours) -> &'static str {
    if ours.state.was_paid() { "paid_with_another_payment" } else { "not_paid" }
}

fn judge_payment(line: &BillLine, ours: &Ours) -> Judged {
    let price = ours.price;
    if let Some(money) = line.money
        && money.currency != price.currency()
    {
        return (Class::AmountDiffers, "currency");
    }
    if line.money.is_some_and(|money| money.amount != price.amount()) {
        return (Class::AmountDiffers, "amount");
    }
    match ours.state {
        // Of what went back nobody has to be told.
        OrderState::Refunding | OrderState::Refunded | OrderState::Delivered => (Class::Matched, ""),
        _ if ours.is_acknowledged => (Class::Matched, ""),
        OrderState::Created
        | OrderState::Paying
        | OrderState::Paid
        | OrderState::Delivering
        | OrderState::Expired
        | OrderState::Closed => (Class::NotAcknowledged, "not_acknowledged"),
    }
}

/// `so_far`: what the bill says went back of the order, this line included.
fn judge_refund(line: &BillLine, ours: &Ours, so_far: i64) -> Judged {
    let price = ours.price;
    let is_part = match line.money {
        Some(money) if money.currency != price.currency() => return (Class::AmountDiffers, "currency"),
        Some(money) if money.amount > price.amount() => return (Class::AmountDiffers, "more_than_was_paid"),
        Some(money) => money.amount < price.amount(),
        None => false,
    };
    match ours.state {
        // In parts, or at once.
        OrderState::Refunding | OrderState::Refunded => (Class::Matched, ""),
        _ if is_part && so_far <= ours.refunded => (Class::Matched, ""),
        _ if is_part => (Class::StateDiffers, "refunded_there_in_part"),
        _ => (Class::StateDiffers, "refunded_there"),
    }
}

fn of_nothing(class: Class, reason: &'static str) -> Difference {
    Difference {
        class,
        reason,
        line: None,
        kind: None,
        order_id: None,
        channel_order_id: None,
        amount_there: None,
        currency_there: None,
        amount_here: None,
        currency_here: None,
        state: None,
        at: None,
    }
}

fn of_line(line: &BillLine, found: Found<'_>, class: Class, reason: &'static str) -> Difference {
    let base = Difference { line: Some(line.line), kind: Some(line.kind), ..of_nothing(class, reason) };
    let base = match found.by_payment.or(found.by_number) {
        Some(ours) => with_ours(base, ours),
        None => Difference { order_id: line.order_id.clone(), ..base },
    };
    Difference {
        channel_order_id: line.channel_order_id.clone().or(base.channel_order_id),
        amount_there: line.money.map(|money| money.amount),
        currency_there: line.money.map(|money| money.currency.to_string()),
        at: line.at.map(Timestamp::as_millis),
        ..base
    }
}

fn with_ours(difference: Difference, ours: &Ours) -> Difference {
    Difference {
        order_id: Some(ours.order_id.to_string()),
        channel_order_id: ours.channel_order_id.clone(),
        amount_here: Some(ours.price.amount()),
        currency_here: Some(ours.price.currency().to_string()),
        state: Some(ours.state.as_str()),
        ..difference
    }
}

#[cfg(test)]
mod tests {
    use common::clock::testing::SeededRandom;
    use proptest::prelude::*;

    use super::*;
    use crate::{channels, domain::Currency};

    const APP: i64 = 1001;

    fn day() -> Day {
        Day::parse("2026-11-29", "+08:00").expect("a day")
    }

    fn noon() -> Timestamp {
        day().start() + std::time::Duration::from_secs(12 * 3600)
    }

    fn cny() -> Currency {
        channels::cny()
    }

    fn ours(state: OrderState) -> Ours {
        Ours {
            order_id: OrderId::first_of(noon()),
            app_id: APP,
            channel: Some("alipay".to_owned()),
            channel_order_id: Some("C1".to_owned()),
            price: Money::new(600, cny()).expect("an amount"),
            state,
            refunded: 0,
            is_acknowledged: state == OrderState::Delivered,
            paid_at: Some(noon()),
            changed_at: noon(),
        }
    }

    fn line(kind: Kind, amount: i64) -> BillLine {
        BillLine {
            line: 1,
            kind,
            order_id: None,
            channel_order_id: Some("C1".to_owned()),
            money: Some(channels::Money { amount, currency: cny() }),
            at: None,
        }
    }

    fn judged(line: &BillLine, found: Found<'_>) -> Judged {
        Comparison::new("alipay".to_owned(), APP, day()).judge(line, found)
    }

    fn beside(line: &BillLine, ours: &Ours) -> Judged {
        judged(line, Found { by_payment: Some(ours), by_number: None })
    }

    #[test]
    fn a_payment_matches_if_number_amount_and_currency_do_and_the_game_knows() {
        let payment = line(Kind::Payment, 600);
        use OrderState as S;
        for (state, class) in [
            (S::Delivered, Class::Matched),
            (S::Refunded, Class::Matched),
            (S::Paid, Class::NotAcknowledged),
            (S::Delivering, Class::NotAcknowledged),
        ] {
            assert_eq!(beside(&payment, &ours(state)).0, class, "{state}");
        }
        assert_eq!(beside(&line(Kind::Payment, 599), &ours(S::Delivered)), (Class::AmountDiffers, "amount"));
        let dollars = channels::Money { amount: 600, currency: Currency::parse("USD").expect("a currency") };
        let in_dollars = BillLine { money: Some(dollars), ..payment.clone() };
        assert_eq!(beside(&in_dollars, &ours(S::Delivered)), (Class::AmountDiffers, "currency"));
        let of_nothing = BillLine { money: None, ..payment };
        assert_eq!(beside(&of_nothing, &ours(S::Delivered)).0, Class::Matched, "amounts are not compared");
    }

    #[test]
    fn what_the_bill_has_and_the_books_have_not_is_told_with_its_reason() {
        let payment = line(Kind::Payment, 600);
        assert_eq!(judged(&payment, Found::default()), (Class::MissingHere, "no_such_payment"));
        let by_number = |ours: &Ours| judged(&payment, Found { by_payment: None, by_number: Some(ours) });
        assert_eq!(by_number(&ours(OrderState::Expired)), (Class::MissingHere, "not_paid"));
        assert_eq!(by_number(&ours(OrderState::Delivered)), (Class::MissingHere, "paid_with_another_payment"));
        let of_other_app = Ours { app_id: APP + 1, ..ours(OrderState::Delivered) };
        assert_eq!(by_number(&of_other_app).0, Class::OtherApp);
        assert_eq!(beside(&payment, &of_other_app).0, Class::OtherApp);
    }

    #[test]
    fn a_refund_matches_only_what_is_refunded() {
        for (state, amount, judged) in [
            (OrderState::Refunded, 600, (Class::Matched, "")),
            (OrderState::Refunded, 100, (Class::Matched, "")),
            (OrderState::Delivered, 600, (Class::StateDiffers, "refunded_there")),
            (OrderState::Delivered, 100, (Class::StateDiffers, "refunded_there_in_part")),
            (OrderState::Refunded, 601, (Class::AmountDiffers, "more_than_was_paid")),
        ] {
            assert_eq!(beside(&line(Kind::Refund, amount), &ours(state)), judged, "{state} {amount}");
        }
    }

    #[test]
    fn refunds_of_a_part_match_as_far_as_the_books_have_them() {
        let mut comparison = Comparison::new("alipay".to_owned(), APP, day());
        let ours = Ours { refunded: 200, ..ours(OrderState::Delivered) };
        let found = Found { by_payment: Some(&ours), by_number: None };
        let classes = [(); 3].map(|()| comparison.judge(&line(Kind::Refund, 100), found).0);
        assert_eq!(classes, [Class::Matched, Class::Matched, Class::StateDiffers]);
    }

    #[test]
    fn what_the_bill_has_not_is_missing_there_unless_it_is_at_an_edge_of_the_day() {
        let seconds = std::time::Duration::from_secs;
        for (paid_at, class) in [
            (noon(), Class::MissingThere),
            (day().start() + seconds(599), Class::Unclear),
            (day().end().minus(seconds(1)), Class::Unclear),
        ] {
            let mut comparison = Comparison::new("alipay".to_owned(), APP, day());
            comparison.paid(&Ours { paid_at: Some(paid_at), ..ours(OrderState::Delivered) });
            let report = comparison.finish();
            assert_eq!((report.books.of(class), report.books.sum()), (1, 1), "{paid_at}");
            assert_eq!(report.differs(), class == Class::MissingThere);
            assert_eq!(report.totals["CNY"].paid_here, 600);
        }
    }

    /// An order, and what the bill says of it.
    #[derive(Clone, Debug)]
    struct Case {
        state: OrderState,
        app_id: i64,
        minute: u64,
        payment_lines: usize,
        refund_lines: usize,
        amount: i64,
        by_number: bool,
    }

    fn case() -> impl Strategy<Value = Case> {
        let states = OrderState::ALL.to_vec();
        let line = (0..3_usize, 0..3_usize, 599..=601_i64, any::<bool>());
        (prop::sample::select(states), prop::sample::select(vec![APP, APP + 1]), 0..1440_u64, line).prop_map(
            |(state, app_id, minute, (payment_lines, refund_lines, amount, by_number))| Case {
                state,
                app_id,
                minute,
                payment_lines,
                refund_lines,
                amount,
                by_number,
            },
        )
    }

    proptest! {
        #[test]
        fn every_line_is_in_one_class_and_every_order_is_counted_once(
            cases in prop::collection::vec(case(), 0..40), strangers in 0..5_u64, others in 0..5_u64, broken in 0..5_u64,
        ) {
            let random = SeededRandom::new(7);
            let mut comparison = Comparison::new("alipay".to_owned(), APP, day());
            let (mut lines, mut paid_there, mut refunded_there, mut paid_here) = (0, 0_i128, 0_i128, 0_i128);
            let (mut of_bill, mut of_app) = (0_u64, Vec::new());
            for case in &cases {
                let paid_at = day().start() + std::time::Duration::from_secs(60 * case.minute);
                let order = Ours {
                    order_id: OrderId::new(paid_at, &random),
                    app_id: case.app_id,
                    paid_at: Some(paid_at),
                    ..ours(case.state)
                };
                let by_payment = (case.state.was_paid() && !case.by_number).then_some(&order);
                let found = Found { by_payment, by_number: Some(&order) };
                let is_ours = case.app_id == APP;
                for (kind, count) in [(Kind::Payment, case.payment_lines), (Kind::Refund, case.refund_lines)] {
                    for _ in 0..count {
                        comparison.entry(&Entry::Line(line(kind, case.amount)), found);
                        lines += 1;
                        let sum = if kind == Kind::Payment { &mut paid_there } else { &mut refunded_there };
                        *sum += if is_ours { i128::from(case.amount) } else { 0 };
                    }
                }
                let is_in_bill = by_payment.is_some();
                if is_ours && case.state.was_paid() {
                    paid_here += 600;
                    of_bill += u64::from(is_in_bill && case.payment_lines > 0);
                    of_app.push((order, is_in_bill && case.refund_lines > 0));
                }
            }
            for (count, entry) in [
                (strangers, Entry::Line(line(Kind::Payment, 600))),
                (others, Entry::Other),
                (broken, Entry::Unreadable { line: 1, reason: "broken" }),
            ] {
                for _ in 0..count {
                    comparison.entry(&entry, Found::default());
                    lines += 1;
                }
            }
            paid_there += i128::from(strangers) * 600;
            let is_refunded = |order: &Ours| order.state == OrderState::Refunded;
            let mut refunds_missing = 0;
            for (order, refund_is_there) in &of_app {
                comparison.paid(order);
                if is_refunded(order) {
                    comparison.refunded(order);
                    refunds_missing += u64::from(!refund_is_there);
                }
            }
            let report = comparison.finish();

            prop_assert_eq!((report.lines, report.bill.sum()), (lines, lines));
            prop_assert_eq!(report.books.sum(), of_app.len() as u64 - of_bill + refunds_missing);
            prop_assert_eq!((report.bill.of(Class::Other), report.bill.of(Class::Unreadable)), (others, broken));
            let totals = report.totals.get("CNY").copied().unwrap_or_default();
            prop_assert_eq!((totals.paid_there, totals.refunded_there), (paid_there, refunded_there));
            prop_assert_eq!(totals.paid_here, paid_here);
            let different: u64 = report.bill.iter().chain(report.books.iter())
                .filter(|(class, _)| class.is_difference()).map(|(_, count)| count).sum();
            prop_assert_eq!(report.differences.len() as u64, different);
            prop_assert_eq!(report.differs(), different > 0);
            // Each payment that is in the books is matched by one line at most.
            prop_assert!(report.bill.of(Class::Matched) <= of_bill + cases.iter().map(|case| case.refund_lines as u64).sum::<u64>());
        }

        #[test]
        fn a_bill_that_says_what_the_books_say_has_no_differences(
            cases in prop::collection::vec((prop::sample::select(vec![OrderState::Delivered, OrderState::Refunded]), 0..1440_u64), 0..40)
        ) {
            let random = SeededRandom::new(7);
            let mut comparison = Comparison::new("alipay".to_owned(), APP, day());
            let mut orders = Vec::new();
            for (state, minute) in cases {
                let paid_at = day().start() + std::time::Duration::from_secs(60 * minute);
                let order = Ours { order_id: OrderId::new(paid_at, &random), paid_at: Some(paid_at), ..ours(state) };
                let found = Found { by_payment: Some(&order), by_number: None };
                comparison.entry(&Entry::Line(line(Kind::Payment, 600)), found);
                if state == OrderState::Refunded {
                    comparison.entry(&Entry::Line(line(Kind::Refund, 600)), found);
                }
                orders.push(order);
            }
            for order in &orders {
                comparison.paid(order);
                if order.state == OrderState::Refunded {
                    comparison.refunded(order);
                }
            }
            let report = comparison.finish();
            prop_assert!(!report.differs() && report.differences.is_empty());
            prop_assert_eq!((report.bill.of(Class::Matched), report.books.sum()), (report.lines, 0));
            let totals = report.totals.get("CNY").copied().unwrap_or_default();
            prop_assert_eq!((totals.paid_here, totals.refunded_here), (totals.paid_there, totals.refunded_there));
        }
    }
}
