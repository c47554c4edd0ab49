//! `AdminListChannels`: the payment channels of an app, without their secrets.

use idl::pay_admin::{ListPayChannelsRequest, ListPayChannelsResponse, PayChannelDetails};

use crate::{channel_book::ShownChannel, error::OrderError, rpc::wire, service::Parts};

pub(crate) async fn list_channels(
    parts: &Parts,
    request: ListPayChannelsRequest,
) -> Result<ListPayChannelsResponse, OrderError> {
    let shown = parts.channels.of_app(wire::app_id(request.app_id)?).await?;
    Ok(ListPayChannelsResponse { channels: shown.into_iter().map(details).collect() })
}

pub(super) fn details(shown: ShownChannel) -> PayChannelDetails {
    let ShownChannel { channel, version, updated_at, document } = shown;
    PayChannelDetails {
        channel: channel.into(),
        version,
        document_json: document.into(),
        updated_at: updated_at.as_millis(),
    }
}
