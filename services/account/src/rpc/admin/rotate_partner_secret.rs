//! `AdminRotatePartnerSecret`: a new secret for a partner; the one before stays good until the next rotation.

use idl::account_partner::{RotatePartnerSecretRequest, RotatePartnerSecretResponse};

use super::partner::{existing, follow_own_change};
use crate::{domain::audit::Actor, error::AccountError, service::Parts};

pub(crate) async fn rotate_partner_secret(
    parts: &Parts,
    request: RotatePartnerSecretRequest,
) -> Result<RotatePartnerSecretResponse, AccountError> {
    let actor = Actor::parse(&request.actor)?;
    let secret = parts.partner_editor.rotate_secret(&actor, &existing(&request.partner)?).await?;
    follow_own_change(parts).await;
    Ok(RotatePartnerSecretResponse { secret: secret.expose().to_owned().into() })
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use idl::{
        account::AccountService,
        account_partner::{GetPartnerRequest, RotatePartnerSecretRequest},
    };

    use crate::testing::{Service, code, public};

    common::on_each_database! {
        async fn the_new_secret_and_the_one_before_are_live_from_the_answer_on(database: TestDatabase) {
            let service = Service::start(database).await;
            let first = service.admin().create_partner("ads", "hmac").await.expect("made").secret.expect("a secret");
            let rotate = |partner: &'static str| service.account.admin_rotate_partner_secret(RotatePartnerSecretRequest {
                actor: "operator".into(),
                partner: partner.into(),
            });
            let new = public(rotate("ads").await).expect("rotated").secret;
            let request = GetPartnerRequest { partner: "ads".into(), read_again: None };
            let partner = public(service.account.get_partner(request).await).expect("an answer").partner.expect("there");
            assert_eq!(partner.secrets, [new.clone(), first.expose().to_owned().into()]);
            let record = service.audit().await.remove(0);
            assert_eq!((&*record.action, &*record.details_json), ("partner.rotate_secret", r#"{"version":2}"#));
            assert_eq!(code(public(rotate("nobody").await)), ErrorCode::NO_SUCH_PARTNER);
        }

        async fn rotations_at_once_each_give_a_secret_and_two_stay(database: TestDatabase) {
            let service = Service::start(database).await;
            service.admin().create_partner("ads", "none").await.expect("made");
            let admin = service.admin();
            let rotated = futures_util::future::join_all((0..4).map(|_| admin.rotate_partner_secret("ads"))).await;
            assert!(rotated.into_iter().all(|rotated| rotated.is_ok()));
            assert_eq!(service.count("SELECT COUNT(*) FROM account_partner_secrets").await, 2);
            assert_eq!(service.count("SELECT MAX(version) FROM account_partner_secrets").await, 4);
        }
    }
}
