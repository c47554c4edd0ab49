//! `AdminPutChannel`: replaces the document of a channel.

use idl::account_admin::{PutChannelRequest, PutChannelResponse};

use super::wire::channel_details;
use crate::{
    domain::{audit::Actor, channel::identity::ChannelName, ids::AppId},
    error::AccountError,
    service::Parts,
};

pub(crate) async fn put_channel(parts: &Parts, request: PutChannelRequest) -> Result<PutChannelResponse, AccountError> {
    let actor = Actor::parse(&request.actor)?;
    let app_id = AppId::parse(request.app_id).map_err(|_| AccountError::NoSuchApp)?;
    let channel = ChannelName::parse(&request.channel)?;
    let shown = parts.channels.put(&actor, app_id, &channel, &request.document_json).await?;
    Ok(PutChannelResponse { channel: channel_details(shown) })
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use idl::{
        account::AccountService,
        account_admin::{ListChannelsRequest, PutChannelRequest},
    };
    use serde_json::{Value, json};

    use crate::{
        ChannelsConfig,
        testing::{ChannelServer, Service, code, config, field, public},
    };

    common::on_each_database! {
        async fn a_secret_goes_in_is_never_shown_and_can_stay(database: TestDatabase) {
            let service = Service::start(database).await;
            let server = ChannelServer::answering(200, &json!({ "code": 0, "uid": "u1" })).await;
            let put = service.put_channel("uc", &server.signed_http()).await;
            assert_eq!((&*put.channel, put.version), ("uc", 1));
            let list = service.account.admin_list_channels(ListChannelsRequest { app_id: service.app_id() }).await;
            assert_eq!(public(list).expect("a list").channels, std::slice::from_ref(&put));
            assert!(!put.document_json.contains("s3cret-key"), "{put:?}");
            let stored: Vec<(Vec<u8>,)> =
                service.database.read("SELECT sealed FROM account_channels").all().await.expect("read");
            assert!(!String::from_utf8_lossy(&stored[0].0).contains("s3cret"));
            let shown: Value = serde_json::from_str(&put.document_json).expect("JSON");
            assert_eq!(service.put_channel("uc", &shown).await.version, 2);
            service.channel_login("uc", &json!({ "token": "t" })).await.expect("signed in");
            let record = service.audit().await.remove(0);
            let details = r#"{"channel":"uc","login":"signed_http","version":2}"#;
            assert_eq!((&*record.action, &*record.details_json), ("app.put_channel", details));
        }

        async fn a_refused_document_names_its_place_and_changes_nothing(database: TestDatabase) {
            let mut narrow = config();
            narrow.channels = ChannelsConfig { per_app: std::num::NonZeroU32::MIN, ..ChannelsConfig::default() };
            let service = Service::start_with(database, narrow).await;
            let server = ChannelServer::answering(200, &json!({ "code": 0, "uid": "u1" })).await;
            service.put_channel("uc", &server.signed_http()).await;
            let mut metadata = server.signed_http();
            metadata["login"]["request"]["url"] = "http://169.254.169.254/latest/".into();
            for (channel, document, place) in [
                ("uc", metadata, "login.request.url"),
                ("uc", json!({ "login": { "kind": "magic" } }), "login.kind"),
                ("uc", json!({ "login": { "kind": "oidc" } }), "login"),
                ("UC", json!({ "login": null }), "channel"),
                ("second", json!({ "login": null }), "channel"),
            ] {
                let refused = field(service.try_put_channel(channel, &document).await);
                assert_eq!(refused, (ErrorCode::INVALID_ARGUMENT, place.to_owned()), "{document}");
            }
            service.channel_login("uc", &json!({ "token": "t" })).await.expect("signed in");
            for app_id in [0, 4242] {
                let (actor, channel, document_json) = ("operator".into(), "uc".into(), "{}".into());
                let request = PutChannelRequest { actor, app_id, channel, document_json };
                assert_eq!(code(public(service.account.admin_put_channel(request).await)), ErrorCode::NO_SUCH_APP);
                let list = service.account.admin_list_channels(ListChannelsRequest { app_id }).await;
                assert_eq!(code(public(list)), ErrorCode::NO_SUCH_APP);
            }
        }
    }
}
