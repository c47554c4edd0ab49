//! `AdminCreatePartner`: makes a partner, with its first secret if its requests are to be signed.

use idl::account_partner::{CreatePartnerRequest, CreatePartnerResponse};

use super::partner::{follow_own_change, limits, partner_details};
use crate::{
    domain::{
        audit::Actor,
        partner::{PartnerName, Signing},
    },
    error::AccountError,
    service::Parts,
};

pub(crate) async fn create_partner(
    parts: &Parts,
    request: CreatePartnerRequest,
) -> Result<CreatePartnerResponse, AccountError> {
    let actor = Actor::parse(&request.actor)?;
    let (name, signing) = (PartnerName::parse(&request.partner)?, Signing::parse(&request.signing)?);
    let limits = limits(request.limits)?;
    let (partner, secret) = parts.partner_editor.create(&actor, &name, signing, limits).await?;
    follow_own_change(parts).await;
    let secret = secret.map(|secret| secret.expose().to_owned().into());
    Ok(CreatePartnerResponse { partner: partner_details(&partner), secret })
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use idl::{
        account::AccountService,
        account_partner::{CreatePartnerRequest, PartnerLimits},
    };

    use crate::testing::{Service, code, field, public};

    fn request(partner: &'static str, signing: &'static str) -> CreatePartnerRequest {
        CreatePartnerRequest {
            actor: "operator".into(),
            partner: partner.into(),
            signing: signing.into(),
            limits: None,
        }
    }

    common::on_each_database! {
        async fn a_new_partner_shows_its_secret_once_and_what_was_done_is_written_down(database: TestDatabase) {
            let service = Service::start(database).await;
            let limits = PartnerLimits { events_per_second: Some(500), burst: None, share: Some(20) };
            let wanted = CreatePartnerRequest { limits: Some(limits.clone()), ..request("ads", "hmac") };
            let made = public(service.account.admin_create_partner(wanted).await).expect("made");
            let secret = made.secret.expect("a secret");
            assert_eq!((&*made.partner.partner, &*made.partner.signing, secret.len()), ("ads", "hmac", 64));
            assert_eq!((made.partner.enabled, made.partner.secrets, made.partner.limits), (true, 1, limits));
            let record = service.audit().await.remove(0);
            assert_eq!((&*record.actor, &*record.action), ("operator", "partner.create"));
            assert_eq!((&*record.target_kind, &*record.target_id), ("partner", "ads"));
            assert!(!record.details_json.contains(&*secret), "{record:?}");
            let unsigned = public(service.account.admin_create_partner(request("open", "none")).await).expect("made");
            assert_eq!((unsigned.secret, unsigned.partner.secrets), (None, 0));
        }

        async fn a_partner_that_is_refused_is_not_made_and_not_written_down(database: TestDatabase) {
            let service = Service::start(database).await;
            public(service.account.admin_create_partner(request("ads", "hmac")).await).expect("made");
            let limits = |limits| CreatePartnerRequest { limits: Some(limits), ..request("other", "hmac") };
            for (refused, name) in [
                (request("Ads", "hmac"), "partner"),
                (request("other", "sha1"), "signing"),
                (CreatePartnerRequest { actor: "".into(), ..request("other", "hmac") }, "actor"),
                (limits(PartnerLimits { burst: Some(0), ..PartnerLimits::default() }), "limits.burst"),
                (limits(PartnerLimits { share: Some(101), ..PartnerLimits::default() }), "limits.share"),
            ] {
                let answer = public(service.account.admin_create_partner(refused).await);
                assert_eq!(field(answer), (ErrorCode::INVALID_ARGUMENT, name.to_owned()));
            }
            let taken = public(service.account.admin_create_partner(request("ads", "none")).await);
            assert_eq!(code(taken), ErrorCode::PARTNER_TAKEN);
            assert_eq!(service.count("SELECT COUNT(*) FROM account_partners").await, 1);
            assert_eq!(service.count("SELECT COUNT(*) FROM account_partner_secrets").await, 1);
            assert_eq!(service.count("SELECT COUNT(*) FROM account_audit WHERE target_kind = 'partner'").await, 1);
        }
    }
}
