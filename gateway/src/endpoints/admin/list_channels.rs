//! `GET /admin/v1/apps/{app_id}/channels`: the channels through which players of an app sign in and pay.

use common::{
    http::{ApiError, Envelope, Path},
    rpc::CallError,
};
use idl::{account_admin::ListChannelsRequest, pay_admin::ListPayChannelsRequest};
use serde::Serialize;
use utoipa::ToSchema;

use super::{app::AppPath, channel::Channel, pay_operator::PayOperator};

/// The channels of an app.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListChannelsAnswer)]
pub(crate) struct Answer {
    /// Those that players sign in through by name, then those that are paid through.
    channels: Vec<Channel>,
}

/// The channels of an app, with `***` in the place of each secret.
#[utoipa::path(get, path = "/admin/v1/apps/{app_id}/channels", tag = "Apps", security(("operator" = [])), params(("app_id" = i64, Path)), responses((status = 200, body = Answer)))]
pub(crate) async fn list_channels(
    PayOperator { account, pay, .. }: PayOperator,
    Path(AppPath { app_id }): Path<AppPath>,
) -> Result<Envelope<Answer>, ApiError> {
    let found = account.admin_list_channels(ListChannelsRequest { app_id }).await.map_err(CallError::from)?;
    let paid_through = pay.admin_list_channels(ListPayChannelsRequest { app_id }).await.map_err(CallError::from)?;
    let login = found.channels.into_iter().map(Channel::try_from);
    let channels = login.chain(paid_through.channels.into_iter().map(Channel::try_from)).collect::<Result<_, _>>()?;
    Ok(Envelope(Answer { channels }))
}
