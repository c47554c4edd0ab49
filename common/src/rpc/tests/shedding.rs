//! A server on the wire that has not room for all.

use std::{sync::Arc, time::Duration};

use govern::{
    codel::CodelConfig,
    gradient::GradientConfig,
    priority::PriorityConfig,
    rules::{Rules, Switches},
};
use idl::account::AccountServiceClient;
use prometheus::Registry;
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::task::TaskTracker;

use super::{
    harness::{Script, Server, Told, client_parts, gated_stack, read, revoked, valid, write},
    scrape,
};
use crate::{
    error_code::ErrorCode,
    governance::Governance,
    rpc::{CallError, ClientConfig, ServerConfig, Transport, account_client},
};

/// Room for one write; a read has room besides. Nobody waits for long.
fn narrow() -> Rules {
    let queue = CodelConfig { capacity: 1, interval: Duration::from_millis(10), ..CodelConfig::default() };
    Rules {
        concurrency: GradientConfig { min: 2, initial: 2, max: 2, ..GradientConfig::default() },
        priority: PriorityConfig {
            pay_reserved: 0,
            ingest: 0.5,
            settings: 0.5,
            login: 0.5,
            refresh: 0.5,
            ..PriorityConfig::default()
        },
        queue,
        ..Rules::default()
    }
}

/// A server whose writes are held, and a client of it.
struct Narrow {
    client: AccountServiceClient,
    registry: Registry,
    governance: Governance,
    go: Arc<Semaphore>,
    writes: JoinSet<Result<(), CallError>>,
    _server: Server,
}

impl Narrow {
    /// With one write inside.
    async fn start() -> Self {
        let (governance, registry, go) = (Governance::new(narrow()), Registry::new(), Arc::new(Semaphore::new(0)));
        let held = Arc::clone(&go);
        let (began, mut begun) = tokio::sync::mpsc::unbounded_channel();
        let script = Script::new().on_read(|_| valid()).on_write(move |_| {
            let (held, began) = (Arc::clone(&held), began.clone());
            async move {
                // Only the first is waited for.
                _ = began.send(());
                let _go = held.acquire().await.expect("never closed");
                revoked().await
            }
        });
        let stack = gated_stack(script, &registry, governance.clone());
        let server = Server::start(stack, &ServerConfig::default()).await;
        let transport = Transport::Wire(Arc::new(Told::about([server.address])) as _);
        let client = account_client(transport, &ClientConfig::default(), &client_parts(&registry));
        let mut narrow = Self { client, registry, governance, go, writes: JoinSet::new(), _server: server };
        narrow.begin_write();
        begun.recv().await.expect("it has begun");
        narrow
    }

    fn begin_write(&mut self) {
        let client = self.client.clone();
        self.writes.spawn(async move { write(&client).await.map(drop) });
    }
}

#[tokio::test]
async fn a_call_of_a_lower_class_is_refused_with_a_hint_while_reads_of_tokens_are_answered() {
    let mut narrow = Narrow::start().await;
    let Err(CallError::Answered(refused)) = write(&narrow.client).await else { panic!("refused") };
    assert_eq!(refused.code, ErrorCode::OVERLOADED);
    assert!(refused.retry_after.is_some_and(|after| after >= Duration::from_secs(1)), "{refused:?}");
    read(&narrow.client, "good").await.expect("answered");
    let seen = scrape(&narrow.registry);
    for counted in [
        r#"playgate_shedding_refused_total{class="refresh",gate="account",reason="late"} 1"#,
        r#"playgate_shedding_admitted_total{class="verify",gate="account"} 1"#,
        r#"playgate_rpc_server_requests_total{code="5030001",method="Logout",service="account"} 1"#,
    ] {
        assert!(seen.contains(counted), "{counted} in\n{seen}");
    }
    narrow.go.add_permits(10);
    while let Some(written) = narrow.writes.join_next().await {
        written.expect("no panic").expect("written");
    }
    write(&narrow.client).await.expect("there is room again");
}

#[tokio::test]
async fn turning_shedding_off_lets_all_calls_in() {
    let mut narrow = Narrow::start().await;
    let switches = Switches { shedding: false, ..Switches::default() };
    narrow.governance.put_in_force(Rules { switches, ..self::narrow() });
    (0..10).for_each(|_| narrow.begin_write());
    narrow.go.add_permits(20);
    for written in narrow.writes.join_all().await {
        written.expect("written");
    }
}

#[tokio::test]
async fn what_is_called_in_process_was_let_in_by_the_edge_and_is_not_shed_again() {
    let (registry, tasks) = (Registry::new(), TaskTracker::new());
    let stack = super::harness::stack(Script::new(), &registry, &tasks);
    let transport = Transport::InProcess(stack);
    let client = account_client(transport, &ClientConfig::default(), &client_parts(&registry));
    read(&client, "good").await.expect("answered");
    assert!(!scrape(&registry).contains("playgate_shedding"), "no gate, and none counted");
}
