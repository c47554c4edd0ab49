//! Every route of the gateway, in one list.

use std::{convert::Infallible, fmt, future::Future, sync::Arc};

use common::{
    clock::SharedClock,
    governance::{
        Class::{Ingest, Login, PayCallback, Refresh, Settings, Verify},
        limits::Limits,
        shedding::Gate,
    },
    http::{RouteClasses, Routes, SignatureChecks, classed},
    lifecycle::RequestTasks,
    shared::SharedState,
};
use motore::Service;
use volo::context::Context as _;
use volo_http::{context::ServerContext, request::Request, response::Response, server::route::Router};

use crate::{
    apps::AppDirectory,
    config::{Config, RouteGroup},
    endpoints::{documentation, oauth2, partner, pay, sdk, server, well_known},
    nonces::SharedNonces,
    openapi,
    partners::{PartnerDirectory, door::PartnerDoor, store::EventStore},
    settings_copy::copy::SettingsCopy,
    signing_keys::SigningKeys,
    state::Gateway,
    token_copy::tokens::Tokens,
    upstream::Upstream,
};

/// What the gateway needs from its process.
#[derive(Clone)]
pub struct Parts {
    /// The other roles.
    pub upstream: Upstream,
    /// Answers about tokens.
    pub tokens: Tokens,
    /// Answers about settings.
    pub settings: SettingsCopy,
    /// Where the nonces of changing requests are kept, so that each is accepted once by all gateways.
    pub shared: Arc<dyn SharedState>,
    /// Who may ask how often, once it is known who asks.
    pub limits: Limits,
    /// Tells the time that signatures, and the end of a maintenance, are compared with.
    pub clock: SharedClock,
    /// Tracks refreshes that run beside requests.
    pub tasks: RequestTasks,
    /// What partners push into; needed where `gateway.routes` has their group.
    pub events: Option<EventStore>,
    /// Lets requests in by the class of their route.
    pub gate: Arc<Gate>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

/// The routes, with what their endpoints share.
pub struct Endpoints {
    router: Router,
    gateway: Arc<Gateway>,
    checks: Arc<SignatureChecks>,
    classes: RouteClasses,
}

impl Endpoints {
    /// What the routes are for, for limits that stand before the router.
    pub fn classes(&self) -> &RouteClasses {
        &self.classes
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoints").field("gateway", &self.gateway).finish_non_exhaustive()
    }
}

/// Does what an `Extension` per shared value would, without the future and the box that a layer of a router costs each
/// request. The router's own future is large: boxed here, it is moved once and not with every layer around it.
impl Service<ServerContext, Request> for Endpoints {
    type Response = Response;
    type Error = Infallible;

    fn call(
        &self,
        cx: &mut ServerContext,
        request: Request,
    ) -> impl Future<Output = Result<Response, Infallible>> + Send {
        let extensions = cx.extensions_mut();
        extensions.insert(Arc::clone(&self.gateway));
        extensions.insert(Arc::clone(&self.checks));
        Box::pin(self.router.call(cx, request))
    }
}

/// The endpoints of the groups that `config` asks for.
pub fn endpoints(config: &Config, parts: Parts) -> Endpoints {
    let Parts { upstream, tokens, settings, shared, limits, clock, tasks, events, gate } = parts;
    let (account, patience, capacity) = (upstream.account.clone(), config.verify_timeout, config.app_cache_capacity);
    let apps = AppDirectory::new(account.clone(), patience, capacity, tasks.clone());
    let partners = PartnerDirectory::new(account, patience, capacity, tasks);
    let checks = Arc::new(SignatureChecks {
        secrets: Arc::new(apps.clone()),
        nonces: Arc::new(SharedNonces(shared)),
        clock: clock.clone(),
        limits: Some(limits.clone()),
    });
    let document = openapi::document();
    let signing_keys =
        SigningKeys::new(upstream.account.clone(), config.verify_timeout, config.stale_signing_keys_usable_for);
    let gateway = Arc::new(Gateway {
        upstream,
        apps,
        tokens,
        settings,
        limits: limits.clone(),
        clock,
        signing_keys,
        optional_part_timeout: config.optional_part_timeout,
        openapi_json: document.to_string().into(),
        docs_page: documentation::page::render(&document).into(),
        partners: events.map(|events| PartnerDoor { partners, events, limits }),
    });
    let routes = routes(&config.routes, Routes::behind(gate));
    let classes = RouteClasses::of(&routes);
    Endpoints { router: routes.into_router(), gateway, checks, classes }
}

/// Every route with what it is for when there is not room for all. What is refused first stands first:
///
/// | class | what | because, refused |
/// |---|---|---|
/// | `Ingest` | what partners push | it is sent again in a minute, and nobody waits |
/// | `Settings` | what is looked at: settings, profile, history, wallet | a game goes on with what it has |
/// | `Login` | what players begin or change: sign-ins, codes, links, passwords, deletions | the player tries again |
/// | `Refresh` | what keeps or ends a session, and what moves money: refreshes, sign-outs, orders, spending | a session becomes a login, a purchase hangs |
/// | `Verify` | is a token good, the keys to find out, and signing out by a game server | a player in the middle of a game is thrown out, or one stays who must not |
/// | `PayCallback` | what payment channels tell | money is late; room is kept for them |
///
/// Documentation has none: it is made at start, and costs as much as a refusal.
fn routes(groups: &[RouteGroup], mut routes: Routes) -> Routes {
    for group in groups {
        routes = match group {
            RouteGroup::Sdk => routes
                .post("/v1/sdk/register", classed(Login, sdk::register::register))
                .post("/v1/sdk/login", classed(Login, sdk::login::login))
                .post("/v1/sdk/refresh", classed(Refresh, sdk::refresh::refresh))
                .post("/v1/sdk/logout", classed(Refresh, sdk::logout::logout))
                .get("/v1/sdk/me", classed(Settings, sdk::me::me))
                .get("/v1/sdk/history", classed(Settings, sdk::history::history))
                .post("/v1/sdk/phone-codes", classed(Login, sdk::phone_codes::phone_codes))
                .post("/v1/sdk/link", classed(Login, sdk::link::link))
                .post("/v1/sdk/password", classed(Login, sdk::password::password))
                .post("/v1/sdk/deletion", classed(Login, sdk::request_deletion::request_deletion))
                .delete("/v1/sdk/deletion", classed(Login, sdk::cancel_deletion::cancel_deletion))
                .delete("/v1/sdk/sessions", classed(Refresh, sdk::end_other_sessions::end_other_sessions))
                .delete("/v1/sdk/sessions/{session_id}", classed(Refresh, sdk::end_session::end_session))
                .get("/v1/sdk/settings", classed(Settings, sdk::settings::settings))
                .post("/v1/sdk/orders", classed(Refresh, sdk::create_order::create_order))
                .get("/v1/sdk/orders/{order_id}", classed(Refresh, sdk::get_order::get_order))
                .get("/v1/sdk/wallet", classed(Settings, sdk::wallet::wallet)),
            RouteGroup::Server => routes
                .post("/v1/server/tokens/verify", classed(Verify, server::verify_token::verify_token))
                .post("/v1/server/tokens/verify-batch", classed(Verify, server::verify_tokens::verify_tokens))
                .post("/v1/server/sessions/revoke", classed(Verify, server::revoke_sessions::revoke_sessions))
                .get("/v1/server/orders/{order_id}", classed(Refresh, server::get_order::get_order))
                .post(
                    "/v1/server/orders/{order_id}/redeliver",
                    classed(Refresh, server::redeliver_order::redeliver_order),
                )
                .get("/v1/server/wallet", classed(Settings, server::wallet::wallet))
                .post("/v1/server/wallet/spend", classed(Refresh, server::wallet_spend::wallet_spend)),
            RouteGroup::Pay => {
                routes.post("/v1/pay/callbacks/{channel}/{app_id}", classed(PayCallback, pay::callback::callback)).get(
                    "/v1/pay/callbacks/{channel}/{app_id}",
                    classed(PayCallback, pay::callback_by_get::callback_by_get),
                )
            }
            RouteGroup::Partner => routes
                .post("/v1/partner/{partner}/events", classed(Ingest, partner::events::push_events))
                .post("/v1/partner/{partner}/clicks", classed(Ingest, partner::clicks::push_click))
                .get("/v1/partner/{partner}/clicks", classed(Ingest, partner::clicks_by_get::push_click_by_get)),
            RouteGroup::Oauth2 => routes
                .post("/oauth2/introspect", classed(Verify, oauth2::introspect::introspect))
                .get("/.well-known/jwks.json", classed(Verify, well_known::jwks::jwks)),
            RouteGroup::Docs => routes
                .get("/openapi.json", documentation::openapi_json::openapi_json)
                .get("/docs", documentation::page::page),
        };
    }
    routes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_in_the_contract_and_everything_in_the_contract_is_a_route() {
        let groups = Config::default().routes;
        let mut served: Vec<(String, String)> = routes(&groups, Routes::new())
            .list()
            .flat_map(|(path, methods)| methods.iter().map(move |method| (method.to_lowercase(), path.to_owned())))
            .filter(|(method, _)| method != "head")
            .collect();
        let mut documented = openapi::tests::methods_of(&openapi::document());
        served.sort();
        documented.sort();
        assert_eq!(served, documented);
    }

    #[test]
    fn every_route_but_the_documentation_has_a_class() {
        let routes = routes(&Config::default().routes, Routes::new());
        let without: Vec<_> =
            routes.classes().filter(|(_, classes)| classes.contains(&None)).map(|(path, _)| path).collect();
        assert_eq!(without, ["/docs", "/openapi.json"]);
    }
}
