//! An operator who asks for something of pay.

use common::http::ApiError;
use http::request::Parts;
use idl::{account::AccountServiceClient, pay::PayServiceClient};
use volo::FastStr;
use volo_http::{context::ServerContext, server::extract::FromContext};

use super::operator::OperatorOfProcess;

/// An operator, pay, and account, which keeps the audit. Refuses everybody else as [`super::operator::Operator`] does.
pub(crate) struct PayOperator {
    /// Who is written down as having made a change.
    pub(crate) actor: FastStr,
    pub(crate) account: AccountServiceClient,
    pub(crate) pay: PayServiceClient,
}

impl FromContext for PayOperator {
    type Rejection = ApiError;

    async fn from_context(cx: &mut ServerContext, parts: &mut Parts) -> Result<Self, ApiError> {
        let OperatorOfProcess { admin, actor } = OperatorOfProcess::from_context(cx, parts).await?;
        Ok(Self { actor, account: admin.account()?, pay: admin.pay()? })
    }
}
