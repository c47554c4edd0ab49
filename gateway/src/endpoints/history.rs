//! What happened to an account, as it is answered to its player and to operators.

use idl::account_admin::{HistoryEvent, ListHistoryResponse};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use volo::FastStr;

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryPage {
    /// The `next` of the page before.
    #[param(value_type = Option<String>)]
    pub(super) before: Option<FastStr>,
    /// 1-200; absent: 50.
    pub(super) limit: Option<i64>,
}

/// A page of what happened.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct History {
    /// Newest first. What happened in the last moments may be missing.
    events: Vec<Event>,
    /// There are older ones: ask with `before` set to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    next: Option<FastStr>,
}

/// Something that happened. Fields that are not known or mean nothing for its kind are left out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HistoryEvent)]
pub(crate) struct Event {
    #[schema(value_type = String)]
    event_id: FastStr,
    /// Unix milliseconds.
    at: i64,
    /// `account_created`, `signed_in`, `sign_in_failed`, `refresh_token_reused`, `sessions_ended`, `credential_linked`,
    /// `password_changed`, `banned`, `ban_lifted`, `unlocked`, `deletion_requested` or `deletion_cancelled`; kinds are
    /// added.
    #[schema(value_type = String, example = "signed_in")]
    kind: FastStr,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    session_id: Option<FastStr>,
    /// The device id the client gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    device: Option<FastStr>,
    /// The network address it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    address: Option<FastStr>,
    /// The kind of credential that was used, the reason sessions ended for, or that of a ban.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "password")]
    reason: Option<FastStr>,
    /// The request behind it, as its answer and every log line name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    request_id: Option<FastStr>,
}

impl From<ListHistoryResponse> for History {
    fn from(page: ListHistoryResponse) -> Self {
        let next = page.events.last().filter(|_| page.more).map(|last| last.event_id.clone());
        Self { events: page.events.into_iter().map(Event::from).collect(), next }
    }
}

impl From<HistoryEvent> for Event {
    fn from(event: HistoryEvent) -> Self {
        Self {
            event_id: event.event_id,
            at: event.at,
            kind: event.kind,
            app_id: event.app_id,
            session_id: event.session_id,
            device: event.device_id,
            address: event.address,
            reason: event.reason,
            request_id: event.request_id,
        }
    }
}
