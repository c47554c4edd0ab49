//! The access log: one line per HTTP answer, on standard output.
//!
//! Never the query string, a header or a body: they hold what must not be in a log.

use std::fmt;

use crate::{
    http::{AccessLog, AccessRecord},
    telemetry::{
        LogFormat,
        lines::Lines,
        text::{
            address, at_most, decimal, duration_ms, json_escaped, milliseconds, moment, plain, raw, rfc3339,
            trace_digits,
        },
    },
};

/// How much of a method is shown. The client chooses it.
const METHOD_MAX_BYTES: usize = 32;

/// How much of a path is shown. The client chooses it, and long ones would push other lines out of the buffer.
const PATH_MAX_BYTES: usize = 512;

/// Where answers are recorded. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AccessLogWriter {
    /// `None` when the access log is off.
    lines: Option<Lines>,
    format: LogFormat,
}

impl AccessLogWriter {
    pub(super) fn new(lines: Option<Lines>, format: LogFormat) -> Self {
        Self { lines, format }
    }
}

impl AccessLog for AccessLogWriter {
    /// Puts one line into the buffer. Never waits and never fails: a line that finds no room is dropped and counted.
    fn record(&self, record: &AccessRecord<'_>) {
        let Some(lines) = &self.lines else { return };
        lines.write(|out| match self.format {
            LogFormat::Json => record.write_json(out),
            LogFormat::Pretty => record.write_pretty(out),
        });
    }
}

/// How a record becomes a line. JSON without the formatter, because it is written for every answer.
trait WriteLine {
    fn write_json(&self, out: &mut Vec<u8>);
    fn write_pretty(&self, out: &mut Vec<u8>);
}

impl WriteLine for AccessRecord<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"log":"access","timestamp":""#);
        moment(out, self.at);
        out.extend_from_slice(br#"","method":"#);
        json_at_most(out, METHOD_MAX_BYTES, self.method);
        out.extend_from_slice(br#","route":"#);
        json_at_most(out, PATH_MAX_BYTES, self.route);
        out.extend_from_slice(br#","path":"#);
        json_at_most(out, PATH_MAX_BYTES, self.path);
        out.extend_from_slice(br#","status":"#);
        decimal(out, self.status);
        out.extend_from_slice(br#","code":"#);
        decimal(out, self.code);
        out.extend_from_slice(br#","duration_ms":"#);
        duration_ms(out, self.duration);
        out.extend_from_slice(br#","bytes_out":"#);
        decimal(out, self.bytes_out);
        match self.client {
            Some(client) => {
                out.extend_from_slice(br#","client":""#);
                address(out, client);
                out.push(b'"');
            }
            None => out.extend_from_slice(br#","client":null"#),
        }
        out.extend_from_slice(br#","trace_id":""#);
        trace_digits(out, self.trace_id);
        out.extend_from_slice(br#""}"#);
    }

    fn write_pretty(&self, out: &mut Vec<u8>) {
        let Self { status, code, bytes_out, trace_id, .. } = self;
        let (method, cut_method) = at_most(METHOD_MAX_BYTES, self.method);
        let (path, cut_path) = at_most(PATH_MAX_BYTES, self.path);
        raw(out, format_args!("{} {status} {code} ", rfc3339(self.at)));
        plain(out, format_args!("{method}{cut_method} {path}{cut_path}"));
        let client = fmt::from_fn(|f| match self.client {
            Some(client) => write!(f, "{client}"),
            None => f.write_str("-"),
        });
        let duration = milliseconds(self.duration);
        raw(out, format_args!(" {duration}ms {bytes_out}B client={client} trace_id={trace_id}"));
    }
}

fn json_at_most(out: &mut Vec<u8>, limit: usize, text: &str) {
    let (text, cut) = at_most(limit, text);
    out.push(b'"');
    json_escaped(out, text);
    out.extend_from_slice(cut.as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use std::{
        net::{IpAddr, Ipv4Addr},
        time::Duration,
    };

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::telemetry::lines::testing::{Kept, lines};
    use crate::{clock::Timestamp, context::TraceId};

    fn verify() -> AccessRecord<'static> {
        AccessRecord {
            at: Timestamp::from_millis(1_750_000_000_123),
            method: "POST",
            route: "/v1/server/tokens/verify",
            path: "/v1/server/tokens/verify",
            status: 200,
            code: 2_000_000,
            duration: Duration::from_micros(1_234),
            bytes_out: 130,
            client: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))),
            trace_id: TraceId::from_u128(0xabc).unwrap(),
        }
    }

    fn recorded(format: LogFormat, records: &[AccessRecord<'_>]) -> String {
        let kept = Kept::default();
        let (guard, _) = lines(64 * 1024, kept.clone());
        let log = AccessLogWriter::new(Some(guard.lines().clone()), format);
        for record in records {
            log.record(record);
        }
        drop(guard);
        kept.text()
    }

    #[test]
    fn a_json_line_says_who_asked_for_what_and_how_it_went() {
        assert_eq!(
            serde_json::from_str::<Value>(&recorded(LogFormat::Json, &[verify()])).unwrap(),
            json!({
                "log": "access",
                "timestamp": "2025-06-15T15:06:40.123Z",
                "method": "POST",
                "route": "/v1/server/tokens/verify",
                "path": "/v1/server/tokens/verify",
                "status": 200,
                "code": 2_000_000,
                "duration_ms": 1.234,
                "bytes_out": 130,
                "client": "192.0.2.7",
                "trace_id": "00000000000000000000000000000abc",
            })
        );
    }

    #[test]
    fn a_pretty_line_fits_the_eye() {
        assert_eq!(
            recorded(LogFormat::Pretty, &[verify(), AccessRecord { client: None, method: "GE\nT", ..verify() }]),
            "2025-06-15T15:06:40.123Z 200 2000000 POST /v1/server/tokens/verify 1.234ms 130B client=192.0.2.7 \
             trace_id=00000000000000000000000000000abc\n\
             2025-06-15T15:06:40.123Z 200 2000000 GE\\nT /v1/server/tokens/verify 1.234ms 130B client=- \
             trace_id=00000000000000000000000000000abc\n"
        );
    }

    #[test]
    fn a_path_without_end_takes_a_bounded_part_of_the_log() {
        let path = "/é".repeat(10_000);
        for format in [LogFormat::Json, LogFormat::Pretty] {
            let line = recorded(format, &[AccessRecord { path: &path, method: &path, ..verify() }]);
            assert!(line.len() < 1_000, "{}", line.len());
            assert!(line.contains('…'));
        }
    }

    proptest! {
        #[test]
        fn every_record_is_one_json_object_on_one_line(
            method in any::<String>(), path in any::<String>(), status: u16, code: i32, millis: i64,
            duration: Duration, bytes_out: u64, client: Option<IpAddr>,
        ) {
            let record =
                AccessRecord { at: Timestamp::from_millis(millis), method: &method, path: &path, status, code, duration, bytes_out, client, ..verify() };
            let text = recorded(LogFormat::Json, &[record, verify()]);
            prop_assert_eq!(text.lines().count(), 2);
            let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
            let (shown_path, cut) = at_most(PATH_MAX_BYTES, &path);
            prop_assert_eq!(&line["path"], &json!(format!("{shown_path}{cut}")));
            prop_assert_eq!(&line["status"], &json!(status));
            prop_assert_eq!(&line["code"], &json!(code));
            prop_assert_eq!(&line["bytes_out"], &json!(bytes_out));
            prop_assert_eq!(&line["client"], &json!(client));
            prop_assert_eq!(recorded(LogFormat::Pretty, &[record]).lines().count(), 1);
        }
    }
}
