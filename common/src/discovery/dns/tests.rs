//! Against a small DNS server on loopback, which answers what the test tells it to.

use std::{
    net::Ipv4Addr,
    sync::{Mutex, PoisonError},
};

use prometheus::Registry;
use tokio::net::UdpSocket;

use super::*;
use crate::{
    clock::{SystemClock, SystemRandom},
    lifecycle::{LifecycleConfig, RequestTasks},
};

/// What the server does with a question for addresses.
#[derive(Clone)]
enum Answer {
    /// These addresses, to be kept this long.
    Addresses(Vec<Ipv4Addr>, u32),
    /// No such name.
    NoName,
    /// Nothing is sent back.
    Silence,
}

struct Server {
    address: SocketAddr,
    answer: Arc<Mutex<Answer>>,
    questions: watch::Receiver<usize>,
}

impl Server {
    async fn start(answer: Answer) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = socket.local_addr().expect("bound");
        let answer = Arc::new(Mutex::new(answer));
        let (asked, questions) = watch::channel(0);
        let shared = Arc::clone(&answer);
        RequestTasks::default().spawn_in_context(async move {
            let mut packet = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut packet).await {
                asked.send_modify(|count| *count += 1);
                let answer = shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Some(reply) = reply(&packet[..length], &answer) {
                    socket.send_to(&reply, from).await.expect("loopback");
                }
            }
        });
        Self { address, answer, questions }
    }

    fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// Waits until it has been asked `more` times from now on.
    async fn asked(&self, more: usize) {
        let mut questions = self.questions.clone();
        let target = *questions.borrow() + more;
        questions.wait_for(|count| *count >= target).await.expect("the server runs");
    }
}

/// RFC 1035: the question comes back with the answers behind it. Only records of type A exist.
fn reply(question: &[u8], answer: &Answer) -> Option<Vec<u8>> {
    let name_end = 12 + question[12..].iter().position(|byte| *byte == 0)? + 1;
    let is_a = question[name_end..name_end + 2] == [0, 1];
    let (code, addresses, ttl) = match answer {
        Answer::Silence => return None,
        Answer::NoName => (3, &[][..], 0),
        Answer::Addresses(addresses, ttl) if is_a => (0, &addresses[..], *ttl),
        Answer::Addresses(..) => (0, &[][..], 0),
    };
    let mut reply = question[..name_end + 4].to_vec();
    reply[2] = 0x84 | (question[2] & 1);
    reply[3] = code;
    let count = u16::try_from(addresses.len()).expect("few");
    reply[6..8].copy_from_slice(&count.to_be_bytes());
    // No authorities; and the options of the question (EDNS) are not repeated.
    reply[8..12].fill(0);
    for address in addresses {
        // The name, as a pointer to the one in the question; A; IN.
        reply.extend([0xc0, 12, 0, 1, 0, 1]);
        reply.extend(ttl.to_be_bytes());
        reply.extend([0, 4]);
        reply.extend(address.octets());
    }
    Some(reply)
}

fn dns(server: &Server) -> Dns {
    let config = DnsConfig {
        account: "account.playgate.svc.cluster.local.:9081".to_owned(),
        server: Some(server.address),
        min_ttl: Duration::from_millis(20),
        timeout: Duration::from_millis(100),
        attempts: 1,
        ..DnsConfig::default()
    };
    let metrics = DiscoveryMetrics::register(&Registry::new()).expect("registered once");
    let lifecycle = Lifecycle::new(LifecycleConfig::default().timing(crate::config::Environment::Development));
    Dns::open(&config, metrics, lifecycle, Arc::new(SystemClock), Arc::new(SystemRandom)).expect("a server is named")
}

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

fn addresses(instances: &Instances) -> Vec<String> {
    instances.iter().map(|instance| instance.address.to_string()).collect()
}

#[test]
fn a_list_is_used_for_as_long_as_its_records_hold_within_the_floor_and_the_ceiling() {
    let seconds = Duration::from_secs;
    for (ttl, expected) in [(0, 2), (1, 2), (2, 2), (9, 9), (15, 15), (3600, 15)] {
        assert_eq!(pause(seconds(ttl), seconds(2), seconds(15)), seconds(expected), "{ttl}");
    }
}

#[tokio::test]
async fn every_address_behind_the_name_is_an_instance() {
    let server = Server::start(Answer::Addresses(vec![ip(2), ip(1)], 30)).await;
    let dns = dns(&server);
    let instances = dns.watch("account");
    dns.settled().await;
    assert_eq!(addresses(&instances.borrow()), ["10.0.0.1:9081", "10.0.0.2:9081"]);
}

#[tokio::test]
async fn a_name_is_resolved_again_when_its_records_expire() {
    let server = Server::start(Answer::Addresses(vec![ip(1)], 0)).await;
    let dns = dns(&server);
    let mut instances = dns.watch("account");
    dns.settled().await;
    server.answer(Answer::Addresses(vec![ip(1), ip(2)], 0));
    let seen = instances.wait_for(|instances| instances.len() == 2).await.expect("followed");
    assert_eq!(addresses(&seen), ["10.0.0.1:9081", "10.0.0.2:9081"]);
}

#[tokio::test]
async fn a_name_that_cannot_be_resolved_keeps_its_last_good_list() {
    let server = Server::start(Answer::Addresses(vec![ip(1)], 0)).await;
    let dns = dns(&server);
    let mut instances = dns.watch("account");
    dns.settled().await;
    for outage in [Answer::NoName, Answer::Silence, Answer::Addresses(vec![], 0)] {
        server.answer(outage);
        // The second question from now on is certainly asked after a failure.
        server.asked(3).await;
        assert_eq!(addresses(&instances.borrow_and_update()), ["10.0.0.1:9081"]);
    }
    server.answer(Answer::Addresses(vec![ip(3)], 0));
    instances.wait_for(|instances| addresses(instances) == ["10.0.0.3:9081"]).await.expect("followed");
}

#[tokio::test(start_paused = true)]
async fn a_start_does_not_wait_for_a_server_that_is_silent() {
    let server = Server::start(Answer::Silence).await;
    let dns = dns(&server);
    let instances = dns.watch("account");
    dns.settled().await;
    assert!(instances.borrow().is_empty());
}

#[tokio::test]
async fn a_service_that_nobody_has_named_has_no_instances_and_holds_nothing_up() {
    let server = Server::start(Answer::Silence).await;
    let dns = dns(&server);
    let instances = dns.watch("weather");
    dns.settled().await;
    assert!(instances.borrow().is_empty());
}
