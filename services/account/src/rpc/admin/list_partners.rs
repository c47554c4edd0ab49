//! `AdminListPartners`: every partner, by name, in pages.

use idl::account_partner::{ListPartnersRequest, ListPartnersResponse};

use super::{
    partner::partner_details,
    wire::{cut_to_page, page_and_one},
};
use crate::{error::AccountError, service::Parts};

pub(crate) async fn list_partners(
    parts: &Parts,
    request: ListPartnersRequest,
) -> Result<ListPartnersResponse, AccountError> {
    let limit = page_and_one(request.limit)?;
    let mut found = parts.partners.store.page(request.after.as_deref().unwrap_or_default(), limit).await?;
    let more = cut_to_page(&mut found, limit);
    Ok(ListPartnersResponse { partners: found.iter().map(partner_details).collect(), more })
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use idl::{account::AccountService, account_partner::ListPartnersRequest};

    use crate::testing::{Service, field, public};

    common::on_each_database! {
        async fn pages_hold_every_partner_once(database: TestDatabase) {
            let service = Service::start(database).await;
            for name in ["c", "a", "b"] {
                service.admin().create_partner(name, "none").await.expect("made");
            }
            let page = async |after: Option<&'static str>, limit| {
                let request = ListPartnersRequest { after: after.map(Into::into), limit };
                public(service.account.admin_list_partners(request).await)
            };
            let first = page(None, 2).await.expect("a page");
            let names: Vec<_> = first.partners.iter().map(|partner| &*partner.partner).collect();
            assert_eq!((names, first.more), (vec!["a", "b"], true));
            let last = page(Some("b"), 2).await.expect("a page");
            assert_eq!((&*last.partners[0].partner, last.partners.len(), last.more), ("c", 1, false));
            for limit in [0, 201] {
                assert_eq!(field(page(None, limit).await), (ErrorCode::INVALID_ARGUMENT, "limit".to_owned()));
            }
        }
    }
}
