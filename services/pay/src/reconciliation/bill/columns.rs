//! Bills of any other channel: comma-separated values with a header, and a word for each column that matters.

use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use csv::{ByteRecord, Reader, ReaderBuilder};

use super::{
    BillError, BillLine, Entry, Kind,
    line::{major, minor, numbers},
    text::decode,
};
use crate::{
    channels::{Money, moment},
    domain::Currency,
    reconciliation::Day,
};

/// The longest record. A quotation mark that is never closed would take the rest of the file for one.
const RECORD_BYTES_MAX: u64 = 256 * 1024;

/// Which column is what: names of the header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    order_id: Option<String>,
    channel_order_id: Option<String>,
    amount: Option<String>,
    amount_minor: Option<String>,
    currency: Option<String>,
    fixed_currency: Option<Currency>,
    kind: Option<String>,
    at: Option<String>,
    /// Nobody chose them: those that are not there are done without.
    is_guess: bool,
}

/// Why columns can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ColumnsError {
    /// Not `key=name`, or a key that there is not.
    #[error(
        "`{0}` is not one of order_id=…, channel_order_id=…, amount=…, amount_minor=…, currency=…, fixed_currency=…, kind=… and at=…"
    )]
    Unknown(String),
    /// Payments could not be found by anything.
    #[error("one of order_id and channel_order_id has to be there")]
    NoNumber,
    /// Amounts are of nothing.
    #[error("an amount needs a currency: currency=… or fixed_currency=…")]
    NoCurrency,
    /// Both kinds of amounts, or both kinds of currencies.
    #[error("{0} and {1} exclude each other")]
    Both(&'static str, &'static str),
    /// Not the form of a currency.
    #[error("fixed_currency must be three upper-case letters (ISO 4217)")]
    Currency,
}

pub(super) struct Csv<R: Read> {
    reader: Reader<Bounded<R>>,
    record: ByteRecord,
    may_read_until: Arc<AtomicU64>,
    at: Places,
    fixed_currency: Option<Currency>,
    day: Day,
}

/// Where the columns stand.
struct Places {
    order_id: Option<usize>,
    channel_order_id: Option<usize>,
    amount: Option<usize>,
    amount_minor: Option<usize>,
    currency: Option<usize>,
    kind: Option<usize>,
    at: Option<usize>,
}

impl Columns {
    /// Columns as `key=name`; the keys are `order_id`, `channel_order_id`, `amount` (major units) or `amount_minor`,
    /// `currency` or `fixed_currency` (a currency in place of a column), `kind` and `at`.
    ///
    /// # Errors
    /// When a key is unknown, or payments could not be compared by them.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = &'a str>) -> Result<Self, ColumnsError> {
        let mut columns = Self::default();
        for pair in pairs {
            let unknown = || ColumnsError::Unknown(pair.to_owned());
            let (key, name) = pair.split_once('=').filter(|(_, name)| !name.is_empty()).ok_or_else(unknown)?;
            if key == "fixed_currency" {
                columns.fixed_currency = Some(Currency::parse(name).map_err(|_| ColumnsError::Currency)?);
            } else {
                *columns.of(key)? = Some(name.to_owned());
            }
        }
        if columns.order_id.is_none() && columns.channel_order_id.is_none() {
            return Err(ColumnsError::NoNumber);
        }
        if columns.amount.is_some() && columns.amount_minor.is_some() {
            return Err(ColumnsError::Both("amount", "amount_minor"));
        }
        if columns.currency.is_some() && columns.fixed_currency.is_some() {
            return Err(ColumnsError::Both("currency", "fixed_currency"));
        }
        let has_amount = columns.amount.is_some() || columns.amount_minor.is_some();
        if has_amount && columns.currency.is_none() && columns.fixed_currency.is_none() {
            return Err(ColumnsError::NoCurrency);
        }
        Ok(columns)
    }

    /// Columns that are called as the keys are, as far as they are there.
    pub fn guess() -> Self {
        let name = |key: &str| Some(key.to_owned());
        Self {
            order_id: name("order_id"),
            channel_order_id: name("channel_order_id"),
            amount: name("amount"),
            amount_minor: None,
            currency: name("currency"),
            fixed_currency: None,
            kind: name("kind"),
            at: name("at"),
            is_guess: true,
        }
    }

    fn of(&mut self, key: &str) -> Result<&mut Option<String>, ColumnsError> {
        match key {
            "order_id" => Ok(&mut self.order_id),
            "channel_order_id" => Ok(&mut self.channel_order_id),
            "amount" => Ok(&mut self.amount),
            "amount_minor" => Ok(&mut self.amount_minor),
            "currency" => Ok(&mut self.currency),
            "kind" => Ok(&mut self.kind),
            "at" => Ok(&mut self.at),
            _ => Err(ColumnsError::Unknown(key.to_owned())),
        }
    }

    fn places(&self, header: &ByteRecord) -> Result<Places, BillError> {
        let place = |name: &Option<String>| match name {
            None => Ok(None),
            Some(name) => match header.iter().position(|column| decode(column).trim() == name) {
                None if !self.is_guess => Err(BillError::NoColumn(name.clone())),
                found => Ok(found),
            },
        };
        let places = Places {
            order_id: place(&self.order_id)?,
            channel_order_id: place(&self.channel_order_id)?,
            amount: place(&self.amount)?,
            amount_minor: place(&self.amount_minor)?,
            currency: place(&self.currency)?,
            kind: place(&self.kind)?,
            at: place(&self.at)?,
        };
        if places.order_id.is_none() && places.channel_order_id.is_none() {
            return Err(BillError::NoColumn("channel_order_id".to_owned()));
        }
        if places.amount.is_some() && places.currency.is_none() && self.fixed_currency.is_none() {
            return Err(BillError::NoColumn("currency".to_owned()));
        }
        Ok(places)
    }
}

impl<R: Read> Csv<R> {
    pub(super) fn open(reader: R, columns: &Columns, day: Day) -> Result<Self, BillError> {
        let may_read_until = Arc::new(AtomicU64::new(RECORD_BYTES_MAX));
        let bounded = Bounded { reader, given: 0, may_read_until: Arc::clone(&may_read_until) };
        let mut reader = ReaderBuilder::new().comment(Some(b'#')).flexible(true).from_reader(bounded);
        let at = columns.places(reader.byte_headers().map_err(|error| refusal(error, 1))?)?;
        let fixed_currency = columns.fixed_currency;
        Ok(Self { reader, record: ByteRecord::new(), may_read_until, at, fixed_currency, day })
    }

    pub(super) fn next(&mut self) -> Result<Option<Entry>, BillError> {
        let start = self.reader.position().byte();
        self.may_read_until.store(start.saturating_add(RECORD_BYTES_MAX), Ordering::Relaxed);
        let before = self.reader.position().line();
        if !self.reader.read_byte_record(&mut self.record).map_err(|error| refusal(error, before))? {
            return Ok(None);
        }
        let line = self.record.position().map_or(before, csv::Position::line);
        Ok(Some(match self.read() {
            Ok(Some(read)) => Entry::Line(BillLine { line, ..read }),
            Ok(None) => Entry::Other,
            Err(reason) => Entry::Unreadable { line, reason },
        }))
    }

    fn read(&self) -> Result<Option<BillLine>, &'static str> {
        let Places { order_id, channel_order_id, amount, amount_minor, currency, kind, at } = &self.at;
        let field = |place: &Option<usize>| {
            place.map(|place| decode(self.record.get(place).unwrap_or_default()).trim().to_owned())
        };
        let currency = match (self.fixed_currency, field(currency)) {
            (Some(currency), _) => Some(currency),
            (None, Some(raw)) => Some(Currency::parse(&raw).map_err(|_| "has a currency that can't be read")?),
            (None, None) => None,
        };
        let amount: Option<(Money, bool)> = match (currency, field(amount), field(amount_minor)) {
            (Some(currency), Some(raw), _) => Some(major(&raw, currency)?),
            (Some(currency), None, Some(raw)) => Some(minor(&raw, currency)?),
            _ => None,
        };
        let kind = match field(kind) {
            Some(word) => match kind_of(&word) {
                Some(kind) => kind,
                None => return Ok(None),
            },
            None if amount.is_some_and(|(_, is_negative)| is_negative) => Kind::Refund,
            None => Kind::Payment,
        };
        let (order_id, channel_order_id) = numbers(field(order_id).as_deref(), field(channel_order_id).as_deref())?;
        let at = field(at).and_then(|raw| moment_of(&raw, &self.day));
        Ok(Some(BillLine { line: 0, kind, order_id, channel_order_id, money: amount.map(|(money, _)| money), at }))
    }
}

/// Anything else is a fee, a tax, a transfer.
fn kind_of(word: &str) -> Option<Kind> {
    match &*word.to_ascii_lowercase() {
        "payment" | "paid" | "pay" | "charge" | "charged" | "sale" | "purchase" | "success" => Some(Kind::Payment),
        "refund" | "refunded" | "charge refund" | "chargeback" | "reversal" | "return" => Some(Kind::Refund),
        _ => None,
    }
}

/// Unix milliseconds, RFC 3339, or date and time in the zone of the day.
fn moment_of(raw: &str, day: &Day) -> Option<common::clock::Timestamp> {
    raw.parse().ok().and_then(moment::from_millis).or_else(|| day.moment(raw))
}

fn refusal(error: csv::Error, line: u64) -> BillError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::InvalidData => BillError::LineTooLong(line),
        csv::ErrorKind::Io(error) => BillError::Read(error),
        other => BillError::Read(io::Error::other(format!("{other:?}"))),
    }
}

/// Gives no more of a file than the record that is being read may have.
struct Bounded<R> {
    reader: R,
    given: u64,
    may_read_until: Arc<AtomicU64>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given >= self.may_read_until.load(Ordering::Relaxed) {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        let read = self.reader.read(buffer)?;
        self.given += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reconciliation::bill::{Bill, BillFormat};

    fn day() -> Day {
        Day::parse("2026-11-29", "+08:00").expect("a day")
    }

    fn read(columns: &[&str], bill: impl Read) -> Result<Vec<Entry>, BillError> {
        let columns = match columns {
            [] => Columns::guess(),
            pairs => Columns::parse(pairs.iter().copied()).expect("columns"),
        };
        Bill::open(bill, &BillFormat::Csv(columns), &day())?.collect()
    }

    #[test]
    fn columns_are_found_by_the_names_that_they_have() {
        let bill = "# of a store\nTitle,Order,Type,When,Price,Cur\n\
            \"Gems, 60\",GPA.1,Charge,2026-11-29 10:00:00,6.00,CNY\n\
            \"two\nlines\",GPA.1,Charge refund,2026-11-29T10:00:00Z,-6.00,CNY\n\
            ,GPA.1,Google fee,1795910400000,-0.90,CNY\n";
        let columns = ["channel_order_id=Order", "kind=Type", "at=When", "amount=Price", "currency=Cur"];
        let entries = read(&columns, bill.as_bytes()).expect("a bill");
        let Entry::Line(payment) = &entries[0] else { panic!("{entries:?}") };
        assert_eq!(
            (payment.line, payment.kind, payment.channel_order_id.as_deref()),
            (3, Kind::Payment, Some("GPA.1"))
        );
        assert_eq!(payment.money.map(|money| money.amount), Some(600));
        assert_eq!(payment.at, day().moment("2026-11-29 10:00:00"));
        let Entry::Line(refund) = &entries[1] else { panic!("{entries:?}") };
        assert_eq!((refund.line, refund.kind, refund.money.map(|money| money.amount)), (4, Kind::Refund, Some(600)));
        assert_eq!(entries[2..], [Entry::Other]);
    }

    #[test]
    fn without_a_kind_what_is_negative_went_back_and_without_an_amount_none_is_compared() {
        let bill = "order_id,amount_minor\nO1,600\nO1,-600\n,1\nO2,1.5\n";
        let columns = ["order_id=order_id", "amount_minor=amount_minor", "fixed_currency=JPY"];
        let entries = read(&columns, bill.as_bytes()).expect("a bill");
        let kinds: Vec<_> = entries
            .iter()
            .map(|entry| match entry {
                Entry::Line(line) => Some((line.kind, line.money.expect("an amount").amount)),
                Entry::Other | Entry::Unreadable { .. } => None,
            })
            .collect();
        assert_eq!(kinds, [Some((Kind::Payment, 600)), Some((Kind::Refund, 600)), None, None]);
        let entries = read(&[], "channel_order_id,kind\nC1,payment\n".as_bytes()).expect("a bill");
        let Entry::Line(line) = &entries[0] else { panic!("{entries:?}") };
        assert_eq!((line.money, line.at), (None, None));
    }

    #[test]
    fn columns_that_payments_can_not_be_compared_by_are_refused() {
        use ColumnsError as E;
        for (pairs, error) in [
            (&[][..], E::NoNumber),
            (&["amount=a", "currency=c"], E::NoNumber),
            (&["order_id=a", "amount=b"], E::NoCurrency),
            (&["order_id=a", "amount=b", "amount_minor=c", "currency=d"], E::Both("amount", "amount_minor")),
            (&["order_id=a", "currency=b", "fixed_currency=CNY"], E::Both("currency", "fixed_currency")),
            (&["order_id=a", "fixed_currency=cny"], E::Currency),
            (&["order_id"], E::Unknown("order_id".to_owned())),
            (&["order_id="], E::Unknown("order_id=".to_owned())),
            (&["number=a"], E::Unknown("number".to_owned())),
        ] {
            assert_eq!(Columns::parse(pairs.iter().copied()), Err(error), "{pairs:?}");
        }
        let missing = read(&["order_id=Order", "kind=Type"], "Order\n1\n".as_bytes());
        assert!(matches!(missing, Err(BillError::NoColumn(name)) if name == "Type"));
        assert!(matches!(read(&[], "a,b\n".as_bytes()), Err(BillError::NoColumn(_))));
        assert!(matches!(read(&[], "order_id,amount\n".as_bytes()), Err(BillError::NoColumn(_))));
    }

    #[test]
    fn a_quotation_mark_that_is_never_closed_does_not_take_the_file_into_memory() {
        let bill = "order_id\nO1\n\"".as_bytes().chain(io::repeat(b'\n'));
        let error = read(&[], bill).expect_err("refused");
        assert!(matches!(error, BillError::LineTooLong(3)), "{error}");
        let error = read(&[], io::repeat(b'a')).expect_err("refused");
        assert!(matches!(error, BillError::LineTooLong(1)), "{error}");
    }

    proptest! {
        #[test]
        fn no_file_panics_in_any_form(bill in prop::collection::vec(any::<u8>(), 0..2000), text in "[,`\"#a-z0-9\n.-]{0,300}") {
            let heads = ["", "order_id,amount,currency\n", "交易时间,微信订单号,商户订单号,交易状态,订单金额\n",
                "支付宝交易号,商户订单号,业务类型,完成时间,订单金额\n"];
            for head in heads {
                for tail in [&bill[..], text.as_bytes()] {
                    let file = [head.as_bytes(), tail].concat();
                    for format in [BillFormat::Alipay, BillFormat::WechatPay, BillFormat::Csv(Columns::guess())] {
                        if let Ok(bill) = Bill::open(&file[..], &format, &day()) {
                            let _ = bill.count();
                        }
                    }
                }
            }
        }
    }
}
