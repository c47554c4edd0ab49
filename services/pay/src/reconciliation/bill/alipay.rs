//! Bills of Alipay.
//!
//! Comments begin with `#`: the account and the day in front, the sums behind. Between `…列表` and `…列表结束` stands the
//! list with its header. Two kinds are read: 业务明细, one line for each trade and refund, and 账务明细, every movement of
//! the account, where fees and transfers stand beside them. Fields end with a tab. Amounts are yuan.

use std::io::Read;

use super::{
    BillError, BillLine, Entry, Kind,
    line::{major, numbers},
    text::{Lines, column, required},
};
use crate::{domain::Currency, reconciliation::Day};

/// The header is soon there, or the file is something else.
const LINES_BEFORE_HEADER_MAX: u64 = 100;

pub(super) struct Alipay<R: Read> {
    lines: Lines<R>,
    columns: Columns,
    width: usize,
    day: Day,
    currency: Currency,
    /// The list has said where it begins, so it will say where it ends.
    is_marked: bool,
    is_over: bool,
}

struct Columns {
    order_id: usize,
    channel_order_id: usize,
    kind: usize,
    amount: Amount,
    at: usize,
    /// A text that is the merchant's own, and may have commas in it.
    subject: Option<usize>,
}

enum Amount {
    Trade(usize),
    Account { income: usize, expense: usize },
}

impl<R: Read> Alipay<R> {
    pub(super) fn open(reader: R, day: Day) -> Result<Self, BillError> {
        let (mut lines, mut is_marked) = (Lines::new(reader), false);
        while let Some((number, line)) = lines.next()? {
            if number > LINES_BEFORE_HEADER_MAX {
                break;
            }
            if line.starts_with('#') {
                is_marked |= line.contains("明细列表");
            } else if line.contains("商户订单号") {
                let header: Vec<&str> = line.split(',').collect();
                let (columns, width) = (Columns::of(&header)?, header.len());
                let currency = crate::channels::cny();
                return Ok(Self { lines, columns, width, day, currency, is_marked, is_over: false });
            }
        }
        Err(BillError::NoHeader)
    }

    pub(super) fn next(&mut self) -> Result<Option<Entry>, BillError> {
        while !self.is_over {
            let Some((number, line)) = self.lines.next()? else {
                self.is_over = true;
                if self.is_marked {
                    return Err(BillError::Incomplete("the end of the list is missing".to_owned()));
                }
                break;
            };
            if line.starts_with('#') {
                if line.contains("明细列表结束") {
                    self.is_over = true;
                }
            } else if !line.is_empty() {
                let read = self.columns.read(&line, self.width, self.currency, &self.day);
                return Ok(Some(match read {
                    Ok(Some(read)) => Entry::Line(BillLine { line: number, ..read }),
                    Ok(None) => Entry::Other,
                    Err(reason) => Entry::Unreadable { line: number, reason },
                }));
            }
        }
        Ok(None)
    }
}

impl Columns {
    fn of(header: &[&str]) -> Result<Self, BillError> {
        let is_account = column(header, "收入金额").is_some();
        let (channel_order_id, amount, at) = if is_account {
            let amount = Amount::Account {
                income: required(header, "收入金额")?,
                expense: required(header, "支出金额")?,
            };
            (required(header, "业务流水号")?, amount, required(header, "发生时间")?)
        } else {
            let at = column(header, "完成时间").map_or_else(|| required(header, "创建时间"), Ok)?;
            (required(header, "支付宝交易号")?, Amount::Trade(required(header, "订单金额")?), at)
        };
        Ok(Self {
            order_id: required(header, "商户订单号")?,
            channel_order_id,
            kind: required(header, "业务类型")?,
            amount,
            at,
            subject: column(header, "商品名称"),
        })
    }

    /// `None`: a movement that is no payment.
    fn read(&self, line: &str, width: usize, currency: Currency, day: &Day) -> Result<Option<BillLine>, &'static str> {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        // Commas in the subject move whatever stands behind it.
        let more = match fields.len().checked_sub(width) {
            None => return Err("has fewer fields than the header"),
            Some(more) if more > 0 && self.subject.is_none() => return Err("has more fields than the header"),
            Some(more) => more,
        };
        let field = |at: usize| {
            let moved = if self.subject.is_some_and(|subject| at > subject) { more } else { 0 };
            fields.get(at + moved).copied().unwrap_or_default().trim_matches('"').trim()
        };
        let (kind, money) = match (self.amount_of(&field, currency)?, field(self.kind)) {
            (_, kind) if kind.contains("退款") => (Kind::Refund, self.amount_of(&field, currency)?.0),
            ((money, true), "交易" | "在线支付" | "交易付款") => (Kind::Payment, money),
            _ => return Ok(None),
        };
        let (order_id, channel_order_id) = numbers(Some(field(self.order_id)), Some(field(self.channel_order_id)))?;
        let at = day.moment(field(self.at));
        Ok(Some(BillLine { line: 0, kind, order_id, channel_order_id, money: Some(money), at }))
    }

    /// And whether it came in.
    fn amount_of<'a>(
        &self,
        field: &impl Fn(usize) -> &'a str,
        currency: Currency,
    ) -> Result<(crate::channels::Money, bool), &'static str> {
        match self.amount {
            Amount::Trade(at) => major(field(at), currency).map(|(money, is_negative)| (money, !is_negative)),
            Amount::Account { income, expense } => {
                // One of the two is empty, a space or zero.
                let of = |raw: &'a str| if raw.is_empty() { Ok(None) } else { major(raw, currency).map(Some) };
                match (of(field(income))?, of(field(expense))?) {
                    (Some((money, _)), None) => Ok((money, true)),
                    (Some((money, _)), Some((none, _))) if none.amount == 0 => Ok((money, true)),
                    (None, Some((money, _))) => Ok((money, false)),
                    (Some((none, _)), Some((money, _))) if none.amount == 0 => Ok((money, false)),
                    _ => Err("has an amount that can't be read"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::GBK;

    use super::*;
    use crate::reconciliation::bill::{Bill, BillFormat};

    /// As Alipay's open platform documents it, with numbers of our own.
    const TRADES: &str = "#支付宝业务明细查询\r\n\
        #账号：[20880000000000010156]\r\n\
        #起始日期：[2026年11月29日 00:00:00]   终止日期：[2026年11月30日 00:00:00]\r\n\
        #-----------------------------------------业务明细列表----------------------------------------\r\n\
        支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注\r\n\
        2026112922001400000000000001\t,01JXT21Q00C5Z0E8T3Y6A9B2DK\t,交易,60 Gems,2026-11-29 10:00:00,2026-11-29 10:00:05,,,,,*晓明(138****0000),6.00,6.00,0.00,0.00,0.00,0.00,0.00,,0.00,0.00,,-0.04,0.00,\r\n\
        2026112922001400000000000001\t,01JXT21Q00C5Z0E8T3Y6A9B2DK\t,退款,60 Gems, and more,2026-11-29 10:00:00,2026-11-29 11:00:00,,,,,*晓明(138****0000),-6.00,-6.00,0.00,0.00,0.00,0.00,0.00,,0.00,0.00,R1,0.04,0.00,\r\n\
        #-----------------------------------------业务明细列表结束------------------------------------\r\n\
        #交易合计：1笔，商家实收共6.00元\r\n";

    const ACCOUNT: &str = "#支付宝账务明细查询\n\
        #-----------------------------------------账务明细列表----------------------------------------\n\
        账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,交易渠道,业务类型,备注\n\
        1\t,T1\t,O1\t,60 Gems,2026-11-29 10:00:05,a@b.c,6.00,0.00,6.00,支付宝,在线支付,\n\
        2\t,T1\t,O1\t,60 Gems,2026-11-29 10:00:05,,,-0.04,5.96,支付宝,收费,服务费\n\
        3\t,T1\t,O1\t,60 Gems,2026-11-29 11:00:05,a@b.c, ,-2.00,3.96,支付宝,交易退款,\n\
        4\t,T9\t,\t,,2026-11-29 12:00:05,, ,-3.00,0.96,支付宝,提现,\n\
        #-----------------------------------------账务明细列表结束------------------------------------\n";

    fn read(bill: &[u8]) -> Result<Vec<Entry>, BillError> {
        let day = Day::parse("2026-11-29", "+08:00").expect("a day");
        Bill::open(bill, &BillFormat::Alipay, &day)?.collect()
    }

    fn lines(entries: &[Entry]) -> Vec<(u64, Kind, &str, &str, i64)> {
        let line = |entry: &Entry| match entry {
            Entry::Line(line) => Some(line.clone()),
            Entry::Other | Entry::Unreadable { .. } => None,
        };
        let of = |entry| {
            let BillLine { line, kind, order_id, channel_order_id, money, .. } = line(entry)?;
            let leak = |text: Option<String>| &*text.unwrap_or_default().leak();
            Some((line, kind, leak(order_id), leak(channel_order_id), money?.amount))
        };
        entries.iter().filter_map(of).collect()
    }

    #[test]
    fn trades_and_refunds_are_read_in_either_encoding() {
        let gbk = GBK.encode(TRADES).0;
        for bill in [TRADES.as_bytes(), &gbk] {
            let entries = read(bill).expect("a bill");
            let (trade, order) = ("2026112922001400000000000001", "01JXT21Q00C5Z0E8T3Y6A9B2DK");
            let expected = [(6, Kind::Payment, order, trade, 600), (7, Kind::Refund, order, trade, 600)];
            assert_eq!(lines(&entries), expected);
            let Entry::Line(first) = &entries[0] else { panic!("a line") };
            let day = Day::parse("2026-11-29", "+08:00").expect("a day");
            assert_eq!(first.at, day.moment("2026-11-29 10:00:05"));
        }
    }

    #[test]
    fn movements_of_the_account_that_are_no_payments_are_passed_over() {
        let entries = read(ACCOUNT.as_bytes()).expect("a bill");
        assert_eq!(lines(&entries), [(4, Kind::Payment, "O1", "T1", 600), (6, Kind::Refund, "O1", "T1", 200)]);
        assert_eq!(entries.iter().filter(|entry| **entry == Entry::Other).count(), 2);
    }

    #[test]
    fn a_bill_that_ends_in_its_list_is_not_complete() {
        let cut = TRADES.split_once("#-----------------------------------------业务明细列表结束").expect("there").0;
        assert!(matches!(read(cut.as_bytes()), Err(BillError::Incomplete(_))));
        assert!(matches!(read(b""), Err(BillError::NoHeader)));
        assert!(matches!(read("商户订单号,x\n".as_bytes()), Err(BillError::NoColumn(_))));
    }

    #[test]
    fn a_line_that_can_not_be_read_is_named_and_keeps_no_other() {
        let broken = TRADES.replacen("6.00,6.00", "six,6.00", 1);
        let entries = read(broken.as_bytes()).expect("a bill");
        assert_eq!(entries[0], Entry::Unreadable { line: 6, reason: "has an amount that can't be read" });
        assert_eq!(lines(&entries).len(), 1);
    }
}
