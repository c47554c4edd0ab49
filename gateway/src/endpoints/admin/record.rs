//! What a change outside of account leaves in the audit.
//!
//! The change is made first and written down after: a record that can't be written does not undo it, and is in the log
//! instead. What happens to an order is in its journal besides, in the same transaction.

use idl::account_admin::RecordChangeRequest;
use serde_json::Value;

use super::pay_operator::PayOperator;

/// The audit takes no longer details.
const LONGEST_DETAILS: usize = 4096;

/// A change that was made.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) action: &'static str,
    pub(super) target_kind: &'static str,
    pub(super) target_id: String,
    /// Holds nothing secret.
    pub(super) details: Value,
}

/// Writes it down.
pub(super) async fn record(operator: &PayOperator, change: Change) {
    let Change { action, target_kind, target_id, details } = change;
    let details = details.to_string();
    let record = RecordChangeRequest {
        actor: operator.actor.clone(),
        action: action.into(),
        target_kind: target_kind.into(),
        target_id: target_id.clone().into(),
        details_json: if details.len() <= LONGEST_DETAILS { details.into() } else { "{}".into() },
    };
    if let Err(error) = operator.account.admin_record_change(record).await {
        tracing::warn!(%error, action, target_id, "a change could not be written into the audit");
    }
}
