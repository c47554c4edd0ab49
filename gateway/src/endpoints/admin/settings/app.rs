//! The app that a path names has to be one.

use common::error_code::PublicError;
use idl::{account::AccountServiceClient, account_admin::DescribeAppRequest};

use crate::upstream::could_not_tell;

/// # Errors
/// `NO_SUCH_APP` if account says so; if account can't be asked, nobody knows.
pub(super) async fn require_app(account: &AccountServiceClient, app_id: i64) -> Result<(), PublicError> {
    account.admin_describe_app(DescribeAppRequest { app_id }).await.map_err(could_not_tell)?;
    Ok(())
}
