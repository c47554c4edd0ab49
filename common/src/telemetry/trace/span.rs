//! A span that is open: how code records one.
//!
//! - An edge calls [`enter`] for the request's identity and [`request`] for its span.
//! - A hop with children asks [`sampled`] first, then opens a [`child`] and runs what is inside in its context.
//! - Everything else (a statement, a read, a wait) is a [`leaf`].

use std::fmt;

use tokio::time::Instant;

use super::{
    description::Description,
    recorder::{End, Finished, Recorder},
};
use crate::context::{RequestContext, TraceId};

/// Who a request is, as an edge sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Its context, still without a deadline. The span in it is the request's own, for its children.
    pub(crate) context: RequestContext,
    /// The caller's span; zero when there is none.
    pub(crate) callers_span: u64,
}

/// A span that is open. Dropped before its end it was cancelled, or panicked.
///
/// What it says is asked for only if it is recorded: in a request that is traced, or when it turns out to be slow or a
/// fault.
#[must_use = "a span lasts from here to its end"]
pub struct Span<F: FnOnce() -> Description> {
    state: Option<(Open, F)>,
}

/// What is known of a span from its beginning.
struct Open {
    recorder: &'static Recorder,
    trace_id: TraceId,
    id: u64,
    parent: u64,
    parent_is_remote: bool,
    sampled: bool,
    started: Instant,
}

/// Gives a request its identity: its caller's, if the caller sent one that may be believed, or a `fresh` one. Decides
/// whether it is traced.
pub(crate) fn enter(callers: Option<(TraceId, u64, bool)>, fresh: impl FnOnce() -> TraceId) -> Entry {
    let recorder = Recorder::installed();
    let (trace_id, span, sampled, callers_span) = match (callers, recorder) {
        (Some((trace_id, caller, sampled)), Some(recorder)) => (trace_id, recorder.next_id(), sampled, caller),
        // Without a span of our own, what is below hangs on the caller's.
        (Some((trace_id, caller, sampled)), None) => (trace_id, caller, sampled, 0),
        (None, _) => {
            let trace_id = fresh();
            (trace_id, trace_id.first_span(), recorder.is_some_and(|recorder| recorder.chooses(trace_id)), 0)
        }
    };
    Entry { context: RequestContext::of_trace(trace_id, span, sampled), callers_span }
}

/// The span of a request that came in from outside: recorded if it was chosen, if it is slow, or if it is a fault.
pub(crate) fn request<F: FnOnce() -> Description>(entry: &Entry, started: Instant, describe: F) -> Span<F> {
    let RequestContext { trace_id, parent_span: id, sampled, .. } = entry.context;
    let open = |recorder| Open {
        recorder,
        trace_id,
        id,
        parent: entry.callers_span,
        parent_is_remote: true,
        sampled,
        started,
    };
    Span { state: Recorder::installed().map(|recorder| (open(recorder), describe)) }
}

/// The context of the request that is worked on, if it is traced here.
pub(crate) fn sampled() -> Option<RequestContext> {
    RequestContext::current().filter(|context| context.sampled && Recorder::installed().is_some())
}

/// The span of a hop in a traced request, and the context for what is inside it.
pub(crate) fn child<F: FnOnce() -> Description>(context: RequestContext, describe: F) -> (RequestContext, Span<F>) {
    let span = Span::open(context, describe);
    let id = span.state.as_ref().map_or(context.parent_span, |(open, _)| open.id);
    (RequestContext { parent_span: id, ..context }, span)
}

/// The span of something that asks nobody further: a statement, a read, a wait. Recorded if the request is traced, if
/// it is slow, or if it is a fault. Outside of requests nothing is recorded.
pub fn leaf<F: FnOnce() -> Description>(describe: F) -> Span<F> {
    match RequestContext::current() {
        Some(context) => Span::open(context, describe),
        None => Span { state: None },
    }
}

impl<F: FnOnce() -> Description> Span<F> {
    /// Ends it. A refusal is no fault: a fault is ours, or of something we depend on.
    pub fn end(self, fault: bool) {
        self.end_with(Instant::now(), fault, |description| description);
    }

    /// Ends it with what is known only now.
    pub(crate) fn end_with(mut self, at: Instant, fault: bool, add: impl FnOnce(Description) -> Description) {
        if let Some((open, describe)) = self.state.take() {
            open.close(at, if fault { End::Fault } else { End::Well }, || add(describe()));
        }
    }

    fn open(context: RequestContext, describe: F) -> Self {
        let open = |recorder: &'static Recorder| Open {
            recorder,
            trace_id: context.trace_id,
            id: recorder.next_id(),
            parent: context.parent_span,
            parent_is_remote: false,
            sampled: context.sampled,
            started: Instant::now(),
        };
        Self { state: Recorder::installed().map(|recorder| (open(recorder), describe)) }
    }
}

impl Open {
    fn close(self, ended: Instant, end: End, describe: impl FnOnce() -> Description) {
        let Self { recorder, trace_id, id, parent, parent_is_remote, sampled, started } = self;
        if !sampled && !recorder.keeps_late(end, ended.duration_since(started)) {
            return;
        }
        recorder.record(!sampled, || {
            let description = describe();
            Finished { trace_id, id, parent, parent_is_remote, started, ended, end, description }
        });
    }
}

impl<F: FnOnce() -> Description> Drop for Span<F> {
    fn drop(&mut self) {
        if let Some((open, describe)) = self.state.take() {
            let end = if std::thread::panicking() { End::Panicked } else { End::Cancelled };
            open.close(Instant::now(), end, describe);
        }
    }
}

impl<F: FnOnce() -> Description> fmt::Debug for Span<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.state.as_ref().map(|(open, _)| open.id);
        f.debug_struct("Span").field("id", &id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        clock::testing::SeededRandom,
        telemetry::trace::testing::{self, spans_of},
    };

    fn context(seed: u64, sampled: bool) -> RequestContext {
        testing::install();
        RequestContext { sampled, ..RequestContext::root(&SeededRandom::new(seed)) }
    }

    fn unasked() -> Description {
        panic!("a span that is not recorded describes nothing")
    }

    #[tokio::test(start_paused = true)]
    async fn the_spans_of_a_traced_request_form_a_tree_with_their_times() {
        let request = context(101, true);
        let outermost = Instant::now();
        request
            .scope(async {
                let (inside, hop) = child(sampled().expect("traced"), || Description::client("hop"));
                tokio::time::advance(Duration::from_millis(2)).await;
                inside.scope(async { leaf(|| Description::internal("wait").with("count", 3)).end(false) }).await;
                hop.end(true);
            })
            .await;
        let spans = spans_of(request.trace_id);
        let [wait, hop] = &spans[..] else { panic!("two spans: {spans:?}") };
        assert_eq!((hop.parent, wait.parent), (request.parent_span, hop.id));
        assert_eq!((hop.end, wait.end), (End::Fault, End::Well));
        assert_eq!((hop.started - outermost, hop.ended - outermost), (Duration::ZERO, Duration::from_millis(2)));
        assert_eq!(wait.started - outermost, Duration::from_millis(2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_chosen_is_recorded_only_if_it_is_slow_or_a_fault() {
        let request = context(102, false);
        request
            .scope(async {
                assert!(sampled().is_none());
                leaf(unasked).end(false);
                drop(leaf(unasked));
                leaf(|| Description::internal("fault")).end(true);
                let slow = leaf(|| Description::internal("slow"));
                let fast = leaf(unasked);
                tokio::time::advance(Duration::from_millis(499)).await;
                fast.end(false);
                tokio::time::advance(Duration::from_millis(1)).await;
                slow.end(false);
            })
            .await;
        let names: Vec<_> = spans_of(request.trace_id).iter().map(|span| span.description.name.clone()).collect();
        assert_eq!(names, ["fault", "slow"]);
    }

    #[tokio::test]
    async fn a_span_that_is_given_up_says_so() {
        let request = context(103, true);
        request.scope(async { drop(leaf(|| Description::internal("given up"))) }).await;
        assert_eq!(spans_of(request.trace_id)[0].end, End::Cancelled);
    }

    #[test]
    fn nothing_is_recorded_outside_of_a_request() {
        testing::install();
        leaf(unasked).end(true);
    }

    #[test]
    fn an_edge_takes_the_callers_trace_over_with_a_span_of_its_own() {
        let request = context(104, true);
        let entry = enter(Some((request.trace_id, 77, true)), || unreachable!("the caller sent one"));
        assert_eq!((entry.callers_span, entry.context.trace_id, entry.context.sampled), (77, request.trace_id, true));
        assert_ne!(entry.context.parent_span, 77);
        let fresh = enter(None, || request.trace_id);
        assert_eq!((fresh.callers_span, fresh.context.sampled), (0, false), "the test's recorder chooses nothing");
        assert_ne!(fresh.context.parent_span, 0);
    }
}
