//! `AdminListAudit`: what operators changed, newest first, in pages.

use idl::account_admin::{AuditRecord, ListAuditRequest, ListAuditResponse};

use super::wire::{cut_to_page, page_and_one};
use crate::{
    domain::{audit::Target, field::FieldError},
    error::AccountError,
    service::Parts,
    store::audit::StoredRecord,
};

pub(crate) async fn list_audit(parts: &Parts, request: ListAuditRequest) -> Result<ListAuditResponse, AccountError> {
    let limit = page_and_one(request.limit)?;
    let before = request.before.unwrap_or(i64::MAX);
    let mut found = match (request.target_kind, request.target_id) {
        (None, None) => parts.audit.older_than(before, limit).await?,
        (Some(kind), Some(id)) => parts.audit.of_target_older_than(&Target::parse(&kind, &id)?, before, limit).await?,
        (Some(_), None) => return Err(FieldError::new("target_id", "is required with `target_kind`").into()),
        (None, Some(_)) => return Err(FieldError::new("target_kind", "is required with `target_id`").into()),
    };
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
                public(service.account.admin_list_audit(ListAuditRequest { before, limit, ..ListAuditRequest::default() }).await).expect("a page")
            };
            let newest = page(None, 1).await;
            assert_eq!((newest.more, &*newest.records[0].details_json), (true, r#"{"level":"info"}"#));
            assert_eq!(newest.records[0].request_id.as_deref(), Some(&*context.trace_id.to_string()));
            assert_eq!(newest.records[0].at, service.clock.now().as_millis());
            let older = page(Some(newest.records[0].id), 10).await;
            let actions: Vec<_> = older.records.iter().map(|record| &*record.action).collect();
            assert_eq!((older.more, actions), (false, vec!["log_level.set", "app.create"]));
        }

        async fn what_was_done_to_one_target_is_found_by_itself(database: TestDatabase) {
            let service = Service::start(database).await;
            for (target, level) in [("gateway", "one"), ("setting", "two"), ("gateway", "three")] {
                let level = change(&format!(r#"{{"level":"{level}"}}"#));
                let record = RecordChangeRequest { target_id: target.into(), ..level };
                public(service.account.admin_record_change(record).await).expect("written");
            }
            let ask = async |kind: Option<&'static str>, id: Option<&'static str>, before, limit| {
                let (target_kind, target_id) = (kind.map(Into::into), id.map(Into::into));
                let request = ListAuditRequest { before, limit, target_kind, target_id };
                public(service.account.admin_list_audit(request).await)
            };
            let newest = ask(Some("process"), Some("gateway"), None, 1).await.expect("a page");
            assert_eq!((newest.more, &*newest.records[0].details_json), (true, r#"{"level":"three"}"#));
            let older = ask(Some("process"), Some("gateway"), Some(newest.records[0].id), 10).await.expect("a page");
            let details: Vec<_> = older.records.iter().map(|record| &*record.details_json).collect();
            assert_eq!((older.more, details), (false, vec![r#"{"level":"one"}"#]));
            assert_eq!(field(ask(Some("process"), None, None, 10).await).1, "target_id");
            assert_eq!(field(ask(None, Some("gateway"), None, 10).await).1, "target_kind");
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
