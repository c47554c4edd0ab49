//! `AdminListChannels`: the channels of an app, without their secrets.

use idl::account_admin::{ListChannelsRequest, ListChannelsResponse};

use super::wire::channel_details;
use crate::{domain::ids::AppId, error::AccountError, service::Parts, store::apps::Apps};

pub(crate) async fn list_channels(
    parts: &Parts,
    request: ListChannelsRequest,
) -> Result<ListChannelsResponse, AccountError> {
    let app_id = AppId::parse(request.app_id).map_err(|_| AccountError::NoSuchApp)?;
    let apps = Apps::new(parts.app_editor.database.clone());
    apps.find(app_id).await?.ok_or(AccountError::NoSuchApp)?;
    let channels = parts.channels.of_app(app_id).await?;
    Ok(ListChannelsResponse { channels: channels.into_iter().map(channel_details).collect() })
}
