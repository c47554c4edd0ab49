//! `GetPartner`: a partner and its live secrets, for the gateway that takes its events.

use std::num::NonZeroU32;

use idl::account_partner::{GetPartnerRequest, GetPartnerResponse, PartnerInfo, PartnerLimits as WireLimits};

use crate::{
    domain::partner::{Partner, PartnerLimits, PartnerName},
    error::AccountError,
    service::Parts,
};

pub(crate) async fn get_partner(parts: &Parts, request: GetPartnerRequest) -> Result<GetPartnerResponse, AccountError> {
    let Ok(name) = PartnerName::parse(&request.partner) else {
        return Ok(GetPartnerResponse { partner: None });
    };
    if request.read_again.unwrap_or_default() {
        parts.partners.refresh().await?;
    }
    let partner = parts.partners.find(&name).await?;
    Ok(GetPartnerResponse { partner: partner.map(|partner| partner_info(&partner)) })
}

fn partner_info(partner: &Partner) -> PartnerInfo {
    PartnerInfo {
        partner: partner.name.as_str().to_owned().into(),
        signing: partner.signing.as_str().into(),
        enabled: partner.enabled,
        secrets: partner.secrets.iter().map(|secret| secret.expose().to_owned().into()).collect(),
        limits: limits(partner.limits),
    }
}

/// Limits as they are answered.
pub(super) fn limits(limits: PartnerLimits) -> WireLimits {
    let count = |count: NonZeroU32| i64::from(count.get());
    WireLimits {
        events_per_second: limits.events_per_second.map(count),
        burst: limits.burst.map(count),
        share: limits.share.map(|share| i64::from(share.get())),
    }
}

#[cfg(test)]
mod tests {
    use idl::{
        account::AccountService,
        account_partner::{GetPartnerRequest, PartnerInfo},
    };

    use crate::testing::{Service, public};

    async fn get(service: &Service, partner: &'static str) -> Option<PartnerInfo> {
        let request = GetPartnerRequest { partner: partner.into(), read_again: None };
        public(service.account.get_partner(request).await).expect("an answer").partner
    }

    common::on_each_database! {
        async fn a_partner_is_answered_with_its_live_secrets_newest_first(database: TestDatabase) {
            let service = Service::start(database).await;
            let made = service.admin().create_partner("ads", "hmac").await.expect("made");
            let mut newest = vec![made.secret.expect("a secret").expose().to_owned()];
            let partner = get(&service, "ads").await.expect("there at once");
            assert_eq!((&*partner.signing, partner.enabled, &partner.secrets), ("hmac", true, &vec![newest[0].clone().into()]));
            for _ in 0..3 {
                let rotated = service.admin().rotate_partner_secret("ads").await.expect("rotated");
                newest.insert(0, rotated.secret.expect("a secret").expose().to_owned());
                service.account.parts().partners.refresh().await.expect("read again");
                assert_eq!(get(&service, "ads").await.expect("there").secrets, newest[..2].to_vec());
            }
        }

        async fn a_new_secret_is_there_at_once_for_whoever_asks_for_it(database: TestDatabase) {
            let service = Service::start(database).await;
            service.admin().create_partner("ads", "md5-sorted").await.expect("made");
            assert_eq!(get(&service, "ads").await.expect("there").secrets.len(), 1);
            let rotated = service.admin().rotate_partner_secret("ads").await.expect("rotated").secret.expect("a secret");
            assert_eq!(get(&service, "ads").await.expect("there").secrets.len(), 1, "from memory");
            let read_again = GetPartnerRequest { partner: "ads".into(), read_again: Some(true) };
            let partner = public(service.account.get_partner(read_again).await).expect("an answer").partner;
            assert_eq!(partner.expect("there").secrets[0], rotated.expose());
        }

        async fn a_partner_that_does_not_sign_has_no_secret_and_an_unknown_one_is_absent(database: TestDatabase) {
            let service = Service::start(database).await;
            service.admin().create_partner("open", "none").await.expect("made");
            assert_eq!(get(&service, "open").await.map(|partner| (partner.signing, partner.secrets.len())), Some(("none".into(), 0)));
            for nobody in ["nobody", "", "Open", "a/b"] {
                assert_eq!(get(&service, nobody).await, None);
            }
        }

        async fn known_partners_stay_known_while_the_database_is_away(database: TestDatabase) {
            let service = Service::start(database).await;
            service.admin().create_partner("ads", "hmac").await.expect("made");
            assert!(get(&service, "ads").await.is_some());
            service.database.close().await;
            assert!(get(&service, "ads").await.is_some());
            for unsure in [
                GetPartnerRequest { partner: "nobody".into(), read_again: None },
                GetPartnerRequest { partner: "ads".into(), read_again: Some(true) },
            ] {
                assert!(service.account.get_partner(unsure).await.is_err());
            }
        }
    }
}
