//! What publishing promises, on a directory.

use std::{fs, num::NonZeroUsize};

use common::{error_code::ErrorCode, rpc::Refusal};
use pilota::FastStr;

use super::*;
use crate::{Config, testing::Service};

const EMPTY: &str = r#"{"settings":{}}"#;
const ONE: &str = r#"{"settings":{"n":{"type":"number","value":1}}}"#;
const TWO: &str = r#"{"settings":{"n":{"type":"number","value":2}}}"#;

fn details(error: &AdminError) -> Vec<(String, String)> {
    let details = error.public().details.into_iter();
    details.map(|(field, reason)| (field.to_string(), reason.to_string())).collect()
}

fn request(document: &str) -> PublishRequest {
    PublishRequest {
        app_id: 1,
        base_revision: 0,
        document_json: FastStr::new(document),
        note: FastStr::empty(),
        author: FastStr::from_static_str("ann"),
    }
}

#[tokio::test]
async fn versions_are_counted_from_one_and_shown_at_once_where_they_were_published() {
    let service = Service::start();
    assert_eq!(service.revision(1).await, 0);
    for (base, document) in [EMPTY, ONE, TWO].into_iter().enumerate() {
        let base = i64::try_from(base).expect("small");
        let published = service.publish(1, base, document).await.expect("published");
        assert_eq!((published.revision, published.published_at), (base + 1, crate::testing::START.as_millis()));
        assert_eq!(service.revision(1).await, base + 1);
    }
    let directory = service.root().join("apps/1");
    assert_eq!(fs::read_to_string(directory.join("current.json")).expect("a pointer"), r#"{"revision":3}"#);
    let stored = fs::read_to_string(directory.join("versions/3.json")).expect("a version");
    assert!(stored.contains(TWO) && stored.contains(r#""author":"ann","note":"a note""#), "{stored}");
    assert_eq!(service.revision(2).await, 0, "another app is another app");
}

#[tokio::test]
async fn what_was_not_made_from_the_current_revision_is_refused_and_told_the_current_one() {
    let service = Service::start();
    service.publish(1, 0, ONE).await.expect("published");
    service.publish(1, 1, TWO).await.expect("published");
    for base in [0, 1, 3] {
        let refused = service.publish(1, base, EMPTY).await.expect_err("refused");
        assert_eq!(refused.public().code, ErrorCode::SETTINGS_CHANGED);
        assert_eq!(details(&refused), [("base_revision".to_owned(), "the current revision is 2".to_owned())]);
    }
    assert_eq!(service.revision(1).await, 2);
}

#[tokio::test]
async fn a_repeat_because_the_answer_was_lost_is_answered_the_same_however_it_is_written() {
    let service = Service::start();
    let first = service.publish(1, 0, ONE).await.expect("published");
    service.clock.advance(std::time::Duration::from_secs(5));
    for again in [ONE, r#"{ "settings": {"n": {"value": 1, "type": "number"}} }"#] {
        assert_eq!(service.replica().publish(1, 0, again).await.expect("answered"), first);
    }
    assert_eq!(service.parts().metrics.publishes.published.get(), 1);
    service.publish(1, 1, TWO).await.expect("published");
    let late = service.publish(1, 0, ONE).await.expect_err("it is not current any more");
    assert_eq!(late.public().code, ErrorCode::SETTINGS_CHANGED);
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_document_is_told_with_its_place() {
    let service = Service::start();
    let bad = r#"{"settings":{"a":{"type":"number","value":"x"},"b":{"type":"bool","value":1}}}"#;
    let refused = service.publish(1, 0, bad).await.expect_err("refused");
    assert_eq!(refused.public().code, ErrorCode::INVALID_ARGUMENT);
    let fields: Vec<String> = details(&refused).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["document.settings.a.value", "document.settings.b.value"]);
    let refused = service.publish(1, 0, "{").await.expect_err("refused");
    assert_eq!(details(&refused)[0].0, "document");
    assert!(!service.root().join("apps").exists(), "nothing was written");
}

#[tokio::test]
async fn a_document_over_the_limit_is_too_large_and_one_at_the_limit_is_not() {
    let config = Config { document_bytes_max: NonZeroUsize::new(100).expect("not zero"), ..Config::default() };
    let service = Service::start_with(config, None);
    service.publish(1, 0, &format!("{ONE:<100}")).await.expect("published");
    let refused = service.publish(1, 1, &format!("{ONE:<101}")).await.expect_err("refused");
    assert_eq!(refused.public().code, ErrorCode::BODY_TOO_LARGE);
    assert_eq!(service.replica().revision(1).await, 1, "what could be published can be read");
}

#[tokio::test]
async fn an_argument_that_can_not_be_is_refused_by_field() {
    let service = Service::start();
    for (bad, field) in [
        (PublishRequest { app_id: 0, ..request(ONE) }, "app_id"),
        (PublishRequest { base_revision: -1, ..request(ONE) }, "base_revision"),
        (PublishRequest { author: FastStr::empty(), ..request(ONE) }, "author"),
        (PublishRequest { note: FastStr::from("n".repeat(501)), ..request(ONE) }, "note"),
    ] {
        let refused = publish(service.parts(), bad).await.expect_err("refused");
        assert_eq!((refused.public().code, details(&refused)[0].0.as_str()), (ErrorCode::INVALID_ARGUMENT, field));
    }
}

#[tokio::test]
async fn a_directory_that_is_gone_is_no_published_version_and_no_lost_setting() {
    let service = Service::start();
    service.publish(1, 0, ONE).await.expect("published");
    fs::remove_dir_all(service.root()).expect("removes");
    let refused = service.publish(1, 1, TWO).await.expect_err("nowhere to publish");
    assert_eq!(refused.public().code, ErrorCode::DEPENDENCY_UNAVAILABLE);
    assert!(!format!("{:?}", refused.public()).contains("settings/"), "paths stay inside");
    assert_eq!(service.revision(1).await, 1);
}

#[tokio::test]
async fn operators_beyond_the_limit_are_told_to_come_back() {
    let config = Config { operations_max: NonZeroUsize::MIN, ..Config::default() };
    let service = Service::start_with(config, None);
    let place = std::sync::Arc::clone(&service.parts().operations).acquire_owned().await.expect("a place");
    let refused = service.publish(1, 0, ONE).await.expect_err("refused").public();
    assert_eq!((refused.code, refused.retry_after.is_some()), (ErrorCode::OVERLOADED, true));
    drop(place);
    service.publish(1, 0, ONE).await.expect("published");
}
