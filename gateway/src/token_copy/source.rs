//! Account, as far as the copy follows it.

use std::future::Future;

use common::{rpc::CallError, token::feed::Place};
use idl::account::{
    AccountServiceClient, FeedPlace, FollowRevocationsRequest, FollowRevocationsResponse, GetTokenKeysRequest,
    GetTokenKeysResponse,
};

/// Answers what the copy is made of.
pub(super) trait Source: Send + Sync + 'static {
    /// The sealed key ring.
    fn token_keys(&self) -> impl Future<Output = Result<GetTokenKeysResponse, CallError>> + Send;

    /// A page of the revocations after a place.
    fn revocations(&self, after: Place) -> impl Future<Output = Result<FollowRevocationsResponse, CallError>> + Send;
}

/// Account behind its client: any of its replicas, each time another one.
#[derive(Clone)]
pub(super) struct Account(pub(super) AccountServiceClient);

impl Source for Account {
    async fn token_keys(&self) -> Result<GetTokenKeysResponse, CallError> {
        Ok(self.0.get_token_keys(GetTokenKeysRequest {}).await?)
    }

    async fn revocations(&self, after: Place) -> Result<FollowRevocationsResponse, CallError> {
        let after = FeedPlace { sequence: after.sequence, created_at: after.created_at.as_millis() };
        Ok(self.0.follow_revocations(FollowRevocationsRequest { after }).await?)
    }
}
