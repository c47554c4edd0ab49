//! `AdminExplain`: which layer or rule gives a caller each value, and why the others do not.

use std::sync::Arc;

use common::{clock::Timestamp, context::RequestContext};
use idl::setting_admin::{Candidate, ExplainRequest, ExplainResponse, ExplainedSetting};
use pilota::FastStr;

use super::{field, wire};
use crate::{
    domain::{self, AppId, Caller, Snapshot},
    error::{AdminError, ArgumentError},
    operations::{carry_out, compute},
    publishing,
    rpc::caller::CallerFields,
    service::Parts,
    store::{Live, ReadFailure, Wait},
};

/// Whose settings are explained.
enum Subject {
    /// What players are answered from.
    Current,
    Revision(i64),
    /// A document that is not published.
    Document(FastStr),
}

pub(crate) async fn explain(parts: &Arc<Parts>, request: ExplainRequest) -> Result<ExplainResponse, AdminError> {
    let app = field::app_id(request.app_id)?;
    let subject = match (request.revision, request.document_json) {
        (None, None) => Subject::Current,
        (Some(revision), None) => Subject::Revision(field::version("revision", revision)?),
        (None, Some(document)) => Subject::Document(document),
        (Some(_), Some(_)) => {
            return Err(ArgumentError::new("document", "can't be given together with a revision").into());
        }
    };
    let caller = CallerFields {
        channel: request.channel,
        package_name: request.package_name,
        version: request.version,
        account_id: request.account_id,
        device_id: request.device_id,
    }
    .parse()?;
    let at = request.at.map_or_else(|| parts.clock.now(), Timestamp::from_millis);
    let patience = RequestContext::current().and_then(|context| context.remaining());
    carry_out(parts, move |parts| async move {
        match subject {
            Subject::Current => {
                let wait = Wait { patience, min_revision: 0 };
                let live = parts.settings.get_after_look(app, wait).await?.live;
                compute(move || answer(&live.snapshot, &caller, at)).await
            }
            Subject::Revision(version) => of_version(&parts, app, version, caller, at).await,
            Subject::Document(document) => {
                let document = publishing::parse(&parts, document).await?;
                compute(move || answer(&Snapshot::compile(0, document), &caller, at)).await
            }
        }
    })
    .await
}

async fn of_version(
    parts: &Parts,
    app: AppId,
    version: i64,
    caller: Caller,
    at: Timestamp,
) -> Result<ExplainResponse, AdminError> {
    let published = wire::version(parts, app, version).await?;
    let limits = parts.limits.clone();
    let explained = compute(move || Live::of(&published, &limits).map(|live| answer(&live.snapshot, &caller, at)));
    explained.await?.map_err(|problems| {
        ReadFailure::Broken { path: parts.store.place_of(app, version), reason: problems.to_string() }.into()
    })
}

fn answer(snapshot: &Snapshot, caller: &Caller, at: Timestamp) -> ExplainResponse {
    let valid_until = domain::evaluate(snapshot, caller, at).valid_until();
    ExplainResponse {
        revision: snapshot.revision(),
        settings: domain::explain(snapshot, caller, at).into_iter().map(setting).collect(),
        valid_until: valid_until.map(Timestamp::as_millis),
    }
}

fn setting(setting: domain::ExplainedSetting) -> ExplainedSetting {
    ExplainedSetting {
        name: setting.name,
        value_json: setting.value_json,
        source: setting.source,
        candidates: setting.candidates.into_iter().map(candidate).collect(),
    }
}

fn candidate(candidate: domain::Candidate) -> Candidate {
    Candidate {
        source: candidate.source,
        value_json: candidate.value_json,
        applies: candidate.applies,
        why_not: candidate.why_not.map(FastStr::from),
    }
}

#[cfg(test)]
mod tests {
    use common::{error_code::ErrorCode, rpc::Refusal};

    use super::*;
    use crate::testing::Service;

    const DOCUMENT: &str = r#"{
        "settings": {"rate": {"type": "number", "value": 1}},
        "channels": {"store": {"rate": 2}},
        "rules": [{"setting": "rate", "value": 3, "when": {"accounts": [7]}}]
    }"#;

    fn request() -> ExplainRequest {
        ExplainRequest { app_id: 1, channel: Some(FastStr::from_static_str("store")), ..ExplainRequest::default() }
    }

    async fn source_of_rate(service: &Service, request: ExplainRequest) -> (i64, String, String) {
        let answer = explain(service.parts(), request).await.expect("explained");
        let [rate] = &answer.settings[..] else { panic!("one setting: {:?}", answer.settings) };
        (answer.revision, rate.source.to_string(), rate.value_json.to_string())
    }

    #[tokio::test]
    async fn every_value_has_a_source_and_those_that_lost_have_a_reason() {
        let service = Service::start();
        service.publish(1, 0, DOCUMENT).await.expect("published");
        assert_eq!(source_of_rate(&service, request()).await, (1, "channels.store".into(), "2".into()));
        let of_account = ExplainRequest { account_id: Some(7), ..request() };
        assert_eq!(source_of_rate(&service, of_account).await, (1, "rules[0]".into(), "3".into()));
        let answer = explain(service.parts(), request()).await.expect("explained");
        let candidates = &answer.settings[0].candidates;
        let lost = candidates.iter().find(|candidate| candidate.source == "rules[0]").expect("it is there");
        assert!(!lost.applies && lost.why_not.is_some(), "{lost:?}");
    }

    #[tokio::test]
    async fn an_earlier_version_and_one_that_is_not_published_are_explained_too() {
        let service = Service::start();
        service.publish(1, 0, DOCUMENT).await.expect("published");
        service.publish(1, 1, r#"{"settings":{"rate":{"type":"number","value":9}}}"#).await.expect("published");
        let earlier = ExplainRequest { revision: Some(1), ..request() };
        assert_eq!(source_of_rate(&service, earlier).await, (1, "channels.store".into(), "2".into()));
        assert_eq!(source_of_rate(&service, request()).await, (2, "default".into(), "9".into()));
        let draft = r#"{"settings":{"rate":{"type":"number","value":5}}}"#;
        let draft = ExplainRequest { document_json: Some(FastStr::from_static_str(draft)), ..request() };
        assert_eq!(source_of_rate(&service, draft).await, (0, "default".into(), "5".into()));
        assert_eq!(service.revision(1).await, 2, "nothing was published");
    }

    #[tokio::test]
    async fn what_can_not_be_explained_is_refused() {
        let service = Service::start();
        let both = ExplainRequest { revision: Some(1), document_json: Some(FastStr::empty()), ..request() };
        let none = ExplainRequest { revision: Some(1), ..request() };
        let broken = ExplainRequest { document_json: Some(FastStr::from_static_str("{")), ..request() };
        let channel = ExplainRequest { channel: Some(FastStr::from_static_str("A/B")), ..request() };
        for (request, code) in [
            (both, ErrorCode::INVALID_ARGUMENT),
            (none, ErrorCode::NO_SUCH_SETTING),
            (broken, ErrorCode::INVALID_ARGUMENT),
            (channel, ErrorCode::INVALID_ARGUMENT),
        ] {
            assert_eq!(explain(service.parts(), request).await.expect_err("refused").public().code, code);
        }
    }
}
