//! `Authenticate`: who holds this access token?
//!
//! For what other roles do for players. Answers from memory, but for the reason of a session that has ended.

use idl::account::{AuthenticateRequest, AuthenticateResponse};

use super::bearer::Bearer;
use crate::{error::AccountError, service::Parts};

pub(crate) async fn authenticate(
    parts: &Parts,
    request: AuthenticateRequest,
) -> Result<AuthenticateResponse, AccountError> {
    let Bearer { account_id, app_id, session_id, .. } =
        Bearer::open(parts, &request.access_token)?.valid_or_why(parts).await?;
    Ok(AuthenticateResponse {
        account_id: account_id.get(),
        app_id: app_id.get(),
        session_id: session_id.to_string().into(),
    })
}

#[cfg(test)]
mod tests {
    use common::error_code::{ErrorCode, PublicError};
    use idl::account::{AccountService, AuthenticateRequest, AuthenticateResponse};

    use crate::testing::{Service, code, public};

    async fn ask(service: &Service, access_token: &str) -> Result<AuthenticateResponse, PublicError> {
        let request = AuthenticateRequest { access_token: access_token.to_owned().into() };
        public(service.account.authenticate(request).await)
    }

    common::on_each_database! {
        async fn a_good_token_names_its_player_and_a_bad_one_is_refused_with_the_reason(database: TestDatabase) {
            let service = Service::start(database).await;
            let tokens = service.register("ann").await.expect("registered").tokens;
            let player = ask(&service, &tokens.access_token).await.expect("good");
            assert_eq!((player.account_id, player.app_id), (tokens.account_id, service.app_id()));
            assert_eq!(player.session_id, tokens.session_id);
            assert_eq!(code(ask(&service, "garbage").await), ErrorCode::TOKEN_INVALID);
            service.logout(&tokens.access_token, false).await.expect("ended");
            assert_eq!(code(ask(&service, &tokens.access_token).await), ErrorCode::TOKEN_REVOKED);
        }
    }
}
