//! `AdminDescribePartner`: a partner as it is in the database.

use idl::account_partner::{DescribePartnerRequest, DescribePartnerResponse};

use super::partner::{existing, partner_details};
use crate::{error::AccountError, service::Parts};

pub(crate) async fn describe_partner(
    parts: &Parts,
    request: DescribePartnerRequest,
) -> Result<DescribePartnerResponse, AccountError> {
    let partner = parts.partners.store.find(&existing(&request.partner)?).await?.ok_or(AccountError::NoSuchPartner)?;
    Ok(DescribePartnerResponse { partner: partner_details(&partner) })
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use idl::{account::AccountService, account_partner::DescribePartnerRequest};

    use crate::testing::{Service, code, public};

    common::on_each_database! {
        async fn a_partner_is_described_and_an_unknown_one_is_not_there(database: TestDatabase) {
            let service = Service::start(database).await;
            service.admin().create_partner("ads", "hmac").await.expect("made");
            service.admin().rotate_partner_secret("ads").await.expect("rotated");
            let describe = |name: &'static str| {
                service.account.admin_describe_partner(DescribePartnerRequest { partner: name.into() })
            };
            let partner = public(describe("ads").await).expect("there").partner;
            assert_eq!((&*partner.partner, &*partner.signing, partner.secrets), ("ads", "hmac", 2));
            for nobody in ["", "nobody", "ADS"] {
                assert_eq!(code(public(describe(nobody).await)), ErrorCode::NO_SUCH_PARTNER);
            }
        }
    }
}
