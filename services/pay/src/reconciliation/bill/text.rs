//! Raw lines of a bill, each of a bounded length, in UTF-8 or GBK.

use std::{
    borrow::Cow,
    io::{BufRead, BufReader, Read},
};

use encoding_rs::GBK;

use super::BillError;

/// The longest line. Protects memory from a file that is no bill.
pub(super) const LINE_BYTES_MAX: usize = 64 * 1024;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Lines, one at a time.
pub(super) struct Lines<R: Read> {
    reader: BufReader<R>,
    line: Vec<u8>,
    number: u64,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader: BufReader::with_capacity(LINE_BYTES_MAX, reader), line: Vec::new(), number: 0 }
    }

    /// The next line with its number, without its end; `None` behind the last one.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Cow<'_, str>)>, BillError> {
        self.line.clear();
        let mut limited = (&mut self.reader).take(LINE_BYTES_MAX as u64 + 1);
        if limited.read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.line.len() > LINE_BYTES_MAX {
            return Err(BillError::LineTooLong(self.number));
        }
        let line = self.line.trim_ascii();
        let line = if self.number == 1 { line.strip_prefix(BOM).unwrap_or(line) } else { line };
        Ok(Some((self.number, decode(line))))
    }
}

/// UTF-8 if it can be, otherwise GBK: no word that bills are read by is both.
pub(super) fn decode(raw: &[u8]) -> Cow<'_, str> {
    str::from_utf8(raw).map_or_else(|_| GBK.decode_without_bom_handling(raw).0, Cow::Borrowed)
}

/// Where a column stands whose name begins like this: units behind it are written in several ways.
pub(super) fn column(header: &[&str], name: &str) -> Option<usize> {
    header.iter().position(|column| column.trim().starts_with(name))
}

/// The same of a column that has to be there.
pub(super) fn required(header: &[&str], name: &str) -> Result<usize, BillError> {
    column(header, name).ok_or_else(|| BillError::NoColumn(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_in_either_encoding_and_whatever_ends_them() {
        let gbk = GBK.encode("商户订单号,交易\r\n").0;
        let text = [BOM, "商户订单号\n".as_bytes(), &gbk, b"\n", b"last\t"].concat();
        let mut lines = Lines::new(&text[..]);
        let mut read = Vec::new();
        while let Some((number, line)) = lines.next().expect("read") {
            read.push((number, line.into_owned()));
        }
        let expected = [(1, "商户订单号"), (2, "商户订单号,交易"), (3, ""), (4, "last")];
        assert_eq!(read, expected.map(|(number, line)| (number, line.to_owned())));
    }

    #[test]
    fn a_line_without_end_is_refused_and_not_held() {
        let mut lines = Lines::new(std::io::repeat(b'1'));
        assert!(matches!(lines.next(), Err(BillError::LineTooLong(1))));
        let longest = [&vec![b'1'; LINE_BYTES_MAX - 1][..], b"\n2"].concat();
        let mut lines = Lines::new(&longest[..]);
        assert!(lines.next().expect("read").is_some_and(|(_, line)| line.len() == LINE_BYTES_MAX - 1));
        assert!(lines.next().expect("read").is_some_and(|(number, line)| (number, &*line) == (2, "2")));
    }

    #[test]
    fn words_that_bills_are_read_by_are_read_the_same_in_both_encodings() {
        for word in [
            "支付宝交易号",
            "商户订单号",
            "业务类型",
            "交易",
            "退款",
            "在线支付",
            "交易退款",
            "业务明细列表结束",
            "收入金额（+元）",
        ] {
            assert_eq!(decode(&GBK.encode(word).0), word);
            assert_eq!(decode(word.as_bytes()), word);
        }
    }
}
