//! The admin API as a document of its own: it is another contract, for other readers, on another listener.

use common::error_code::ErrorCode;
use serde_json::{Value, json};
use utoipa::OpenApi;

use crate::{endpoints::admin, openapi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "playgate admin API",
        description = "For operators, on the operator listener only: `Authorization: Bearer <operator.admin_token>`. Every answer of `/admin/v1/*` is the envelope of the public contract. Every change is written into the audit."
    ),
    tags(
        (name = "Apps", description = "The games that sign players in, and what they allow."),
        (name = "Settings", description = "What games read, in versions that are published and can be rolled back; docs/settings.md."),
        (name = "Orders", description = "Products, orders, deliveries and refunds."),
        (name = "Accounts", description = "Players."),
        (name = "Bans", description = "Devices and parts of the network that are kept out."),
        (name = "Partners", description = "Other companies' servers that push events; docs/partners.md."),
        (name = "Process", description = "The process that answers, and no other."),
        (name = "Audit", description = "Who changed what."),
        (name = "Documentation", description = "The contract itself.")
    ),
    paths(
        admin::create_app::create_app,
        admin::list_apps::list_apps,
        admin::get_app::get_app,
        admin::update_app::update_app,
        admin::rotate_app_secret::rotate_app_secret,
        admin::list_channels::list_channels,
        admin::put_channel::put_channel,
        admin::settings::get_settings::get_settings,
        admin::settings::publish_settings::publish_settings,
        admin::settings::validate_settings::validate_settings,
        admin::settings::list_versions::list_versions,
        admin::settings::diff_versions::diff_versions,
        admin::settings::roll_back_settings::roll_back_settings,
        admin::settings::explain_settings::explain_settings,
        admin::list_products::list_products,
        admin::put_product::put_product,
        admin::get_product::get_product,
        admin::delete_product::delete_product,
        admin::search_orders::search_orders,
        admin::list_dead_letters::list_dead_letters,
        admin::redeliver_many::redeliver_many,
        admin::get_order::get_order,
        admin::redeliver_order::redeliver_order,
        admin::close_order::close_order,
        admin::refund_order::refund_order,
        admin::find_account::find_account,
        admin::account_history::account_history,
        admin::revoke_sessions::revoke_sessions,
        admin::ban_account::ban_account,
        admin::lift_ban::lift_ban,
        admin::cancel_deletion::cancel_deletion,
        admin::unlock_account::unlock_account,
        admin::end_session::end_session,
        admin::list_bans::list_bans,
        admin::ban_subject::ban_subject,
        admin::lift_subject_ban::lift_subject_ban,
        admin::create_partner::create_partner,
        admin::list_partners::list_partners,
        admin::get_partner::get_partner,
        admin::update_partner::update_partner,
        admin::rotate_partner_secret::rotate_partner_secret,
        admin::log_level::log_level,
        admin::show_rules::show_rules,
        admin::validate_rules::validate_rules,
        admin::audit::audit,
        admin::openapi_json::openapi_json,
    )
)]
struct Endpoints;

/// Codes that only operators meet.
const CODES: [ErrorCode; 7] = [
    ErrorCode::NO_SUCH_APP,
    ErrorCode::APP_ID_TAKEN,
    ErrorCode::NO_SUCH_PRODUCT,
    ErrorCode::NO_SUCH_SETTING,
    ErrorCode::SETTINGS_CHANGED,
    ErrorCode::NO_SUCH_PARTNER,
    ErrorCode::PARTNER_TAKEN,
];

/// The whole document (OpenAPI 3.1).
pub(crate) fn document() -> Value {
    let security_schemes = json!({
        "operator": { "type": "http", "scheme": "bearer", "description": "`operator.admin_token`." },
    });
    openapi::complete(Endpoints::openapi(), "/admin/v1/", security_schemes, &CODES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_an_envelope_and_every_change_needs_the_token() {
        let document = document();
        let create = &document["paths"]["/admin/v1/apps"]["post"];
        assert_eq!(create["security"], json!([{ "operator": [] }]));
        let envelope = &create["responses"]["200"]["content"]["application/json"]["schema"]["properties"];
        assert_eq!(envelope["code"]["const"], 2_000_000);
        assert!(create["responses"]["401"].is_object());
        let codes = document["components"]["schemas"]["Error"]["properties"]["code"]["description"].as_str();
        assert!(codes.is_some_and(|codes| codes.contains("4040102")), "{codes:?}");
    }

    #[test]
    fn every_reference_in_the_document_leads_somewhere() {
        openapi::tests::assert_references_lead_somewhere(&document());
    }
}
