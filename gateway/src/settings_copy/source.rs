//! The setting service, as far as the copy asks it.

use common::rpc::CallError;
use futures_util::future::BoxFuture;
use idl::setting::{
    GetRevisionsRequest, GetRevisionsResponse, GetSettingsRequest, GetSettingsResponse, SettingServiceClient,
};

/// Answers what the copy is made of.
pub(crate) trait Source: Send + Sync + 'static {
    fn settings(&self, request: GetSettingsRequest) -> BoxFuture<'static, Result<GetSettingsResponse, CallError>>;

    fn revisions(&self, app_ids: Vec<i64>) -> BoxFuture<'static, Result<GetRevisionsResponse, CallError>>;
}

/// The service behind its client: any of its replicas, each time another one.
pub(super) struct Setting(pub(super) SettingServiceClient);

impl Source for Setting {
    fn settings(&self, request: GetSettingsRequest) -> BoxFuture<'static, Result<GetSettingsResponse, CallError>> {
        let client = self.0.clone();
        Box::pin(async move { Ok(client.get_settings(request).await?) })
    }

    fn revisions(&self, app_ids: Vec<i64>) -> BoxFuture<'static, Result<GetRevisionsResponse, CallError>> {
        let client = self.0.clone();
        Box::pin(async move { Ok(client.get_revisions(GetRevisionsRequest { app_ids }).await?) })
    }
}
