//! Writes a change of settings into the audit, after it took effect: a record that can't be written does not undo it. The
//! version itself says who made it, when and why.

use common::rpc::CallError;
use idl::{account::AccountServiceClient, account_admin::RecordChangeRequest};
use serde_json::{Value, json};
use volo::FastStr;

/// What of a note goes into the audit, whose records are small; the version has all of it.
const NOTE_BYTES_MAX: usize = 512;

/// A change of an app's settings.
pub(super) struct Change<'a> {
    pub(super) actor: FastStr,
    pub(super) action: &'static str,
    pub(super) app_id: i64,
    /// The revision that it made.
    pub(super) revision: i64,
    pub(super) note: &'a str,
    /// What else there is to say.
    pub(super) particulars: Value,
}

/// Writes it down. What could not be done, for `degraded`: `audit`, or nothing.
pub(super) async fn write_down(account: &AccountServiceClient, change: Change<'_>) -> Vec<&'static str> {
    let details_json = details(&change).into();
    let Change { actor, action, app_id, revision, .. } = change;
    let record = RecordChangeRequest {
        actor,
        action: action.into(),
        target_kind: "app".into(),
        target_id: app_id.to_string().into(),
        details_json,
    };
    let written = account.admin_record_change(record).await;
    missing(written.map(drop).map_err(CallError::from), action, app_id, revision)
}

/// What is missing of a change that took effect.
fn missing(written: Result<(), CallError>, action: &str, app_id: i64, revision: i64) -> Vec<&'static str> {
    let Err(error) = written else { return Vec::new() };
    tracing::warn!(%error, action, app_id, revision, "a change of settings could not be written into the audit");
    vec!["audit"]
}

fn details(change: &Change<'_>) -> String {
    let note = &change.note[..change.note.floor_char_boundary(NOTE_BYTES_MAX)];
    let mut details = json!({ "revision": change.revision, "note": note });
    if let (Value::Object(details), Value::Object(particulars)) = (&mut details, change.particulars.clone()) {
        details.extend(particulars);
    }
    details.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_could_not_be_written_down_succeeds_and_says_so() {
        assert_eq!(missing(Ok(()), "settings.publish", 7, 1), [""; 0]);
        assert_eq!(missing(Err(CallError::DeadlineExceeded), "settings.publish", 7, 1), ["audit"]);
    }

    #[test]
    fn a_record_is_small_whatever_the_note() {
        for note in ["\u{1}".repeat(10_000), "é".repeat(10_000), String::new()] {
            let change = Change {
                actor: "operator".into(),
                action: "settings.publish",
                app_id: 7,
                revision: i64::MAX,
                note: &note,
                particulars: json!({ "base_revision": i64::MAX }),
            };
            let details = details(&change);
            assert!(details.len() <= 4096, "account takes no more: {}", details.len());
            let read: Value = serde_json::from_str(&details).expect("JSON");
            assert_eq!((&read["revision"], &read["base_revision"]), (&json!(i64::MAX), &json!(i64::MAX)));
        }
    }
}
