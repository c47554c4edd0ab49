//! `AdminUpdatePartner`: changes what is named of a partner, and leaves the rest.

use idl::account_partner::{UpdatePartnerRequest, UpdatePartnerResponse};

use super::partner::{change, existing, follow_own_change, partner_details};
use crate::{domain::audit::Actor, error::AccountError, service::Parts};

pub(crate) async fn update_partner(
    parts: &Parts,
    request: UpdatePartnerRequest,
) -> Result<UpdatePartnerResponse, AccountError> {
    let actor = Actor::parse(&request.actor)?;
    let name = existing(&request.partner)?;
    let partner = parts.partner_editor.update(&actor, &name, &change(&request)?).await?;
    follow_own_change(parts).await;
    Ok(UpdatePartnerResponse { partner: partner_details(&partner) })
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use idl::{
        account::AccountService,
        account_partner::{GetPartnerRequest, PartnerDetails, PartnerLimitChange, PartnerLimits, UpdatePartnerRequest},
    };

    use crate::testing::{Service, code, field, public};

    fn nothing() -> UpdatePartnerRequest {
        UpdatePartnerRequest { actor: "operator".into(), partner: "ads".into(), ..UpdatePartnerRequest::default() }
    }

    async fn update(service: &Service, request: UpdatePartnerRequest) -> PartnerDetails {
        public(service.account.admin_update_partner(request).await).expect("changed").partner
    }

    common::on_each_database! {
        async fn a_change_leaves_what_it_does_not_name_and_holds_from_the_answer_on(database: TestDatabase) {
            let service = Service::start(database).await;
            service.admin().create_partner("ads", "hmac").await.expect("made");
            let limit = |value| Some(PartnerLimitChange { value });
            let limited = update(&service, UpdatePartnerRequest {
                events_per_second: limit(Some(100)),
                share: limit(Some(5)),
                ..nothing()
            });
            let expected = PartnerLimits { events_per_second: Some(100), burst: None, share: Some(5) };
            assert_eq!(limited.await.limits, expected);
            let disabled = update(&service, UpdatePartnerRequest { enabled: Some(false), share: limit(None), ..nothing() });
            let disabled = disabled.await;
            assert_eq!((disabled.enabled, disabled.limits.share, disabled.limits.events_per_second), (false, None, Some(100)));
            let request = GetPartnerRequest { partner: "ads".into(), read_again: None };
            let partner = public(service.account.get_partner(request).await).expect("an answer").partner.expect("there");
            assert!(!partner.enabled);
            let record = service.audit().await.remove(0);
            let expected = r#"{"enabled":{"after":false,"before":true},"limits.share":{"after":null,"before":5}}"#;
            assert_eq!((&*record.action, &*record.details_json), ("partner.update", expected));
        }

        async fn a_partner_without_a_secret_gets_one_before_it_has_to_sign(database: TestDatabase) {
            let service = Service::start(database).await;
            service.admin().create_partner("ads", "none").await.expect("made");
            let signing = || UpdatePartnerRequest { signing: Some("md5-sorted".into()), ..nothing() };
            let refused = public(service.account.admin_update_partner(signing()).await);
            assert_eq!(field(refused), (ErrorCode::INVALID_ARGUMENT, "signing".to_owned()));
            service.admin().rotate_partner_secret("ads").await.expect("rotated");
            assert_eq!(&*update(&service, signing()).await.signing, "md5-sorted");
        }

        async fn a_refused_change_names_its_field_and_changes_nothing(database: TestDatabase) {
            let service = Service::start(database).await;
            service.admin().create_partner("ads", "hmac").await.expect("made");
            let limit = |value| Some(PartnerLimitChange { value: Some(value) });
            for (refused, name) in [
                (UpdatePartnerRequest { signing: Some("x".into()), ..nothing() }, "signing"),
                (UpdatePartnerRequest { burst: limit(0), ..nothing() }, "limits.burst"),
                (UpdatePartnerRequest { share: limit(0), ..nothing() }, "limits.share"),
            ] {
                let refused = UpdatePartnerRequest { enabled: Some(false), ..refused };
                let answer = public(service.account.admin_update_partner(refused).await);
                assert_eq!(field(answer), (ErrorCode::INVALID_ARGUMENT, name.to_owned()));
            }
            assert!(update(&service, nothing()).await.enabled);
            for nobody in ["nobody", "No Name"] {
                let request = UpdatePartnerRequest { partner: nobody.into(), ..nothing() };
                assert_eq!(code(public(service.account.admin_update_partner(request).await)), ErrorCode::NO_SUCH_PARTNER);
            }
        }
    }
}
