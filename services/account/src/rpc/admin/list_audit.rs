//! `AdminListAudit`: what operators changed, newest first, in pages.

use idl::account_admin::{AuditRecord, ListAuditRequest, ListAuditResponse};

use super::wire::{cut_to_page, page_and_one};
use crate::{error::AccountError, service::Parts, store::audit::StoredRecord};

pub(crate) async fn list_audit(parts: &Parts, request: ListAuditRequest) -> Result<ListAuditResponse, AccountError> {
    let limit = page_and_one(request.limit)?;
    let mut found = parts.audit.older_than(request.before.unwrap_or(i64::MAX), limit).await?;
    let more = cut_to_page(&mut found, limit);
    Ok(ListAuditResponse { records: found.into_iter().map(audit_record).collect(), more })
}

fn audit_record(record: StoredRecord) -> AuditRecord {
    AuditRecord {
        id: record.id,
        at: record.at.as_millis(),
        actor: record.actor.into(),
        action: record.action.into(),
        target_kind: record.target_kind.into(),
        target_id: record.target_id.into(),
        request_id: record.request_id.map(Into::into),
        details_json: record.details.into(),
    }
}

#[cfg(test)]
mod tests {
    use common::{clock::Clock, context::RequestContext, error_code::ErrorCode};
    use idl::{
        account::AccountService,
        account_admin::{ListAuditRequest, RecordChangeRequest},
    };

    use crate::testing::{Service, field, public};

    fn change(details: &str) -> RecordChangeRequest {
        RecordChangeRequest {
            actor: "operator".into(),
            action: "log_level.set".into(),
            target_kind: "process".into(),
            target_id: "gateway".into(),
            details_json: details.to_owned().into(),
        }
    }

    common::on_each_database! {
        async fn records_come_newest_first_with_the_request_they_were_made_by(database: TestDatabase) {
            let service = Service::start(database).await;
            let context = RequestContext::root(&*crate::testing::random());
            for level in ["debug", "info"] {
                let call = service.account.admin_record_change(change(&format!(r#"{{"level":"{level}"}}"#)));
                public(context.scope(call).await).expect("written");
            }
            let page = async |before, limit| {
                public(service.account.admin_list_audit(ListAuditRequest { before, limit }).await).expect("a page")
            };
            let newest = page(None, 1).await;
            assert_eq!((newest.more, &*newest.records[0].details_json), (true, r#"{"level":"info"}"#));
            assert_eq!(newest.records[0].request_id.as_deref(), Some(&*context.trace_id.to_string()));
            assert_eq!(newest.records[0].at, service.clock.now().as_millis());
            let older = page(Some(newest.records[0].id), 10).await;
            let actions: Vec<_> = older.records.iter().map(|record| &*record.action).collect();
            assert_eq!((older.more, actions), (false, vec!["log_level.set", "app.create"]));
        }

        async fn what_is_no_object_or_too_much_is_not_written(database: TestDatabase) {
            let service = Service::start(database).await;
            let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(5000));
            for details in ["", "[1]", &long] {
                let refused = public(service.account.admin_record_change(change(details)).await);
                assert_eq!(field(refused), (ErrorCode::INVALID_ARGUMENT, "details".to_owned()));
            }
            assert_eq!(service.audit().await.len(), 1);
        }
    }
}
