//! `playgate pay reconcile`: a channel's bill beside the orders.

use std::{fmt::Write, fs::File, path::PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use common::{lifecycle::ExitStatus, sql::Database};
use pay::reconciliation::{BillFormat, Class, Columns, Day, Difference, Question, ReconcileError, Report, reconcile};

use crate::{
    cli::{app::app_ids, complain, failure::Failure, globals::Globals, output::print},
    platform::open_database,
};

/// Differences that are shown one by one to people; `--json` has them all.
const SHOWN: usize = 100;

/// Which bill, and of what.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The channel, as the app calls it
    #[arg(long)]
    channel: String,
    /// The app
    #[arg(long, value_parser = app_ids())]
    app_id: i64,
    /// The day of the bill, such as 2026-11-29
    #[arg(long)]
    day: String,
    /// The time zone of the bill's days, such as +00:00
    #[arg(long, default_value = "+08:00", allow_hyphen_values = true)]
    zone: String,
    /// The bill, `-` for standard input
    #[arg(long, value_name = "FILE")]
    bill: PathBuf,
    /// Its form [default: that of the channel's name, otherwise csv]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// With `--format csv`: which column is what, as KEY=NAME with the keys order_id, channel_order_id, amount or
    /// amount_minor, currency or fixed_currency, kind and at
    #[arg(long, value_name = "KEY=NAME", value_delimiter = ',')]
    columns: Vec<String>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// The form of a bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Alipay's bill of trades (业务明细) or of the account (账务明细)
    Alipay,
    /// WeChat Pay's tradebill
    #[value(name = "wechat_pay")]
    WechatPay,
    /// Comma-separated values with a header
    Csv,
}

pub(super) async fn run(arguments: Arguments, globals: &Globals) -> Result<ExitStatus, Failure> {
    let question = match question(&arguments) {
        Ok(question) => question,
        Err(complaint) => {
            complain(&complaint);
            return Ok(ExitStatus::Usage);
        }
    };
    // By its name standard input is a file like any other.
    let path = if arguments.bill.as_os_str() == "-" { PathBuf::from("/dev/stdin") } else { arguments.bill };
    let bill = match File::open(&path) {
        Ok(bill) => bill,
        Err(error) => {
            complain(&format!("the bill {} can't be read: {error}", path.display()));
            return Ok(ExitStatus::Data);
        }
    };
    let configuration = globals.load().await?.value;
    let database = open_database(&configuration.sql, &configuration.data_dir).await?;
    let report = compared(&database, question, bill).await;
    database.close().await;
    let report = match report {
        Err(ReconcileError::Bill(error)) => {
            complain(&error.to_string());
            return Ok(ExitStatus::Data);
        }
        report => report.map_err(anyhow::Error::from)?,
    };
    let text = if arguments.json {
        serde_json::to_string(&report).context("the report can't be written")? + "\n"
    } else {
        describe(&report)
    };
    print(&text)?;
    Ok(if report.differs() { ExitStatus::Differs } else { ExitStatus::Clean })
}

async fn compared(database: &Database, question: Question, bill: File) -> Result<Report, ReconcileError> {
    reconcile(database, question, bill).await
}

fn question(arguments: &Arguments) -> Result<Question, String> {
    let Arguments { channel, app_id, day, zone, format, columns, .. } = arguments;
    let day = Day::parse(day, zone).map_err(|error| format!("--day: {error}"))?;
    let format = format.unwrap_or(match &**channel {
        "alipay" => Format::Alipay,
        "wechat_pay" => Format::WechatPay,
        _ => Format::Csv,
    });
    let format = match (format, &**columns) {
        (Format::Csv, []) => BillFormat::Csv(Columns::guess()),
        (Format::Csv, pairs) => {
            let columns = Columns::parse(pairs.iter().map(String::as_str));
            BillFormat::Csv(columns.map_err(|error| format!("--columns: {error}"))?)
        }
        (Format::Alipay, []) => BillFormat::Alipay,
        (Format::WechatPay, []) => BillFormat::WechatPay,
        (Format::Alipay | Format::WechatPay, _) => return Err("--columns: only of --format csv".to_owned()),
    };
    Ok(Question { channel: channel.clone(), app_id: *app_id, day, format })
}

/// The report for people.
fn describe(report: &Report) -> String {
    let mut text = String::new();
    let Report { channel, app_id, day, lines, .. } = report;
    let _ = writeln!(text, "{channel}, app {app_id}, {day}: {lines} lines in the bill");
    for (class, count) in report.bill.iter() {
        let _ = writeln!(text, "  {:<18}{count:>10}", class.as_str());
    }
    if report.books.sum() > 0 {
        let _ = writeln!(text, "in the books and not in the bill");
        for (class, count) in report.books.iter() {
            let what = if class == Class::StateDiffers { "refunded_here" } else { class.as_str() };
            let _ = writeln!(text, "  {what:<18}{count:>10}");
        }
    }
    for (currency, totals) in &report.totals {
        let _ = writeln!(
            text,
            "{currency} (minor units): paid {} there, {} here; refunded {} there, {} here",
            totals.paid_there, totals.paid_here, totals.refunded_there, totals.refunded_here
        );
    }
    for difference in report.differences.iter().take(SHOWN) {
        let _ = writeln!(text, "{}", line(difference));
    }
    let more = report.differences.len().saturating_sub(SHOWN) as u64 + report.differences_left_out;
    if more > 0 {
        let _ = writeln!(text, "and {more} more");
    }
    text
}

fn line(difference: &Difference) -> String {
    let Difference { class, reason, line, order_id, channel_order_id, state, .. } = difference;
    let mut text = format!("{} ({reason})", class.as_str());
    if let Some(line) = line {
        let _ = write!(text, " line {line}");
    }
    for (name, value) in [("order", order_id.as_deref()), ("payment", channel_order_id.as_deref()), ("state", *state)] {
        if let Some(value) = value {
            let _ = write!(text, " {name} {}", printable(value));
        }
    }
    let amounts = [
        ("there", difference.amount_there, &difference.currency_there),
        ("here", difference.amount_here, &difference.currency_here),
    ];
    for (side, amount, currency) in amounts {
        if let (Some(amount), Some(currency)) = (amount, currency) {
            let _ = write!(text, " {side} {amount} {currency}");
        }
    }
    text
}

/// What stands in a file may hold whatever a terminal obeys.
fn printable(value: &str) -> String {
    value.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_bill_holds_can_not_move_a_terminals_cursor() {
        assert_eq!(printable("4200\u{1b}[2J\n"), "4200?[2J?");
    }
}
