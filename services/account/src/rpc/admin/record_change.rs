//! `AdminRecordChange`: writes down a change that an operator made outside of this service.

use idl::account_admin::{RecordChangeRequest, RecordChangeResponse};

use crate::{
    app_editor::request_id,
    domain::audit::{Action, Actor, AuditRecord, Details, Target},
    error::AccountError,
    service::Parts,
};

pub(crate) async fn record_change(
    parts: &Parts,
    request: RecordChangeRequest,
) -> Result<RecordChangeResponse, AccountError> {
    let record = AuditRecord {
        actor: Actor::parse(&request.actor)?,
        action: Action::parse(&request.action)?,
        target: Target::parse(&request.target_kind, &request.target_id)?,
        request_id: request_id(),
        details: Details::parse(&request.details_json)?,
    };
    parts.audit.record(&record, parts.clock.now()).await?;
    Ok(RecordChangeResponse {})
}
