//! `PUT /admin/v1/log-level`: how much the log of this process says.
//!
//! Works whatever else is broken: it is for the moment in which something is. So the change is made first and written
//! down after, and a record that can't be written does not undo it.

use common::{
    error_code::{ErrorCode, PublicError},
    http::{ApiError, Envelope, Json},
};
use idl::account_admin::RecordChangeRequest;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use volo::FastStr;

use super::operator::OperatorOfProcess;
use crate::admin::AdminApi;

/// Longer directives are refused: the audit keeps them.
const MAX_LEVEL_BYTES: usize = 1024;

/// What the log is to say.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = LogLevelRequest)]
pub(crate) struct Request {
    /// In the form of `log.level`, at most 1024 bytes.
    #[schema(value_type = String, example = "info,account=debug")]
    level: FastStr,
}

/// What is in force.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LogLevelAnswer)]
pub(crate) struct Answer {
    #[schema(value_type = String)]
    level: FastStr,
    /// What was in force before.
    previous: String,
    /// Whether the change was written into the audit: not while account can't be asked. The log has it anyway.
    audited: bool,
}

/// Changes how much the log of this process says, until it ends or a dynamic document says otherwise.
#[utoipa::path(put, path = "/admin/v1/log-level", tag = "Process", security(("operator" = [])), request_body = Request, responses((status = 200, body = Answer)))]
pub(crate) async fn log_level(
    OperatorOfProcess { admin, actor }: OperatorOfProcess,
    Json(Request { level }): Json<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let no_log = || PublicError::new(ErrorCode::FORBIDDEN).message("this process writes no log");
    let handle = admin.log_level().ok_or_else(no_log)?;
    if level.len() > MAX_LEVEL_BYTES {
        return Err(ApiError(PublicError::invalid("level", "is longer than 1024 bytes")));
    }
    let previous = handle.current();
    handle.set(&level).map_err(|error| PublicError::invalid("level", error.to_string()))?;
    tracing::info!(%level, %previous, %actor, "the log level was changed");
    let record = RecordChangeRequest {
        actor,
        action: "log_level.set".into(),
        target_kind: "process".into(),
        target_id: admin.process().to_owned().into(),
        details_json: json!({ "level": { "before": *previous, "after": level } }).to_string().into(),
    };
    let audited = audited(&admin, record).await;
    Ok(Envelope(Answer { level, previous: previous.to_string(), audited }))
}

/// Whether account has written it down. While the process starts nobody can be asked.
async fn audited(admin: &AdminApi, record: RecordChangeRequest) -> bool {
    let Ok(account) = admin.account() else { return false };
    let written = account.admin_record_change(record).await;
    if let Err(error) = &written {
        tracing::warn!(%error, "a change of the log level could not be written into the audit");
    }
    written.is_ok()
}
