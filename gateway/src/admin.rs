//! The admin API: its routes in one list, and what its endpoints share.
//!
//! It is served on the operator listener, which opens before anything else does. Until the process has connected it to
//! the other roles, its answer is 503.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use common::{config::Secret, error_code::PublicError, governance::RulesRecord, http::Routes, telemetry::LevelHandle};
use idl::{account::AccountServiceClient, pay::PayServiceClient, setting::SettingServiceClient};
use volo_http::{server::route::Router, utils::Extension};

use crate::{
    admin_openapi,
    endpoints::admin::{self, settings},
    settings_copy::copy::SettingsCopy,
    upstream::Upstream,
};

/// How long a caller waits before it asks again while the process starts.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What the endpoints of the admin API share.
pub struct AdminApi {
    token: Secret,
    process: String,
    log_level: Option<LevelHandle>,
    rules: RulesRecord,
    openapi_json: Bytes,
    connected: OnceLock<Connected>,
}

/// What the endpoints can ask once the process has got so far.
struct Connected {
    upstream: Upstream,
    settings: SettingsCopy,
}

impl AdminApi {
    /// For whoever presents `token`. `process` is what the audit calls this process; `log_level` is there if it writes
    /// a log; `rules` are what it is governed by.
    pub fn new(token: Secret, process: String, log_level: Option<LevelHandle>, rules: RulesRecord) -> Self {
        let openapi_json = admin_openapi::document().to_string().into();
        Self { token, process, log_level, rules, openapi_json, connected: OnceLock::new() }
    }

    /// From now on requests are answered. Connecting it a second time changes nothing.
    pub fn connect(&self, upstream: Upstream, settings: SettingsCopy) {
        self.connected.get_or_init(|| Connected { upstream, settings });
    }

    pub(crate) fn token(&self) -> &str {
        self.token.expose()
    }

    pub(crate) fn process(&self) -> &str {
        &self.process
    }

    pub(crate) fn log_level(&self) -> Option<&LevelHandle> {
        self.log_level.as_ref()
    }

    pub(crate) fn rules(&self) -> &RulesRecord {
        &self.rules
    }

    pub(crate) fn openapi_json(&self) -> Bytes {
        self.openapi_json.clone()
    }

    pub(crate) fn account(&self) -> Result<AccountServiceClient, PublicError> {
        Ok(self.connected()?.upstream.account.clone())
    }

    pub(crate) fn setting(&self) -> Result<SettingServiceClient, PublicError> {
        Ok(self.connected()?.upstream.setting.clone())
    }

    /// The settings as this gateway answers them.
    pub(crate) fn settings(&self) -> Result<SettingsCopy, PublicError> {
        Ok(self.connected()?.settings.clone())
    }

    fn connected(&self) -> Result<&Connected, PublicError> {
        self.connected.get().ok_or_else(|| PublicError::unavailable(ASK_AGAIN_AFTER))
    }

    pub(crate) fn pay(&self) -> Result<PayServiceClient, PublicError> {
        Ok(self.connected()?.upstream.pay.clone())
    }
}

impl fmt::Debug for AdminApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminApi").field("process", &self.process).finish_non_exhaustive()
    }
}

/// The router of the admin API. Merge the other operator routes into it: its fallback answers in the envelope.
pub fn admin_router(api: Arc<AdminApi>) -> Router {
    routes().into_router().layer(Extension(api))
}

fn routes() -> Routes {
    Routes::new()
        .get("/admin/openapi.json", admin::openapi_json::openapi_json)
        .post("/admin/v1/apps", admin::create_app::create_app)
        .get("/admin/v1/apps", admin::list_apps::list_apps)
        .get("/admin/v1/apps/{app_id}", admin::get_app::get_app)
        .patch("/admin/v1/apps/{app_id}", admin::update_app::update_app)
        .post("/admin/v1/apps/{app_id}/rotate-secret", admin::rotate_app_secret::rotate_app_secret)
        .get("/admin/v1/apps/{app_id}/channels", admin::list_channels::list_channels)
        .put("/admin/v1/apps/{app_id}/channels/{channel}", admin::put_channel::put_channel)
        .get("/admin/v1/apps/{app_id}/settings", settings::get_settings::get_settings)
        .post("/admin/v1/apps/{app_id}/settings", settings::publish_settings::publish_settings)
        .post("/admin/v1/apps/{app_id}/settings/validate", settings::validate_settings::validate_settings)
        .get("/admin/v1/apps/{app_id}/settings/versions", settings::list_versions::list_versions)
        .get("/admin/v1/apps/{app_id}/settings/diff", settings::diff_versions::diff_versions)
        .post("/admin/v1/apps/{app_id}/settings/rollback", settings::roll_back_settings::roll_back_settings)
        .post("/admin/v1/apps/{app_id}/settings/explain", settings::explain_settings::explain_settings)
        .get("/admin/v1/apps/{app_id}/products", admin::list_products::list_products)
        .put("/admin/v1/apps/{app_id}/products/{product_id}", admin::put_product::put_product)
        .get("/admin/v1/apps/{app_id}/products/{product_id}", admin::get_product::get_product)
        .delete("/admin/v1/apps/{app_id}/products/{product_id}", admin::delete_product::delete_product)
        .get("/admin/v1/apps/{app_id}/orders", admin::search_orders::search_orders)
        .get("/admin/v1/apps/{app_id}/dead-letters", admin::list_dead_letters::list_dead_letters)
        .post("/admin/v1/apps/{app_id}/redeliver", admin::redeliver_many::redeliver_many)
        .get("/admin/v1/orders/{order_id}", admin::get_order::get_order)
        .post("/admin/v1/orders/{order_id}/redeliver", admin::redeliver_order::redeliver_order)
        .post("/admin/v1/orders/{order_id}/close", admin::close_order::close_order)
        .post("/admin/v1/orders/{order_id}/refund", admin::refund_order::refund_order)
        .get("/admin/v1/accounts", admin::find_account::find_account)
        .get("/admin/v1/accounts/{account_id}/history", admin::account_history::account_history)
        .post("/admin/v1/accounts/{account_id}/revoke-sessions", admin::revoke_sessions::revoke_sessions)
        .post("/admin/v1/accounts/{account_id}/ban", admin::ban_account::ban_account)
        .delete("/admin/v1/accounts/{account_id}/ban", admin::lift_ban::lift_ban)
        .delete("/admin/v1/accounts/{account_id}/deletion", admin::cancel_deletion::cancel_deletion)
        .post("/admin/v1/accounts/{account_id}/unlock", admin::unlock_account::unlock_account)
        .delete("/admin/v1/accounts/{account_id}/sessions/{session_id}", admin::end_session::end_session)
        .get("/admin/v1/bans", admin::list_bans::list_bans)
        .post("/admin/v1/bans", admin::ban_subject::ban_subject)
        .delete("/admin/v1/bans/{ban_id}", admin::lift_subject_ban::lift_subject_ban)
        .post("/admin/v1/partners", admin::create_partner::create_partner)
        .get("/admin/v1/partners", admin::list_partners::list_partners)
        .get("/admin/v1/partners/{partner}", admin::get_partner::get_partner)
        .patch("/admin/v1/partners/{partner}", admin::update_partner::update_partner)
        .post("/admin/v1/partners/{partner}/rotate-secret", admin::rotate_partner_secret::rotate_partner_secret)
        .put("/admin/v1/log-level", admin::log_level::log_level)
        .get("/admin/v1/govern", admin::show_rules::show_rules)
        .post("/admin/v1/govern/validate", admin::validate_rules::validate_rules)
        .get("/admin/v1/audit", admin::audit::audit)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use common::{clock::testing::ManualClock, governance::Governance};
    use http::{Method, header::AUTHORIZATION};
    use motore::Service;
    use prometheus::Registry;
    use serde_json::Value;
    use volo_http::{
        body::{Body, BodyConversion},
        context::ServerContext,
    };

    use super::*;
    use crate::openapi::tests::methods_of;

    #[test]
    fn every_route_is_in_the_contract_and_everything_in_the_contract_is_a_route() {
        let mut served: Vec<(String, String)> = routes()
            .list()
            .flat_map(|(path, methods)| methods.iter().map(move |method| (method.to_lowercase(), path.to_owned())))
            .filter(|(method, _)| method != "head")
            .collect();
        let mut documented = methods_of(&admin_openapi::document());
        served.sort();
        documented.sort();
        assert_eq!(served, documented);
    }

    fn api() -> AdminApi {
        let clock = Arc::new(ManualClock::default());
        let rules = RulesRecord::new(Governance::default(), clock, &Registry::new()).expect("registered once");
        AdminApi::new(Secret::new("s3cret"), "test".to_owned(), None, rules)
    }

    /// The answer of an API that is not connected yet.
    async fn answer(method: Method, path: &str, authorization: Option<&str>) -> (u16, Value) {
        let router = admin_router(Arc::new(api()));
        let mut request = http::Request::builder().method(method).uri(path);
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let peer = SocketAddr::from(([127, 0, 0, 1], 1)).into();
        let request = request.body(Body::empty()).expect("well formed");
        let Ok(response) = router.call(&mut ServerContext::new(peer), request).await;
        let status = response.status().as_u16();
        let body = response.into_body().into_bytes().await.expect("a body");
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    #[tokio::test]
    async fn nothing_is_looked_at_without_the_token() {
        let methods = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        for (path, allowed) in routes().list().filter(|(path, _)| path.starts_with("/admin/v1/")) {
            for method in methods.iter().filter(|method| allowed.contains(&method.as_str())) {
                let path = path.replace(['{', '}'], "");
                for (authorization, code) in [
                    (None, 4_010_001),
                    (Some("Basic s3cret"), 4_010_001),
                    (Some("Bearer s3cre"), 4_010_102),
                    (Some("Bearer s3crets"), 4_010_102),
                ] {
                    let (status, body) = answer(method.clone(), &path, authorization).await;
                    assert_eq!((status, &body["code"]), (401, &code.into()), "{method} {path} {authorization:?}");
                }
            }
        }
    }

    #[tokio::test]
    async fn while_the_process_starts_the_answer_is_not_now() {
        let (status, body) = answer(Method::GET, "/admin/v1/apps", Some("Bearer s3cret")).await;
        assert_eq!((status, &body["code"]), (503, &5_030_002.into()));
        assert_eq!(answer(Method::GET, "/nowhere", None).await.1["code"], 4_040_001);
        assert_eq!(answer(Method::GET, "/admin/openapi.json", None).await.1["openapi"], "3.1.0");
    }

    #[tokio::test]
    async fn what_concerns_only_the_process_needs_nobody_else() {
        let (status, body) = answer(Method::PUT, "/admin/v1/log-level", Some("Bearer s3cret")).await;
        assert_ne!((status, &body["code"]), (503, &5_030_002.into()), "it is answered while the process starts");
        let (status, body) = answer(Method::GET, "/admin/v1/govern", Some("Bearer s3cret")).await;
        assert_eq!((status, &body["data"]["origin"]), (200, &"defaults".into()));
    }

    #[test]
    fn the_token_is_never_printed() {
        let api = api();
        assert!(!format!("{api:?}").contains("s3cret"));
    }
}
