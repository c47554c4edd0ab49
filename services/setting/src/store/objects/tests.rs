//! What is asked of every store, on each kind.

use std::{num::NonZeroUsize, sync::Arc};

use common::clock::SystemRandom;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
};
use tokio_util::task::TaskTracker;

use super::*;
use crate::store::testing::{TestStore, on_each_store};

on_each_store! {
    async fn an_object_is_read_as_it_was_written(store: TestStore) {
        let objects = store.open();
        assert_eq!(objects.read("a/1.json").await.expect("reads"), None);
        assert!(!objects.exists("a/1.json").await.expect("looks"));
        for bytes in [b"one".to_vec(), vec![0xff; 300_000], b"{}".to_vec()] {
            objects.replace("a/1.json", bytes.clone()).await.expect("writes");
            assert_eq!(objects.read("a/1.json").await.expect("reads"), Some(bytes));
        }
        assert!(objects.exists("a/1.json").await.expect("looks"));
        objects.delete("a/1.json").await.expect("deletes");
        objects.delete("a/1.json").await.expect("nothing to delete");
        assert_eq!(objects.read("a/1.json").await.expect("reads"), None);
    }

    async fn what_exists_is_not_created_again(store: TestStore) {
        let objects = store.open();
        assert_eq!(objects.create("a/1", b"first".to_vec()).await.expect("creates"), Creation::Created);
        assert_eq!(objects.create("a/1", b"second".to_vec()).await.expect("looks"), Creation::Exists);
        assert_eq!(objects.read("a/1").await.expect("reads").as_deref(), Some(&b"first"[..]));
        assert!(objects.keeps_its_word().await.expect("looks"));
        assert!(objects.keeps_its_word().await.expect("looks again"));
    }

    async fn of_many_who_create_the_same_object_one_has(store: TestStore) {
        for round in 0..20 {
            let mut creating = JoinSet::new();
            for publisher in 0..8_u8 {
                // Each is a process of its own.
                let objects = store.open();
                creating.spawn(async move {
                    (publisher, objects.create(&format!("race/{round}"), vec![publisher]).await.expect("an answer"))
                });
            }
            let ended = creating.join_all().await;
            let winners: Vec<u8> =
                ended.iter().filter(|(_, how)| *how == Creation::Created).map(|(publisher, _)| *publisher).collect();
            assert_eq!(winners.len(), 1, "round {round}: {ended:?}");
            assert_eq!(store.open().read(&format!("race/{round}")).await.expect("reads"), Some(winners));
        }
    }

    async fn a_directory_is_listed_with_what_lies_right_below_it(store: TestStore) {
        let objects = store.open();
        assert_eq!(objects.names("a/b/").await.expect("lists"), [""; 0]);
        for path in ["a/b/1", "a/b/2", "a/b/10", "a/bc/3", "a/4"] {
            objects.create(path, b"x".to_vec()).await.expect("creates");
        }
        let mut names = objects.names("a/b/").await.expect("lists");
        names.sort_unstable();
        assert_eq!(names, ["1", "10", "2"]);
    }

    async fn an_object_over_the_limit_is_not_taken_into_memory(store: TestStore) {
        let mut store = store;
        let most = 1 << 20;
        store.config.document_bytes_max = NonZeroUsize::new(most - crate::store::ENVELOPE_BYTES_MAX).expect("not zero");
        let objects = store.open();
        objects.replace("large", vec![b' '; most + 1]).await.expect("writes");
        let refused = objects.read("large").await.expect_err("too large");
        assert!(matches!(refused, ObjectError::TooLarge { bytes_max } if bytes_max == most), "{refused}");
        objects.replace("large", vec![b' '; most]).await.expect("writes");
        assert_eq!(objects.read("large").await.expect("reads").map(|bytes| bytes.len()), Some(most));
    }
}

mod on_s3_alone {
    use super::*;

    #[tokio::test]
    async fn a_bucket_that_does_not_exist_is_no_bucket_without_objects() {
        let mut store = TestStore::on_s3();
        store.config.s3.bucket = Some("no-such-bucket".to_owned());
        let objects = store.open();
        assert!(objects.read("a").await.is_err());
        assert!(objects.names("a/").await.is_err());
        assert!(objects.create("a", Vec::new()).await.is_err());
    }
}

#[tokio::test]
async fn a_directory_that_is_gone_is_no_directory_without_objects() {
    let root = tempfile::TempDir::new().expect("a temporary directory");
    let random = Arc::new(SystemRandom);
    let objects = Objects::in_directory(root.path(), 100, random).expect("opens");
    fs::remove_dir(root.path()).expect("removes");
    assert!(objects.read("a").await.is_err());
    assert!(objects.exists("a").await.is_err());
    fs::create_dir(root.path()).expect("makes it again");
    assert_eq!(objects.read("a").await.expect("reads"), None);
}

#[tokio::test]
async fn what_can_not_be_read_is_not_absent() {
    let root = tempfile::TempDir::new().expect("a temporary directory");
    let random = Arc::new(SystemRandom);
    let objects = Objects::in_directory(root.path(), 100, random).expect("opens");
    fs::write(root.path().join("a"), "a file where a directory belongs").expect("writes");
    assert!(objects.read("a/b").await.is_err());
}

#[test]
fn a_root_that_can_not_be_a_directory_is_named_in_the_error() {
    let data_dir = tempfile::TempDir::new().expect("a temporary directory");
    let file = data_dir.path().join("file");
    fs::write(&file, "").expect("writes");
    let config = Config { root: Some(file), ..Config::default() };
    let refusal = Objects::open(&config, data_dir.path(), 100, Arc::new(SystemRandom));
    let refusal = refusal.expect_err("a file is no directory").to_string();
    assert!(refusal.starts_with("setting.root \"") && refusal.contains("/file"), "{refusal}");
}

#[test]
fn a_bucket_of_oss_has_what_publishing_needs_and_shows_where_it_lies() {
    let oss = OssConfig {
        bucket: Some("games".to_owned()),
        endpoint: Some("https://oss-cn-hangzhou.aliyuncs.com".to_owned()),
        root: Some("playgate".to_owned()),
        access_key_id: Some("id".to_owned()),
        access_key_secret: Some(Secret::new("s3cret")),
        access_key_secret_file: None,
    };
    let config = Config { store: StoreKind::Oss, oss, ..Config::default() };
    assert_eq!(common::config::Section::validate(&config), Ok(()));
    let objects = Objects::open(&config, Path::new("/"), 100, Arc::new(SystemRandom)).expect("opens");
    assert_eq!(objects.shown("apps/1/current.json"), "oss://games/playgate/apps/1/current.json");
    assert!(!format!("{objects:?}").contains("s3cret"), "{objects:?}");
}

/// A bucket that says yes to everything, as some that speak S3 do to conditions they do not know.
async fn bucket_that_does_not_keep_its_word() -> Config {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    TaskTracker::new().spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.expect("a connection");
            let mut request = Vec::new();
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                socket.read_buf(&mut request).await.expect("a request");
            }
            let answer = "HTTP/1.1 200 OK\r\netag: \"0\"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            socket.write_all(answer.as_bytes()).await.expect("writable");
        }
    });
    Config { store: StoreKind::S3, s3: bucket_at(endpoint), ..Config::default() }
}

fn bucket_at(endpoint: String) -> S3Config {
    S3Config {
        bucket: Some("b".to_owned()),
        endpoint: Some(endpoint),
        region: Some("us-east-1".to_owned()),
        access_key_id: Some("id".to_owned()),
        secret_access_key: Some(Secret::new("s3cret")),
        ..S3Config::default()
    }
}

#[tokio::test]
async fn a_bucket_that_takes_conditions_and_does_not_keep_to_them_is_found_out() {
    let config = bucket_that_does_not_keep_its_word().await;
    let objects = Objects::open(&config, Path::new("/"), 100, Arc::new(SystemRandom)).expect("opens");
    assert!(!objects.keeps_its_word().await.expect("an answer"));
}

#[tokio::test]
async fn a_bucket_that_can_not_be_reached_keeps_nobody_from_starting_and_is_a_failure() {
    let s3 = bucket_at("http://127.0.0.1:1".to_owned());
    let config = Config { store: StoreKind::S3, s3, ..Config::default() };
    let objects = Objects::open(&config, Path::new("/"), 100, Arc::new(SystemRandom)).expect("opens");
    let failure = objects.read("a").await.expect_err("nobody listens");
    assert!(matches!(failure, ObjectError::Store(_)), "{failure}");
    assert!(!format!("{failure:?}").contains("s3cret"), "{failure:?}");
}
