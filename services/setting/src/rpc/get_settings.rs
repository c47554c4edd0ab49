//! `GetSettings`: the settings of one app as its players on one channel see them.
//!
//! Answers from memory. Package, version and account do not choose among settings: a document knows only channels.

use common::context::RequestContext;
use idl::setting::{GetSettingsRequest, GetSettingsResponse};
use pilota::FastStr;

use crate::{
    domain::{AppId, Audience, AudienceError, Channel, still_holds},
    error::GetSettingsError,
    store::{SettingsCache, Source},
};

pub(crate) async fn get_settings<S: Source>(
    settings: &SettingsCache<S>,
    request: GetSettingsRequest,
) -> Result<GetSettingsResponse, GetSettingsError> {
    let refused = |field| move |reason: AudienceError| GetSettingsError::Argument { field, reason };
    let audience = Audience {
        app: AppId::parse(request.app_id).map_err(refused("app_id"))?,
        channel: Channel::parse(request.channel).map_err(refused("channel"))?,
    };
    let patience = RequestContext::current().and_then(|context| context.remaining());
    let snapshot = settings.get(&audience, patience).await?;
    let unchanged = request.if_none_match.is_some_and(|tags| still_holds(&tags, &snapshot.entity_tag));
    Ok(GetSettingsResponse {
        entity_tag: snapshot.entity_tag.clone(),
        revision: snapshot.revision,
        settings_json: (!unchanged).then(|| snapshot.settings_json.clone()),
        notices_json: FastStr::from_static_str("[]"),
        ..GetSettingsResponse::default()
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use common::{clock::testing::SeededRandom, error_code::ErrorCode, rpc::Refusal};
    use prometheus::Registry;
    use tempfile::TempDir;

    use super::*;
    use crate::{config::Config, metrics::Metrics, store::ObjectStore};

    struct Service {
        root: TempDir,
        settings: SettingsCache<ObjectStore>,
    }

    impl Service {
        fn start() -> Self {
            let root = TempDir::new().expect("a temporary directory");
            let config = Config::default();
            let store = ObjectStore::in_directory(root.path(), config.document_bytes_max.get()).expect("opens");
            let metrics = Arc::new(Metrics::register(&Registry::new()).expect("names are free"));
            let settings = SettingsCache::new(store, config, Arc::new(SeededRandom::new(1)), metrics);
            Self { root, settings }
        }

        fn publish(&self, path: &str, text: &str) {
            let path = self.root.path().join(path);
            fs::create_dir_all(path.parent().expect("below the root")).expect("makes directories");
            fs::write(path, text).expect("writes");
        }

        async fn ask(&self, request: GetSettingsRequest) -> Result<GetSettingsResponse, GetSettingsError> {
            get_settings(&self.settings, request).await
        }
    }

    fn request(app_id: i64) -> GetSettingsRequest {
        GetSettingsRequest { app_id, ..GetSettingsRequest::default() }
    }

    fn on_channel(channel: &str) -> GetSettingsRequest {
        GetSettingsRequest { channel: Some(FastStr::new(channel)), ..request(1) }
    }

    #[tokio::test]
    async fn a_player_sees_the_app_s_settings_with_the_channel_s_on_top() {
        let service = Service::start();
        service.publish(
            "apps/1/app.json",
            r#"{"revision":7,"settings":{"rate":{"type":"number","value":1},"on":{"type":"bool","value":true}}}"#,
        );
        service.publish("apps/1/channels/store.json", r#"{"settings":{"rate":2}}"#);
        let answer = service.ask(on_channel("store")).await.expect("served");
        assert_eq!(answer.settings_json.as_deref(), Some(r#"{"on":true,"rate":2}"#));
        assert_eq!(answer.revision, 7);
        let official = service.ask(request(1)).await.expect("served");
        assert_eq!(official.settings_json.as_deref(), Some(r#"{"on":true,"rate":1}"#));
        assert_ne!(official.entity_tag, answer.entity_tag);
    }

    #[tokio::test]
    async fn an_app_without_settings_has_an_empty_object_and_a_tag() {
        let answer = Service::start().ask(request(9)).await.expect("served");
        assert_eq!((answer.revision, answer.settings_json.as_deref()), (0, Some("{}")));
        assert!(answer.entity_tag.starts_with('"'), "{}", answer.entity_tag);
    }

    #[tokio::test]
    async fn who_has_the_current_settings_is_not_sent_them_again() {
        let service = Service::start();
        let first = service.ask(request(1)).await.expect("served");
        for held in [first.entity_tag.to_string(), format!("\"old\", W/{}", first.entity_tag), "*".to_owned()] {
            let again = GetSettingsRequest { if_none_match: Some(FastStr::from(held)), ..request(1) };
            let answer = service.ask(again).await.expect("served");
            assert_eq!((answer.settings_json, answer.entity_tag), (None, first.entity_tag.clone()));
        }
        let outdated = GetSettingsRequest { if_none_match: Some(FastStr::from_static_str("\"old\"")), ..request(1) };
        assert!(service.ask(outdated).await.expect("served").settings_json.is_some());
    }

    #[tokio::test]
    async fn an_argument_that_can_not_be_is_refused_and_named() {
        let service = Service::start();
        for (bad, field) in
            [(on_channel("../official"), "channel"), (on_channel(""), "channel"), (request(0), "app_id")]
        {
            let refusal = service.ask(bad).await.expect_err("refused").public();
            assert_eq!(refusal.code, ErrorCode::INVALID_ARGUMENT);
            assert_eq!(refusal.details[0].0, field);
        }
    }

    #[tokio::test]
    async fn a_broken_document_is_our_fault_and_not_an_empty_answer() {
        let service = Service::start();
        service.publish("apps/1/app.json", "{");
        let refusal = service.ask(request(1)).await.expect_err("nothing good is known").public();
        assert_eq!(refusal.code, ErrorCode::DEPENDENCY_UNAVAILABLE);
        assert!(refusal.retry_after.is_some());
        assert!(!format!("{refusal:?}").contains("app.json"), "paths stay inside: {refusal:?}");
        assert!(service.ask(request(2)).await.is_ok(), "another app is not affected");
    }
}
