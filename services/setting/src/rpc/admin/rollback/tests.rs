//! What a roll-back promises.

use common::{error_code::ErrorCode, rpc::Refusal};
use idl::setting_admin::GetRevisionRequest;
use pilota::FastStr;

use super::*;
use crate::{rpc::admin::get_revision::get_revision, testing::Service};

const ONE: &str = r#"{ "settings": {"n":{"type":"number","value":1}} }"#;
const TWO: &str = r#"{"settings":{"n":{"type":"number","value":2}}}"#;

fn to(to_version: i64, base_revision: Option<i64>) -> RollbackRequest {
    RollbackRequest {
        app_id: 1,
        to_version,
        base_revision,
        note: FastStr::from_static_str("it was better"),
        author: FastStr::from_static_str("bob"),
    }
}

async fn two_versions() -> Service {
    let service = Service::start();
    service.publish(1, 0, ONE).await.expect("published");
    service.publish(1, 1, TWO).await.expect("published");
    service
}

#[tokio::test]
async fn an_earlier_version_comes_back_as_the_next_revision_and_says_so() {
    let service = two_versions().await;
    assert_eq!(rollback(service.parts(), to(1, None)).await.expect("rolled back").revision, 3);
    assert_eq!(service.revision(1).await, 3);
    let request = GetRevisionRequest { app_id: 1, ..GetRevisionRequest::default() };
    let current = get_revision(service.parts(), request).await.expect("answered");
    assert_eq!(current.document_json, ONE);
    let info = current.info.expect("who and why");
    assert_eq!((info.rolled_back_to, info.author.as_str(), info.note.as_str()), (Some(1), "bob", "it was better"));
}

#[tokio::test]
async fn who_names_a_revision_rolls_back_only_that_one() {
    let service = two_versions().await;
    let refused = rollback(service.parts(), to(1, Some(1))).await.expect_err("2 is current").public();
    assert_eq!(refused.code, ErrorCode::SETTINGS_CHANGED);
    assert_eq!(rollback(service.parts(), to(1, Some(2))).await.expect("rolled back").revision, 3);
}

#[tokio::test]
async fn who_names_none_rolls_back_what_others_publish_meanwhile() {
    let service = two_versions().await;
    // It has never heard of the third version.
    let other = service.replica();
    assert_eq!(other.revision(1).await, 2);
    service.publish(1, 2, ONE).await.expect("published");
    assert_eq!(rollback(other.parts(), to(2, None)).await.expect("rolled back").revision, 4);
}

#[tokio::test]
async fn a_version_that_does_not_exist_is_not_found() {
    let service = two_versions().await;
    let refused = rollback(service.parts(), to(3, None)).await.expect_err("refused").public();
    assert_eq!(refused.code, ErrorCode::NO_SUCH_SETTING);
    let refused = rollback(service.parts(), to(0, None)).await.expect_err("refused").public();
    assert_eq!((refused.code, refused.details[0].0.as_str()), (ErrorCode::INVALID_ARGUMENT, "to_version"));
}

/// Ten replicas roll an app back and forth while others ask: an answer is wholly of one revision.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_roll_backs_every_answer_is_wholly_of_one_revision() {
    use std::{
        collections::HashMap,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
    };

    use idl::setting::GetSettingsRequest;
    use tokio_util::task::TaskTracker;

    let service = Arc::new(two_versions().await);
    let is_over = Arc::new(AtomicBool::new(false));
    let readers = TaskTracker::new();
    let mut reading = Vec::new();
    for _ in 0..4 {
        let (service, is_over) = (Arc::clone(&service), Arc::clone(&is_over));
        reading.push(readers.spawn(async move {
            let mut seen: HashMap<String, (i64, String)> = HashMap::new();
            let mut last = 0;
            while !is_over.load(Ordering::Relaxed) {
                let answer = service.ask(GetSettingsRequest { app_id: 1, ..GetSettingsRequest::default() }).await;
                let answer = answer.expect("served");
                let body = answer.settings_json.expect("a body").to_string();
                let wanted = if answer.revision % 2 == 1 { r#"{"n":1}"# } else { r#"{"n":2}"# };
                assert_eq!(body, wanted, "revision {}", answer.revision);
                assert!(answer.revision >= last, "{} after {last}", answer.revision);
                last = answer.revision;
                let first = seen.entry(answer.entity_tag.to_string()).or_insert((answer.revision, body.clone()));
                assert_eq!(*first, (answer.revision, body));
                tokio::task::yield_now().await;
            }
            seen.len()
        }));
    }
    for round in 0..40 {
        let target = 1 + round % 2;
        rollback(service.parts(), to(target, None)).await.expect("rolled back");
    }
    is_over.store(true, Ordering::Relaxed);
    for reader in reading {
        assert!(reader.await.expect("no inconsistent answer") > 1, "readers saw several revisions");
    }
    assert_eq!(service.revision(1).await, 42);
}
