//! Bills of WeChat Pay (tradebill, all transactions or one kind of them).
//!
//! UTF-8. A header, a line for each payment and refund in which every field begins with a backtick, and a summary of two
//! lines: the first is the header of the sums, the second begins with how many lines there were. Amounts are yuan.

use std::io::Read;

use super::{
    BillError, BillLine, Entry, Kind,
    line::{major, numbers},
    text::{Lines, column, required},
};
use crate::{domain::Currency, reconciliation::Day};

/// What fields are told apart by: names of products may have commas in them.
const BETWEEN: &str = ",`";

pub(super) struct WechatPay<R: Read> {
    lines: Lines<R>,
    columns: Columns,
    width: usize,
    day: Day,
    read: u64,
    is_over: bool,
}

struct Columns {
    at: usize,
    channel_order_id: usize,
    order_id: usize,
    state: usize,
    currency: Option<usize>,
    paid: usize,
    refunded: Option<usize>,
    refund_state: Option<usize>,
}

impl<R: Read> WechatPay<R> {
    pub(super) fn open(reader: R, day: Day) -> Result<Self, BillError> {
        let mut lines = Lines::new(reader);
        let (_, header) = lines.next()?.ok_or(BillError::NoHeader)?;
        let header: Vec<&str> = header.split(',').collect();
        let (columns, width) = (Columns::of(&header)?, header.len());
        Ok(Self { lines, columns, width, day, read: 0, is_over: false })
    }

    pub(super) fn next(&mut self) -> Result<Option<Entry>, BillError> {
        while !self.is_over {
            let Some((number, line)) = self.lines.next()? else {
                return Err(BillError::Incomplete("the sums at the end are missing".to_owned()));
            };
            if line.is_empty() {
                continue;
            }
            let Some(fields) = line.strip_prefix('`') else {
                // The header of the sums.
                self.is_over = true;
                self.check_sums()?;
                break;
            };
            self.read += 1;
            let fields: Vec<&str> = fields.split(BETWEEN).map(str::trim).collect();
            return Ok(Some(match self.columns.read(&fields, self.width, &self.day) {
                Ok(Some(read)) => Entry::Line(BillLine { line: number, ..read }),
                Ok(None) => Entry::Other,
                Err(reason) => Entry::Unreadable { line: number, reason },
            }));
        }
        Ok(None)
    }

    /// As many lines were read as the bill says that it has.
    fn check_sums(&mut self) -> Result<(), BillError> {
        let missing = || BillError::Incomplete("the sums at the end are missing".to_owned());
        let (_, sums) = self.lines.next()?.ok_or_else(missing)?;
        let count = sums.strip_prefix('`').and_then(|sums| sums.split(BETWEEN).next());
        let count: Option<u64> = count.and_then(|count| count.parse().ok());
        match count {
            Some(count) if count == self.read => Ok(()),
            Some(count) => {
                Err(BillError::Incomplete(format!("it has {} lines of the {count} that it says it has", self.read)))
            }
            None => Err(missing()),
        }
    }
}

impl Columns {
    fn of(header: &[&str]) -> Result<Self, BillError> {
        let first_of = |names: &[&str]| names.iter().find_map(|name| column(header, name));
        Ok(Self {
            at: required(header, "交易时间")?,
            channel_order_id: required(header, "微信订单号")?,
            order_id: required(header, "商户订单号")?,
            state: required(header, "交易状态")?,
            currency: column(header, "货币种类"),
            // What the order was for, not what was settled after WeChat's own discounts.
            paid: match first_of(&["订单金额", "总金额", "应结订单金额"]) {
                Some(paid) => paid,
                None => required(header, "订单金额")?,
            },
            refunded: first_of(&["申请退款金额", "退款金额"]),
            refund_state: column(header, "退款状态"),
        })
    }

    fn read(&self, fields: &[&str], width: usize, day: &Day) -> Result<Option<BillLine>, &'static str> {
        if fields.len() != width {
            return Err("has not as many fields as the header");
        }
        let field = |at: usize| fields.get(at).copied().unwrap_or_default();
        let currency = self.currency.map_or("CNY", &field);
        let currency = Currency::parse(currency).map_err(|_| "has a currency that can't be read")?;
        let (kind, amount) = match field(self.state) {
            "SUCCESS" => (Kind::Payment, self.paid),
            // One that did not come about says so.
            "REFUND" | "REVOKED" if self.refund_state.is_none_or(|at| !matches!(field(at), "FAIL" | "CHANGE")) => {
                (Kind::Refund, self.refunded.ok_or("is a refund without an amount")?)
            }
            _ => return Ok(None),
        };
        let (money, _) = major(field(amount), currency)?;
        let (order_id, channel_order_id) = numbers(Some(field(self.order_id)), Some(field(self.channel_order_id)))?;
        let at = day.moment(field(self.at));
        Ok(Some(BillLine { line: 0, kind, order_id, channel_order_id, money: Some(money), at }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconciliation::bill::{Bill, BillFormat};

    /// As WeChat Pay documents it, with numbers of our own.
    const BILL: &str = "\u{feff}交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注\r\n\
        `2026-11-29 16:33:45,`wx01,`1900000001,`0,`,`4200000000202611290000000001,`01JXT21Q00C5Z0E8T3Y6A9B2DK,`oUser,`APP,`SUCCESS,`OTHERS,`CNY,`5.00,`1.00,`0,`0,`0.00,`0.00,`,`,`60 Gems, really,`,`0.04000,`0.60%,`6.00,`0.00,`\r\n\
        `2026-11-29 17:33:45,`wx01,`1900000001,`0,`,`4200000000202611290000000001,`01JXT21Q00C5Z0E8T3Y6A9B2DK,`oUser,`APP,`REFUND,`OTHERS,`CNY,`0.00,`0.00,`503,`R1,`1.50,`0.00,`ORIGINAL,`SUCCESS,`60 Gems,`,`-0.01000,`0.60%,`0.00,`2.00,`\r\n\
        `2026-11-29 18:33:45,`wx01,`1900000001,`0,`,`4200000000202611290000000002,`O2,`oUser,`APP,`REFUND,`OTHERS,`CNY,`0.00,`0.00,`504,`R2,`6.00,`0.00,`ORIGINAL,`FAIL,`60 Gems,`,`0.00000,`0.60%,`0.00,`6.00,`\r\n\
        总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\r\n\
        `3,`5.00,`7.50,`0.00,`0.03000,`6.00,`8.00\r\n";

    fn read(bill: &str) -> Result<Vec<Entry>, BillError> {
        let day = Day::parse("2026-11-29", "+08:00").expect("a day");
        Bill::open(bill.as_bytes(), &BillFormat::WechatPay, &day)?.collect()
    }

    #[test]
    fn payments_and_refunds_are_read_at_what_the_order_was_for() {
        let entries = read(BILL).expect("a bill");
        let read: Vec<_> = entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::Line(line) => {
                    Some((line.line, line.kind, line.money?.amount, line.channel_order_id.as_deref()?))
                }
                Entry::Other | Entry::Unreadable { .. } => None,
            })
            .collect();
        let number = "4200000000202611290000000001";
        assert_eq!(read, [(2, Kind::Payment, 600, number), (3, Kind::Refund, 200, number)]);
        assert_eq!(entries[2], Entry::Other, "a refund that did not come about");
        let Entry::Line(first) = &entries[0] else { panic!("a line") };
        assert_eq!(first.order_id.as_deref(), Some("01JXT21Q00C5Z0E8T3Y6A9B2DK"));
        // `date -d 2026-11-29T16:33:45+08:00 +%s`.
        assert_eq!(first.at.map(|at| at.as_millis()), Some(1_795_941_225_000));
    }

    #[test]
    fn a_bill_without_its_sums_or_with_another_count_is_not_complete() {
        let (without, _) = BILL.split_once("总交易单数").expect("there");
        assert!(matches!(read(without), Err(BillError::Incomplete(_))));
        let (with_header, _) = BILL.split_once("`3,").expect("there");
        assert!(matches!(read(with_header), Err(BillError::Incomplete(_))));
        let other = read(&BILL.replace("`3,", "`4,")).expect_err("refused");
        assert_eq!(other.to_string(), "the bill is not complete: it has 3 lines of the 4 that it says it has");
        assert!(matches!(read(""), Err(BillError::NoHeader)));
        assert!(matches!(read("a,b\n"), Err(BillError::NoColumn(_))));
    }

    #[test]
    fn a_day_without_payments_is_a_bill_too() {
        let (header, rest) = BILL.split_once('\n').expect("lines");
        let sums = rest.split_once("总交易单数").expect("there").1.replace("`3,", "`0,");
        assert_eq!(read(&format!("{header}\n总交易单数{sums}")).expect("a bill"), []);
    }
}
