//! Bills of channels, read line by line.
//!
//! In reading order: `line` is what every form is read into; `text` reads raw lines; `alipay`, `wechat_pay` and `columns` are
//! the forms.

mod alipay;
mod columns;
mod line;
mod text;
mod wechat_pay;

use std::io::Read;

pub use self::columns::{Columns, ColumnsError};
pub use self::line::Kind;
pub(super) use self::line::{BillLine, Entry};
use super::Day;

/// Lines of one bill. What is remembered of each payment until its end is bounded by it: some 150 MB.
const LINES_MAX: u64 = 5_000_000;

/// The form of a bill.
#[derive(Clone, Debug)]
pub enum BillFormat {
    /// Alipay: 业务明细 (trades) or 账务明细 (the account), CSV in GBK or UTF-8.
    Alipay,
    /// WeChat Pay: tradebill, all or one kind of transactions.
    WechatPay,
    /// Comma-separated values with a header.
    Csv(Columns),
}

/// Why a bill can't be used.
#[derive(Debug, thiserror::Error)]
pub enum BillError {
    /// The file can't be read.
    #[error("the bill can't be read: {0}")]
    Read(#[from] std::io::Error),
    /// There is no header with these columns.
    #[error("the bill has no column `{0}`: is it of another form?")]
    NoColumn(String),
    /// There is nothing that could be a header.
    #[error("the bill has no header: is it of another form?")]
    NoHeader,
    /// Longer than any line of a bill.
    #[error("line {0} is too long for a bill")]
    LineTooLong(u64),
    /// More lines than can be compared at once.
    #[error("the bill has more than {LINES_MAX} lines")]
    TooManyLines,
    /// Its end is missing.
    #[error("the bill is not complete: {0}")]
    Incomplete(String),
}

/// A bill, entry by entry. After an error there is nothing more.
pub(super) struct Bill<R: Read> {
    form: Form<R>,
    lines: u64,
}

enum Form<R: Read> {
    Alipay(alipay::Alipay<R>),
    WechatPay(wechat_pay::WechatPay<R>),
    Csv(Box<columns::Csv<R>>),
    Over,
}

impl<R: Read> Bill<R> {
    /// Reads as far as the header.
    pub(super) fn open(reader: R, format: &BillFormat, day: &Day) -> Result<Self, BillError> {
        let form = match format {
            BillFormat::Alipay => Form::Alipay(alipay::Alipay::open(reader, day.clone())?),
            BillFormat::WechatPay => Form::WechatPay(wechat_pay::WechatPay::open(reader, day.clone())?),
            BillFormat::Csv(columns) => Form::Csv(Box::new(columns::Csv::open(reader, columns, day.clone())?)),
        };
        Ok(Self { form, lines: 0 })
    }
}

impl<R: Read> Iterator for Bill<R> {
    type Item = Result<Entry, BillError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match &mut self.form {
            Form::Alipay(bill) => bill.next(),
            Form::WechatPay(bill) => bill.next(),
            Form::Csv(bill) => bill.next(),
            Form::Over => Ok(None),
        };
        self.lines += 1;
        match next {
            Ok(Some(_)) if self.lines > LINES_MAX => {
                self.form = Form::Over;
                Some(Err(BillError::TooManyLines))
            }
            Ok(Some(entry)) => Some(Ok(entry)),
            Ok(None) => None,
            Err(error) => {
                self.form = Form::Over;
                Some(Err(error))
            }
        }
    }
}
