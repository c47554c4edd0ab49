//! `GET /admin/v1/apps/{app_id}/channels`: the channels through which players of an app sign in.

use common::{
    http::{ApiError, Envelope, Path},
    rpc::CallError,
};
use idl::account_admin::ListChannelsRequest;
use serde::Serialize;
use utoipa::ToSchema;

use super::{app::AppPath, channel::Channel, operator::Operator};

/// The channels of an app.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListChannelsAnswer)]
pub(crate) struct Answer {
    /// By name.
    channels: Vec<Channel>,
}

/// The channels of an app, with `***` in the place of each secret.
#[utoipa::path(get, path = "/admin/v1/apps/{app_id}/channels", tag = "Apps", security(("operator" = [])), params(("app_id" = i64, Path)), responses((status = 200, body = Answer)))]
pub(crate) async fn list_channels(
    Operator { account, .. }: Operator,
    Path(AppPath { app_id }): Path<AppPath>,
) -> Result<Envelope<Answer>, ApiError> {
    let found = account.admin_list_channels(ListChannelsRequest { app_id }).await.map_err(CallError::from)?;
    let channels = found.channels.into_iter().map(Channel::try_from).collect::<Result<_, _>>()?;
    Ok(Envelope(Answer { channels }))
}
