//! Nacos is killed, and comes back without its memory.

use std::{net::TcpListener as BlockingListener, sync::Arc, time::Duration};

use tokio::time::Instant;
use xtask::services::Nacos as Server;

use super::fixture::{self, Client, ports};
use crate::discovery::{Discovery, nacos::NacosConfig};

#[tokio::test]
async fn a_killed_server_costs_no_instance_and_registrations_heal_after_its_restart() {
    let mut server = Server::start().expect("a server");
    let config = fixture::config(&server.address());
    let (caller, one, two) = (Client::start(&config), Client::start(&config), Client::start(&config));
    let mut instances = caller.watch("account");
    one.register("account", 1);
    two.register("account", 2);
    caller.wait(&mut instances, &[1, 2]).await;
    // From here on no other list may ever be handed out.
    instances.mark_unchanged();

    server.kill().expect("killed");
    for client in [&caller, &one, &two] {
        client.until_connected(false).await;
    }
    server.restart().expect("restarted");
    let began = Instant::now();
    for client in [&one, &two] {
        client.until_connected(true).await;
        client.until_registered("account", true).await;
    }
    fixture::report("restart -> registered again", began);
    caller.until_connected(true).await;
    fixture::report("restart -> read again", began);
    assert!(!instances.has_changed().expect("followed"), "handed out: {:?}", ports(&instances.borrow()));

    // And what is new is seen again.
    let three = Client::start(&config);
    three.register("account", 3);
    caller.wait(&mut instances, &[1, 2, 3]).await;
    // This one knows nothing but what Nacos says.
    three.wait(&mut three.watch("account"), &[1, 2, 3]).await;
    fixture::report("restart -> a new instance seen", began);
}

#[tokio::test]
async fn an_instance_that_did_not_come_back_after_an_outage_is_dropped_in_the_end() {
    let mut server = Server::start().expect("a server");
    let config = NacosConfig { keep_missing_for: Duration::from_secs(15), ..fixture::config(&server.address()) };
    let (caller, one, two) = (Client::start(&config), Client::start(&config), Client::start(&config));
    let mut instances = caller.watch("account");
    one.register("account", 1);
    two.register("account", 2);
    caller.wait(&mut instances, &[1, 2]).await;
    server.kill().expect("killed");
    caller.until_connected(false).await;
    two.drain();
    server.restart().expect("restarted");
    let began = Instant::now();
    caller.wait(&mut instances, &[1]).await;
    fixture::report("restart -> the missing one dropped, kept for 15 s", began);
}

#[tokio::test]
async fn a_process_starts_from_the_lists_of_its_last_run_while_nacos_is_down() {
    let mut server = Server::start().expect("a server");
    let config = fixture::config(&server.address());
    let data_dir = Arc::new(tempfile::tempdir().expect("a directory"));
    let callee = Client::start(&config);
    callee.register("account", 1);
    {
        let earlier_run = Client::start_in(&config, Arc::clone(&data_dir));
        let mut instances = earlier_run.watch("account");
        earlier_run.wait(&mut instances, &[1]).await;
        // The list is kept right after it was handed out; the next turn comes when that is done.
        earlier_run.until_refreshed_twice("account").await;
    }
    server.kill().expect("killed");

    let began = Instant::now();
    let client = Client::start_in(&config, data_dir);
    let mut instances = client.watch("account");
    client.nacos.settled().await;
    assert_eq!(ports(&instances.borrow()), [1]);
    assert!(client.confirmed_at("account") > 0.0, "the age of the list is known");
    fixture::report("start without Nacos, from disk", began);

    // It finds Nacos by itself, and announces itself there.
    client.register("account", 2);
    server.restart().expect("restarted");
    let began = Instant::now();
    client.wait(&mut instances, &[1, 2]).await;
    fixture::report("Nacos up -> registered and seen", began);
}

#[tokio::test]
async fn a_process_that_starts_from_the_list_of_its_last_run_drops_nobody_who_may_still_be_on_the_way_back() {
    let (_server, config) = fixture::shared();
    let data_dir = Arc::new(tempfile::tempdir().expect("a directory"));
    let (one, two) = (Client::start(&config), Client::start(&config));
    one.register("account", 1);
    {
        let earlier_run = Client::start_in(&config, Arc::clone(&data_dir));
        let mut instances = earlier_run.watch("account");
        earlier_run.wait(&mut instances, &[1]).await;
        earlier_run.until_refreshed_twice("account").await;
    }
    // Nacos knows of the other one only, as it does when it has just been restarted.
    one.drain();
    one.until_registered("account", false).await;
    two.register("account", 2);
    two.wait(&mut two.watch("account"), &[2]).await;

    let client = Client::start_in(&config, data_dir);
    let instances = client.watch("account");
    client.nacos.settled().await;
    client.until_refreshed_twice("account").await;
    assert_eq!(ports(&instances.borrow()), [1, 2]);
}

#[tokio::test]
async fn a_start_without_nacos_and_without_kept_lists_goes_on_after_its_time() {
    // Nobody answers here, and nobody else gets the port.
    let silent = BlockingListener::bind("127.0.0.1:0").expect("a port");
    let server = silent.local_addr().expect("bound").to_string();
    let config = NacosConfig { start_timeout: Duration::from_millis(300), ..fixture::config(&server) };
    let client = Client::start(&config);
    let instances = client.watch("account");
    let began = Instant::now();
    client.nacos.settled().await;
    assert!(instances.borrow().is_empty());
    fixture::report("start without Nacos and kept lists, limit 300 ms", began);
}
