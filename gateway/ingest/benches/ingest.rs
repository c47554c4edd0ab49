//! What an event costs: `cargo bench -p ingest`.
//!
//! Made into events, looked up, made into lines and written to the page cache; the disk itself is not measured.

#![expect(clippy::expect_used, reason = "a measurement that fails has to stop")]

use std::{num::NonZeroU64, sync::Arc, time::Duration};

use common::clock::{SystemClock, SystemRandom};
use divan::{Bencher, counter::ItemsCount};
use ingest::{
    DeadConfig, Durability, Ingest, IngestConfig, LimitsConfig, PartnerLimits, PartnerName, Parts, Push, Share, parse,
};

const EVENTS: usize = 1000;

fn main() {
    divan::main();
}

/// What an attribution partner sends, about 330 bytes.
fn event(number: u64) -> String {
    format!(
        "{{\"event_id\":\"{number:032x}\",\"event_name\":\"install\",\"app\":\"com.example.game\",\"platform\":\"android\",\
         \"device\":{{\"model\":\"PGT-AN10\",\"os\":\"14\",\"id\":\"{number:016x}\"}},\"campaign\":{{\"id\":{number},\"name\":\
         \"Autumn sale\",\"cost\":0.1250}},\"occurred_at\":1796033702123,\"ip\":\"203.0.113.7\",\"tags\":[\"a\",\"b\"]}}"
    )
}

fn batch(first: u64) -> String {
    (first..).take(EVENTS).map(|number| event(number) + "\n").collect()
}

struct Store {
    _data_dir: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    ingest: Ingest,
}

fn store() -> Store {
    let data_dir = tempfile::tempdir().expect("a directory");
    let config = IngestConfig { durability: Durability::PageCache, linger: Duration::ZERO, ..IngestConfig::default() };
    let parts = Parts {
        data_dir: data_dir.path().to_owned(),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        registry: prometheus::Registry::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    Store { _data_dir: data_dir, runtime, ingest: Ingest::open(config, parts).expect("a store") }
}

fn push(body: &str) -> Push {
    let without_limit = PartnerLimits {
        events_per_second: std::num::NonZeroU32::MAX,
        burst_events: std::num::NonZeroU32::MAX,
        bytes_per_second: NonZeroU64::MAX,
        burst_bytes: NonZeroU64::MAX,
        share: Share::default(),
    };
    Push {
        partner: PartnerName::parse("ads").expect("a name"),
        limits: without_limit,
        request_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        events: parse::json_or_ndjson(body.as_bytes(), &LimitsConfig::default(), &DeadConfig::default())
            .expect("events"),
    }
}

/// NDJSON into events.
#[divan::bench]
fn parse_a_batch(bencher: Bencher<'_, '_>) {
    let body = batch(0);
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
        parse::json_or_ndjson(body.as_bytes(), &LimitsConfig::default(), &DeadConfig::default()).expect("events").len()
    });
}

/// NDJSON into lines in the page cache, all of it new.
#[divan::bench]
fn store_a_batch(bencher: Bencher<'_, '_>) {
    let store = store();
    let mut first = 0;
    bencher
        .counter(ItemsCount::new(EVENTS))
        .with_inputs(|| {
            first += EVENTS as u64;
            batch(first)
        })
        .bench_local_values(|body| store.runtime.block_on(store.ingest.accept(push(&body))).expect("stored").accepted);
}

/// NDJSON that was stored before.
#[divan::bench]
fn recognise_a_batch(bencher: Bencher<'_, '_>) {
    let store = store();
    let body = batch(0);
    bencher
        .counter(ItemsCount::new(EVENTS))
        .bench_local(|| store.runtime.block_on(store.ingest.accept(push(&body))).expect("stored").accepted);
}

/// One event after the other, each waited for.
#[divan::bench]
fn store_one_event(bencher: Bencher<'_, '_>) {
    let store = store();
    let mut number = 0;
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        number += 1;
        store.runtime.block_on(store.ingest.accept(push(&event(number)))).expect("stored").accepted
    });
}

/// A start with a full window of a hundred thousand events; a million takes ten times as long.
#[divan::bench(sample_count = 5)]
fn open_with_history(bencher: Bencher<'_, '_>) {
    let Store { _data_dir: data_dir, runtime, ingest } = store();
    for number in 0..100 {
        runtime.block_on(ingest.accept(push(&batch(number * EVENTS as u64)))).expect("stored");
    }
    runtime.block_on(ingest.close());
    bencher.counter(ItemsCount::new(100 * EVENTS)).bench_local(|| {
        let parts = Parts {
            data_dir: data_dir.path().to_owned(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            registry: prometheus::Registry::new(),
        };
        let ingest = Ingest::open(IngestConfig::default(), parts).expect("a store");
        runtime.block_on(ingest.close());
    });
}
