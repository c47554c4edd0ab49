//! `AdminPutChannel`: replaces the configuration of a payment channel.

use idl::pay_admin::{PutPayChannelRequest, PutPayChannelResponse};

use super::list_channels::details;
use crate::{
    domain::FieldError,
    error::OrderError,
    rpc::{create_order::is_channel_name, wire},
    service::Parts,
};

pub(crate) async fn put_channel(
    parts: &Parts,
    request: PutPayChannelRequest,
) -> Result<PutPayChannelResponse, OrderError> {
    let app_id = wire::app_id(request.app_id)?;
    if !is_channel_name(&request.channel) {
        return Err(FieldError::new("channel", "must be 1-32 of a-z, 0-9, _ and -").into());
    }
    let shown = parts.channels.put(app_id, &request.channel, &request.document_json).await?;
    Ok(PutPayChannelResponse { channel: details(shown) })
}

#[cfg(test)]
mod tests {
    use common::error_code::{ErrorCode, PublicError};
    use idl::{
        pay::PayService,
        pay_admin::{ListPayChannelsRequest, PayChannelDetails, PutPayChannelRequest},
    };

    use crate::testing::{APP, OTHER_APP, Service, call_back_on, callback_request, payment, public, refusal};

    async fn put(service: &Service, channel: &'static str, json: &str) -> Result<PayChannelDetails, PublicError> {
        let request = PutPayChannelRequest {
            actor: "operator".into(),
            app_id: APP,
            channel: channel.into(),
            document_json: json.to_owned().into(),
        };
        public(service.pay.admin_put_channel(request).await).map(|answer| answer.channel)
    }

    common::on_each_database! {
        async fn a_channel_goes_in_with_its_secrets_and_comes_out_without(database: TestDatabase) {
            let service = Service::start(database).await;
            let put_first = put(&service, "test", r#"{"kind":"sandbox"}"#).await.expect("put");
            assert_eq!((&*put_first.channel, put_first.version), ("test", 1));
            assert_eq!(put(&service, "test", r#"{"kind":"sandbox"}"#).await.expect("put").version, 2);
            let list = |app_id| service.pay.admin_list_channels(ListPayChannelsRequest { app_id });
            assert_eq!(public(list(APP).await).expect("a list").channels.len(), 1);
            assert!(public(list(OTHER_APP).await).expect("a list").channels.is_empty());
            let stored: Vec<(Vec<u8>,)> =
                service.database.read("SELECT sealed FROM pay_channels").all().await.expect("read");
            assert!(!String::from_utf8_lossy(&stored[0].0).contains("sandbox"), "it is sealed");

            // Every instance takes its callbacks.
            let order_id = service.order("k-1").await;
            let mut request = callback_request(APP, &payment(&order_id).to_string(), crate::testing::SECRET);
            request.channel = "test".into();
            let answer = public(service.replica().await.handle_callback(request).await).expect("a channel");
            assert_eq!(&*answer.body, b"SUCCESS");
            assert_eq!(service.look(&order_id).await.channel.as_deref(), Some("test"));
        }

        async fn a_refused_configuration_names_its_place_and_changes_nothing(database: TestDatabase) {
            let service = Service::start(database).await;
            for (json, field) in [
                (r#"{"kind":"magic"}"#, "kind"),
                (r#"{"kind":"sandbox","key":1}"#, "key"),
                ("[]", "."),
                (r#"{"kind":"alipay"}"#, ""),
            ] {
                let (code, named) = refusal(put(&service, "uc", json).await);
                assert_eq!(code, ErrorCode::INVALID_ARGUMENT, "{json}");
                assert!(field.is_empty() || named == field, "{json} {named}");
            }
            assert_eq!(refusal(put(&service, "../uc", r#"{"kind":"sandbox"}"#).await).1, "channel");
            assert_eq!(service.count("SELECT COUNT(*) FROM pay_channels").await, 0);
            let elsewhere = call_back_on(&service.pay, APP, &payment("x")).await.expect("a channel");
            assert_eq!(elsewhere.status, 400);
        }
    }
}
