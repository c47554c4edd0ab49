//! What is counted about requests.
//!
//! Labels are bounded: route patterns and not paths, known methods and not what clients invent, codes of our table.
//! The collectors of each combination are looked up by label once and kept; a request finds them by one hash.

use std::{fmt, sync::Arc, time::Duration};

use http::Method;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use volo::FastStr;

/// Seconds. Verify answers in well under a millisecond, a login hashes for tens of them.
const BUCKETS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

const LABELS: &[&str] = &["route", "method", "code"];

/// The collectors of one listener's requests.
pub(super) struct RequestMetrics {
    requests: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGauge,
    abandoned: IntCounter,
    series: papaya::HashMap<SeriesKey, Arc<Series>>,
}

/// Counts one request as in flight until it is answered or its client has gone.
pub(super) struct InFlight<'a> {
    metrics: &'a RequestMetrics,
    answered: bool,
}

#[derive(PartialEq, Eq, Hash)]
struct SeriesKey {
    route: FastStr,
    method: &'static str,
    code: i32,
}

struct Series {
    requests: IntCounter,
    duration: Histogram,
}

impl RequestMetrics {
    /// Registers the collectors of `listener`.
    pub(super) fn register(registry: &Registry, listener: &'static str) -> Result<Self, prometheus::Error> {
        let opts = |name: &str, help: &str| Opts::new(name, help).const_label("listener", listener);
        let requests = IntCounterVec::new(opts("playgate_http_requests_total", "Requests that were answered"), LABELS)?;
        let durations = HistogramVec::new(
            HistogramOpts::new(
                "playgate_http_request_duration_seconds",
                "From the end of a request's head to the start of its answer",
            )
            .const_label("listener", listener)
            .buckets(BUCKETS.to_vec()),
            LABELS,
        )?;
        let in_flight =
            IntGauge::with_opts(opts("playgate_http_requests_in_flight", "Requests that are being handled"))?;
        let abandoned = IntCounter::with_opts(opts(
            "playgate_http_requests_abandoned_total",
            "Requests whose client left before the answer",
        ))?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        registry.register(Box::new(abandoned.clone()))?;
        Ok(Self { requests, durations, in_flight, abandoned, series: papaya::HashMap::new() })
    }

    /// A request has come in.
    pub(super) fn begin(&self) -> InFlight<'_> {
        self.in_flight.inc();
        InFlight { metrics: self, answered: false }
    }

    fn series(&self, key: SeriesKey) -> Arc<Series> {
        let known = self.series.pin();
        let new = |key: &SeriesKey| {
            let code = key.code.to_string();
            let labels = [key.route.as_str(), key.method, code.as_str()];
            Arc::new(Series {
                requests: self.requests.with_label_values(&labels),
                duration: self.durations.with_label_values(&labels),
            })
        };
        match known.get(&key) {
            Some(series) => Arc::clone(series),
            None => {
                let series = new(&key);
                Arc::clone(known.get_or_insert(key, series))
            }
        }
    }
}

impl InFlight<'_> {
    /// The request was answered.
    pub(super) fn answered(mut self, route: FastStr, method: &Method, code: i32, duration: Duration) {
        self.answered = true;
        let series = self.metrics.series(SeriesKey { route, method: known_method(method), code });
        series.requests.inc();
        series.duration.observe(duration.as_secs_f64());
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
        if !self.answered {
            self.metrics.abandoned.inc();
        }
    }
}

impl fmt::Debug for RequestMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestMetrics").finish_non_exhaustive()
    }
}

/// The method as a label; `other` for those that clients invent.
pub(super) fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_methods_share_one_label() {
        let metrics = RequestMetrics::register(&Registry::new(), "test").unwrap();
        for name in ["BREW", "STEEP", "POUR"] {
            let method = Method::from_bytes(name.as_bytes()).unwrap();
            metrics.begin().answered("unmatched".into(), &method, 4_040_001, Duration::from_millis(1));
        }
        assert_eq!(metrics.requests.with_label_values(&["unmatched", "other", "4040001"]).get(), 3);
        assert_eq!(metrics.in_flight.get(), 0);
    }

    #[test]
    fn a_request_whose_client_left_is_counted_as_abandoned_and_not_in_flight() {
        let metrics = RequestMetrics::register(&Registry::new(), "test").unwrap();
        let request = metrics.begin();
        assert_eq!((metrics.in_flight.get(), metrics.abandoned.get()), (1, 0));
        drop(request);
        assert_eq!((metrics.in_flight.get(), metrics.abandoned.get()), (0, 1));
    }
}
