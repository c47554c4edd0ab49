//! A store of each kind for tests, and one test body run on all of them.
//!
//! A test that needs an S3 server has `on_s3` in its path, so that `cargo test -- --skip on_s3` is the run without servers.

use std::{env, sync::Arc, time::Duration};

use common::{
    clock::{SystemClock, SystemRandom, new_uuid},
    config::Secret,
};
use tempfile::TempDir;

use crate::{
    Config, S3Config, StoreKind,
    store::{ENVELOPE_BYTES_MAX, Objects},
};

/// Where the S3 server for tests listens: `http://127.0.0.1:9000`.
const S3_VARIABLE: &str = "PLAYGATE_TEST_S3";

/// The bucket that is there.
const BUCKET: &str = "playgate-settings";

/// An empty store. What it leaves behind is gone with its directory, or with the server.
#[derive(Debug)]
pub(crate) struct TestStore {
    pub(crate) config: Config,
    directory: TempDir,
}

impl TestStore {
    pub(crate) fn on_disk() -> Self {
        Self { config: Config::default(), directory: TempDir::new().expect("a temporary directory") }
    }

    /// Below a path of its own on the server that `PLAYGATE_TEST_S3` names.
    pub(crate) fn on_s3() -> Self {
        let Ok(endpoint) = env::var(S3_VARIABLE) else {
            panic!(
                "{S3_VARIABLE} is not set: run `cargo xtask test`, or `cargo xtask services` and set what it prints, or \
                 skip these tests with `cargo test -- --skip on_s3`"
            );
        };
        let s3 = S3Config {
            bucket: Some(BUCKET.to_owned()),
            endpoint: Some(endpoint),
            region: Some("us-east-1".to_owned()),
            root: Some(format!("test-{}", new_uuid(&SystemClock, &SystemRandom).simple())),
            access_key_id: Some("test".to_owned()),
            secret_access_key: Some(Secret::new("test")),
            ..S3Config::default()
        };
        // More patience than production has: a busy build machine is no outage.
        let config = Config { store: StoreKind::S3, s3, store_timeout: Duration::from_secs(30), ..Config::default() };
        Self { config, ..Self::on_disk() }
    }

    /// The store as one process has it.
    pub(crate) fn open(&self) -> Objects {
        let bytes_max = self.config.document_bytes_max.get() + ENVELOPE_BYTES_MAX;
        Objects::open(&self.config, self.directory.path(), bytes_max, Arc::new(SystemRandom)).expect("opens")
    }
}

/// Writes each test once and runs it on both kinds of store, as `on_disk::name` and `on_s3::name`. Once per module.
macro_rules! on_each_store {
    ($($(#[$attribute:meta])* async fn $name:ident($store:ident: TestStore) $body:block)+) => {
        $($(#[$attribute])* async fn $name($store: $crate::store::testing::TestStore) $body)+

        mod on_disk {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::store::testing::TestStore::on_disk()).await;
            })+
        }

        mod on_s3 {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::store::testing::TestStore::on_s3()).await;
            })+
        }
    };
}

pub(crate) use on_each_store;
