//! `AdminLiftSubjectBan`: a device or a part of the network is let in again before its ban is over.

use idl::account_admin::{LiftSubjectBanRequest, LiftSubjectBanResponse};

use super::ban_subject::follow_own_change;
use crate::{
    app_editor::request_id,
    domain::audit::{Action, Actor, AuditRecord},
    error::AccountError,
    service::Parts,
};

pub(crate) async fn lift_subject_ban(
    parts: &Parts,
    request: LiftSubjectBanRequest,
) -> Result<LiftSubjectBanResponse, AccountError> {
    let actor = Actor::parse(&request.actor)?;
    let record = |target, details| AuditRecord {
        actor: actor.clone(),
        action: Action::of("ban.lift"),
        target,
        request_id: request_id(),
        details,
    };
    if parts.risk.banned.store.lift(request.ban_id, parts.clock.now(), record).await? {
        follow_own_change(parts).await;
    }
    Ok(LiftSubjectBanResponse {})
}
