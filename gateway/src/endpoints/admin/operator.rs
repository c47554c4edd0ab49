//! Who may call the admin API: whoever presents the admin token.

use std::sync::Arc;

use common::{
    error_code::{ErrorCode, PublicError},
    http::{ApiError, Bearer},
};
use http::request::Parts;
use idl::{account::AccountServiceClient, setting::SettingServiceClient};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;
use volo::FastStr;
use volo_http::{context::ServerContext, server::extract::FromContext, utils::Extension};

use crate::{admin::AdminApi, settings_copy::copy::SettingsCopy};

/// The name under which changes are written down. There is one token, so operators can't be told apart.
const NAME: FastStr = FastStr::from_static_str("operator");

/// An operator, and what one may use. Refuses everybody else with 401, and everybody while the process still starts
/// with 503.
pub(crate) struct Operator {
    /// Who is written down as having made a change.
    pub(crate) actor: FastStr,
    pub(crate) account: AccountServiceClient,
}

/// An operator who looks at settings or changes them. Refuses as [`Operator`] does.
pub(crate) struct OperatorOfSettings {
    pub(crate) actor: FastStr,
    pub(crate) account: AccountServiceClient,
    pub(crate) setting: SettingServiceClient,
    /// The settings as this gateway answers them.
    pub(crate) settings: SettingsCopy,
}

/// An operator who asks for nothing but this process. Refuses everybody else with 401.
pub(crate) struct OperatorOfProcess {
    pub(crate) admin: Arc<AdminApi>,
    pub(crate) actor: FastStr,
}

impl FromContext for Operator {
    type Rejection = ApiError;

    async fn from_context(cx: &mut ServerContext, parts: &mut Parts) -> Result<Self, ApiError> {
        let OperatorOfProcess { admin, actor } = OperatorOfProcess::from_context(cx, parts).await?;
        Ok(Self { actor, account: admin.account()? })
    }
}

impl FromContext for OperatorOfSettings {
    type Rejection = ApiError;

    async fn from_context(cx: &mut ServerContext, parts: &mut Parts) -> Result<Self, ApiError> {
        let OperatorOfProcess { admin, actor } = OperatorOfProcess::from_context(cx, parts).await?;
        Ok(Self { actor, account: admin.account()?, setting: admin.setting()?, settings: admin.settings()? })
    }
}

impl FromContext for OperatorOfProcess {
    type Rejection = ApiError;

    async fn from_context(cx: &mut ServerContext, parts: &mut Parts) -> Result<Self, ApiError> {
        let Bearer(token) = Bearer::from_context(cx, parts).await?;
        let Ok(Extension(admin)) = Extension::<Arc<AdminApi>>::from_context(cx, parts).await else {
            tracing::error!("the admin routes are served without the admin API around them");
            return Err(ApiError(PublicError::internal()));
        };
        if !bool::from(token.expose_secret().as_bytes().ct_eq(admin.token().as_bytes())) {
            return Err(ApiError(PublicError::new(ErrorCode::TOKEN_INVALID)));
        }
        Ok(Self { admin, actor: NAME })
    }
}
