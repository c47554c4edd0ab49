//! What holds for a call, whichever way it takes.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use govern::lane::LaneName;
use idl::account::{LogoutResponse, TokenStatus, TokenVerdict};
use metainfo::{Backward, Forward, METAINFO, MetaInfo};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::Instant,
};
use volo_thrift::{ApplicationException, ApplicationExceptionKind, ServerError};

use super::{
    harness::{Over, Platform, Script, on_both_transports, revoked, valid},
    scrape,
};
use crate::{
    clock::testing::SeededRandom,
    context::RequestContext,
    error_code::{ErrorCode, PublicError},
    rpc::{CallError, ClientConfig, error::refuse},
};

/// Short enough to wait for in a test that is about not waiting any longer.
const SHORT: Duration = Duration::from_millis(50);

fn context(deadline: Option<Duration>) -> RequestContext {
    let root = RequestContext::root(&SeededRandom::new(7));
    let (deadline, lane) = (deadline.map(|left| Instant::now() + left), LaneName::parse("canary").ok());
    RequestContext { parent_span: 42, deadline, lane, is_repeat: true, ..root }
}

/// Says so when it is dropped.
struct Dropped(mpsc::UnboundedSender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        // Nobody listens any more when the test is over.
        let _ = self.0.send(());
    }
}

on_both_transports! {
    async fn an_answer_arrives_as_it_was_given(over: Over) {
        let script = Script::new().on_read(|request| async move {
            Ok(TokenVerdict { status: TokenStatus::REVOKED, app_id: Some(request.app_id), ..TokenVerdict::default() })
        });
        let verdict = Platform::start(over, script).await.read("a token").await.expect("answered");
        assert_eq!((verdict.status, verdict.app_id), (TokenStatus::REVOKED, Some(1)));
    }

    async fn a_refusal_arrives_with_its_details_and_its_retry_hint(over: Over) {
        let refusal = PublicError::new(ErrorCode::TOO_MANY_FAILED_LOGINS)
            .message("später \"noch einmal\"")
            .detail("username", "locked")
            .detail("address", "locked too")
            .retry_after(Duration::from_millis(1500));
        let given = refusal.clone();
        let script = Script::new().on_write(move |_| {
            let given = refuse(&given);
            async move { Err(given) }
        });
        assert_eq!(Platform::start(over, script).await.write().await, Err(CallError::Answered(refusal)));
    }

    async fn a_panic_is_a_fault_of_ours_without_its_text_and_the_next_call_is_fine(over: Over) {
        let script = Script::new().on_read(|request| async move {
            assert_ne!(request.token, "bad", "secret text");
            valid().await
        });
        let platform = Platform::start(over, script).await;
        assert_eq!(platform.read("bad").await, Err(CallError::Answered(PublicError::internal())));
        assert!(platform.read("good").await.is_ok());
        let counted = r#"playgate_rpc_server_panics_total{method="VerifyToken",service="account"} 1"#;
        assert!(scrape(&platform.registry).contains(counted));
    }

    async fn a_write_that_panics_is_a_fault_of_ours_too(over: Over) {
        let platform = Platform::start(over, Script::new().on_write(|_| async { panic!("secret text") })).await;
        assert_eq!(platform.write().await, Err(CallError::Answered(PublicError::internal())));
    }

    async fn the_text_of_an_exception_does_not_leave(over: Over) {
        let script = Script::new().on_read(|_| async {
            let exception = ApplicationException::new(ApplicationExceptionKind::INTERNAL_ERROR, "10.0.0.7 said no");
            Err(ServerError::Application(exception))
        });
        let failed = Platform::start(over, script).await.read("any").await;
        assert_eq!(failed, Err(CallError::Answered(PublicError::internal())));
    }

    async fn a_call_has_no_more_time_than_its_caller(over: Over) {
        let (seen, mut remaining) = mpsc::unbounded_channel();
        let script = Script::new().on_read(move |_| {
            let remaining = RequestContext::current().and_then(|context| context.remaining());
            seen.send(remaining).expect("the test listens");
            valid()
        });
        let config = ClientConfig { timeout: Duration::from_secs(40), ..ClientConfig::default() };
        let platform = Platform::start_with(over, script, &config).await;

        platform.read("no caller").await.expect("answered");
        let own = remaining.recv().await.flatten().expect("a deadline");
        assert!(own <= Duration::from_secs(40) && own > Duration::from_secs(20), "{own:?}");

        let patient = context(Some(Duration::from_secs(20)));
        patient.scope(platform.read("a caller")).await.expect("answered");
        let callers = remaining.recv().await.flatten().expect("a deadline");
        assert!(callers <= Duration::from_secs(20), "{callers:?}");
    }

    async fn a_call_whose_callers_time_is_over_is_never_made(over: Over) {
        let made = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&made);
        let script = Script::new().on_read(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
            valid()
        });
        let platform = Platform::start(over, script).await;
        let late = context(Some(Duration::ZERO)).scope(platform.read("late")).await;
        assert_eq!(late, Err(CallError::DeadlineExceeded));
        assert_eq!(made.load(Ordering::SeqCst), 0);
    }

    async fn a_read_stops_when_its_time_is_over(over: Over) {
        let (dropped, mut stopped) = mpsc::unbounded_channel();
        let script = Script::new().on_read(move |_| {
            let running = Dropped(dropped.clone());
            async move {
                std::future::pending::<()>().await;
                drop(running);
                valid().await
            }
        });
        let config = ClientConfig { timeout: SHORT, connect_timeout: SHORT, ..ClientConfig::default() };
        let platform = Platform::start_with(over, script, &config).await;
        assert_eq!(platform.read("slow").await, Err(CallError::DeadlineExceeded));
        stopped.recv().await.expect("the handler was dropped");
    }

    async fn a_write_runs_on_when_its_caller_gives_up(over: Over) {
        let release = Arc::new(Notify::new());
        let (finished, mut done) = mpsc::unbounded_channel();
        let (released, finish) = (Arc::clone(&release), finished);
        let script = Script::new().on_write(move |_| {
            let (release, finished) = (Arc::clone(&released), finish.clone());
            async move {
                release.notified().await;
                finished.send(RequestContext::current().map(|context| context.parent_span)).expect("the test listens");
                revoked().await
            }
        });
        let platform = Platform::start(over, script).await;
        let given_up = context(Some(SHORT)).scope(platform.write()).await;
        assert_eq!(given_up, Err(CallError::DeadlineExceeded));
        release.notify_one();
        assert_eq!(done.recv().await, Some(Some(42)), "it finished, in the context of its request");
    }

    async fn a_write_runs_on_when_its_caller_is_gone(over: Over) {
        let (begun, mut beginnings) = mpsc::unbounded_channel();
        let release = Arc::new(Notify::new());
        let released = Arc::clone(&release);
        let (finished, mut done) = mpsc::unbounded_channel();
        let script = Script::new().on_write(move |_| {
            let (begun, finished, release) = (begun.clone(), finished.clone(), Arc::clone(&released));
            async move {
                begun.send(()).expect("the test listens");
                release.notified().await;
                finished.send(()).expect("the test listens");
                revoked().await
            }
        });
        let platform = Platform::start(over, script).await;
        tokio::select! {
            result = platform.write() => panic!("still running: {result:?}"),
            _ = beginnings.recv() => {}
        }
        release.notify_one();
        done.recv().await.expect("it finished");
    }

    async fn the_trace_crosses_with_reads_and_writes(over: Over) {
        let (seen, mut contexts) = mpsc::unbounded_channel();
        let (on_read, on_write) = (seen.clone(), seen);
        let script = Script::new()
            .on_read(move |_| {
                on_read.send(RequestContext::current()).expect("the test listens");
                valid()
            })
            .on_write(move |_| {
                on_write.send(RequestContext::current()).expect("the test listens");
                revoked()
            });
        let platform = Platform::start(over, script).await;
        let sent = context(None);
        sent.scope(async {
            platform.read("traced").await.expect("answered");
            platform.write().await.expect("answered");
        })
        .await;
        for _ in 0..2 {
            let received = contexts.recv().await.flatten().expect("a context");
            assert_eq!(RequestContext { deadline: None, ..received }, sent);
        }
    }

    async fn a_call_outside_any_request_gets_a_trace_of_its_own(over: Over) {
        let (seen, mut contexts) = mpsc::unbounded_channel();
        let script = Script::new().on_read(move |_| {
            seen.send(RequestContext::current()).expect("the test listens");
            valid()
        });
        let platform = Platform::start(over, script).await;
        platform.read("one").await.expect("answered");
        platform.read("two").await.expect("answered");
        let one = contexts.recv().await.flatten().expect("a context");
        let two = contexts.recv().await.flatten().expect("a context");
        assert_ne!(one.trace_id, two.trace_id);
        assert!(!one.sampled);
    }

    async fn nothing_else_that_the_callers_task_knows_crosses(over: Over) {
        let (seen, mut visible) = mpsc::unbounded_channel();
        let script = Script::new().on_read(move |_| {
            let leaks = METAINFO.with(|info| {
                let mut info = info.borrow_mut();
                info.set_backward_transient("from", "the callee");
                let entries = [
                    info.get_persistent("persistent").is_some(),
                    info.get_upstream("transient").is_some(),
                    info.get_string("string").is_some(),
                    info.get::<u8>().is_some(),
                ];
                entries.into_iter().filter(|leaked| *leaked).count()
            });
            seen.send(leaks).expect("the test listens");
            valid()
        });
        let platform = Platform::start(over, script).await;
        let mut info = MetaInfo::new();
        info.set_persistent("persistent", "of the caller");
        info.set_transient("transient", "of the caller");
        info.insert_string("string".into(), "of the caller".into());
        info.insert(7_u8);
        METAINFO
            .scope(RefCell::new(info), async {
                platform.read("any").await.expect("answered");
                METAINFO.with(|info| {
                    let info = info.borrow();
                    assert!(info.get_persistent("persistent").is_some(), "the caller keeps its own");
                    assert!(info.get_backward_downstream("from").is_none(), "and gets nothing from the callee");
                });
            })
            .await;
        assert_eq!(visible.recv().await, Some(0));
    }

    async fn a_call_is_counted_on_both_sides_by_how_it_ended(over: Over) {
        let script = Script::new().on_read(|_| async { Err(refuse(&PublicError::new(ErrorCode::OVERLOADED))) });
        let platform = Platform::start(over, script).await;
        platform.write().await.expect("answered");
        assert!(platform.read("any").await.is_err());
        let counted = scrape(&platform.registry);
        for side in ["client", "server"] {
            for (code, method) in [("2000000", "Logout"), ("5030001", "VerifyToken")] {
                let labels = format!(r#"{{code="{code}",method="{method}",service="account"}}"#);
                assert!(counted.contains(&format!("playgate_rpc_{side}_requests_total{labels} 1\n")), "{counted}");
            }
        }
    }
}

#[tokio::test]
async fn a_write_in_process_is_waited_for_before_the_process_ends() {
    let (release, released) = oneshot::channel::<()>();
    let released = Arc::new(tokio::sync::Mutex::new(Some(released)));
    let finished = Arc::new(AtomicUsize::new(0));
    let finish = Arc::clone(&finished);
    let script = Script::new().on_write(move |_| {
        let (released, finished) = (Arc::clone(&released), Arc::clone(&finish));
        async move {
            if let Some(released) = released.lock().await.take() {
                released.await.expect("released");
            }
            finished.fetch_add(1, Ordering::SeqCst);
            Ok(LogoutResponse { revoked: 1 })
        }
    });
    let platform = Platform::start(Over::InProcess, script).await;
    assert_eq!(context(Some(SHORT)).scope(platform.write()).await, Err(CallError::DeadlineExceeded));
    assert_eq!(platform.tasks.len(), 1, "it runs on");
    release.send(()).expect("it waits");
    platform.tasks.close();
    platform.tasks.wait().await;
    assert_eq!(finished.load(Ordering::SeqCst), 1);
}
