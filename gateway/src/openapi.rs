//! The contract as a document: collected from the endpoints, completed with what all of them share.
//!
//! An endpoint names its own input and output. The envelope around JSON answers, the error answers and the ways to
//! authenticate are added here, once.

use common::error_code::{ErrorCode, meaning};
use serde_json::{Value, json};
use utoipa::OpenApi;

use crate::endpoints::{documentation, oauth2, partner, pay, sdk, server, well_known};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "playgate",
        description = "The login, token and pay platform behind a game SDK. Every JSON answer of `/v1/*` is one envelope; `code` has seven digits: the HTTP status, then four digits of detail."
    ),
    tags(
        (name = "Players", description = "Called by game clients. `Authorization: Bearer <access_token>` where a session is needed."),
        (name = "Game servers", description = "Called by game servers, signed with the app's secret: `X-Signature` = hex HMAC-SHA256(app_secret, METHOD \\n PATH \\n RAW_QUERY \\n X-Timestamp \\n X-Nonce \\n hex(SHA-256(body)))."),
        (name = "Payment channels", description = "Called by payment channels, in their own forms."),
        (name = "Partners", description = "Called by other companies' servers that push events; docs/partners.md."),
        (name = "Standards", description = "Endpoints that standards define, in their own forms."),
        (name = "Documentation", description = "The contract itself.")
    ),
    paths(
        sdk::register::register,
        sdk::login::login,
        sdk::refresh::refresh,
        sdk::logout::logout,
        sdk::me::me,
        sdk::history::history,
        sdk::phone_codes::phone_codes,
        sdk::link::link,
        sdk::password::password,
        sdk::request_deletion::request_deletion,
        sdk::cancel_deletion::cancel_deletion,
        sdk::end_other_sessions::end_other_sessions,
        sdk::end_session::end_session,
        sdk::settings::settings,
        sdk::create_order::create_order,
        sdk::get_order::get_order,
        sdk::wallet::wallet,
        server::verify_token::verify_token,
        server::verify_tokens::verify_tokens,
        server::revoke_sessions::revoke_sessions,
        server::get_order::get_order,
        server::redeliver_order::redeliver_order,
        server::wallet::wallet,
        server::wallet_spend::wallet_spend,
        pay::callback::callback,
        pay::callback_by_get::callback_by_get,
        partner::events::push_events,
        partner::clicks::push_click,
        partner::clicks_by_get::push_click_by_get,
        oauth2::introspect::introspect,
        well_known::jwks::jwks,
        documentation::openapi_json::openapi_json,
        documentation::page::page,
    )
)]
struct Endpoints;

/// The whole document (OpenAPI 3.1).
pub fn document() -> Value {
    complete(Endpoints::openapi(), "/v1/", security_schemes(), &[])
}

/// Adds to what the endpoints say of themselves what all of them share: those below `enveloped` answer in the envelope,
/// and errors have the common codes and `further_codes`.
pub(crate) fn complete(
    endpoints: utoipa::openapi::OpenApi,
    enveloped: &str,
    security_schemes: Value,
    further_codes: &[ErrorCode],
) -> Value {
    // The document is plain data made at compile time; it always serialises.
    let mut document = serde_json::to_value(endpoints).unwrap_or_default();
    document["info"]["version"] = json!(env!("CARGO_PKG_VERSION"));
    document["info"].as_object_mut().map(|info| info.remove("license"));
    document["components"]["securitySchemes"] = security_schemes;
    document["components"]["schemas"]["Error"] = error_schema(further_codes);
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, operations) in paths.iter_mut().filter(|(path, _)| path.starts_with(enveloped)) {
            for operation in operations.as_object_mut().into_iter().flat_map(|operations| operations.values_mut()) {
                wrap_in_envelope(path, operation);
            }
        }
    }
    document
}

/// Puts the envelope around the operation's JSON answer and adds the error answers that every endpoint can give.
fn wrap_in_envelope(path: &str, operation: &mut Value) {
    let responses = &mut operation["responses"];
    for (status, code) in [("200", ErrorCode::OK), ("202", ErrorCode::ACCEPTED)] {
        let Some(schema) = responses[status].pointer_mut("/content/application~1json/schema") else { continue };
        let data = schema.take();
        *schema = json!({
            "type": "object",
            "required": ["code", "message", "request_id", "data"],
            "properties": {
                "code": { "type": "integer", "const": code.inner() },
                "message": { "type": "string" },
                "request_id": { "type": "string", "pattern": "^[0-9a-f]{32}$" },
                "data": data,
            },
        });
    }
    for (status, description) in errors_of(path, operation.get("security").is_some()) {
        let responses = &mut operation["responses"];
        responses[status] = json!({
            "description": description,
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
        });
        if status == "429" {
            responses[status]["headers"] = headers_of_limits();
        }
    }
}

/// What a refusal tells of the limit that is used up.
fn headers_of_limits() -> Value {
    json!({
        "Retry-After": { "schema": { "type": "integer" }, "description": "Seconds, rounded up." },
        "RateLimit-Policy": { "schema": { "type": "string" }, "description": "The limit: its name, quota `q` and window `w` in seconds. With the limits of requests; not with those of failures." },
        "RateLimit": { "schema": { "type": "string" }, "description": "What is left of it, `r`, for the next `t` seconds. Also with answers that a nearly used up limit let through." },
    })
}

/// The error answers of an endpoint, besides those that say that there is no such route or method.
fn errors_of(path: &str, needs_credentials: bool) -> Vec<(&'static str, &'static str)> {
    let for_players = path.strip_prefix("/v1/sdk/");
    let is_one_of = |names: &[&str]| for_players.is_some_and(|name| names.contains(&name));
    let mut errors = vec![("400", "A field or the body is wrong; `details` names it."), ("429", "Too many requests.")];
    if needs_credentials || is_one_of(&["login", "refresh"]) {
        errors.push(("401", "The credentials are missing, wrong, expired or revoked."));
    }
    if path.starts_with("/v1/server/") {
        errors.push(("403", "The app is disabled."));
    } else if path.starts_with("/v1/partner/") {
        errors.push(("403", "The partner is disabled."));
        errors.push(("413", "The body, what it inflates to, or the number of its events is too large."));
        errors.push(("415", "A content type or encoding that is not taken here."));
    } else if is_one_of(&["login", "register", "phone-codes", "link"]) {
        errors.push((
            "403",
            "This address, this device, this app or this way to sign in is not allowed, or the account is banned.",
        ));
    } else if for_players.is_some() && (needs_credentials || is_one_of(&["refresh"])) {
        errors.push(("403", "The account is banned or the app is disabled."));
    }
    if is_one_of(&["register", "link"]) {
        errors.push(("409", "The username is taken, or the credential belongs to another account."));
    }
    if path == "/v1/server/wallet/spend" {
        errors.push(("409", "The idempotency key was used with another body."));
        errors.push(("422", "The wallet does not hold that much."));
    }
    if is_one_of(&["orders"]) {
        errors.push(("409", "The idempotency key was used with another body."));
    }
    if path.contains("/orders/{order_id}") {
        errors.push(("404", "There is no such order."));
    }
    if path.contains("/orders/{order_id}/") {
        errors.push(("422", "The order's state does not allow this."));
    }
    if is_one_of(&["login"]) {
        errors.push(("423", "Too many failed logins; `retry_after_ms` is the time left, to the moment."));
    }
    errors
        .push(("503", "Could not be answered now; ask again after `retry_after_ms`. Never a statement about a token."));
    errors
}

fn error_schema(further_codes: &[ErrorCode]) -> Value {
    let codes = known_codes()
        .chain(further_codes.iter().copied())
        .map(|code| format!("- `{}` {}", code.inner(), meaning(code).message));
    json!({
        "type": "object",
        "required": ["code", "message", "request_id"],
        "properties": {
            "code": { "type": "integer", "description": codes.collect::<Vec<_>>().join("\n") },
            "message": { "type": "string", "description": "Safe to show to a player." },
            "request_id": { "type": "string", "pattern": "^[0-9a-f]{32}$" },
            "retry_after_ms": { "type": "integer", "description": "Always there with 423, 429 and 503; jittered, except with 423." },
            "details": { "type": "object", "additionalProperties": { "type": "string" }, "description": "Field → reason." },
        },
    })
}

/// Every code of the contract, in order.
pub(crate) fn known_codes() -> impl Iterator<Item = ErrorCode> {
    use ErrorCode as C;
    [
        C::INVALID_ARGUMENT,
        C::MALFORMED_BODY,
        C::MISSING_CREDENTIALS,
        C::BAD_SIGNATURE,
        C::STALE_TIMESTAMP,
        C::NONCE_REPLAYED,
        C::WRONG_CREDENTIALS,
        C::TOKEN_INVALID,
        C::TOKEN_EXPIRED,
        C::TOKEN_REVOKED,
        C::REFRESH_TOKEN_REUSED,
        C::WRONG_CODE,
        C::FORBIDDEN,
        C::ACCOUNT_BANNED,
        C::ACCOUNT_PENDING_DELETION,
        C::LOGIN_KIND_DISABLED,
        C::APP_DISABLED,
        C::DEVICE_LIMIT_REACHED,
        C::PARTNER_DISABLED,
        C::NO_SUCH_ROUTE,
        C::NO_SUCH_ACCOUNT,
        C::NO_SUCH_ORDER,
        C::NO_SUCH_PAYMENT_CHANNEL,
        C::METHOD_NOT_ALLOWED,
        C::USERNAME_TAKEN,
        C::CREDENTIAL_ALREADY_LINKED,
        C::IDEMPOTENCY_KEY_REUSED,
        C::BODY_TOO_LARGE,
        C::UNSUPPORTED_MEDIA_TYPE,
        C::ORDER_STATE_FORBIDS,
        C::INSUFFICIENT_BALANCE,
        C::TOO_MANY_FAILED_LOGINS,
        C::RATE_LIMITED_ADDRESS,
        C::RATE_LIMITED_SUBJECT,
        C::RATE_LIMITED_APP,
        C::INTERNAL,
        C::OVERLOADED,
        C::DEPENDENCY_UNAVAILABLE,
        C::SHUTTING_DOWN,
        C::MAINTENANCE,
        C::DEADLINE_EXCEEDED,
    ]
    .into_iter()
}

fn security_schemes() -> Value {
    json!({
        "player": { "type": "http", "scheme": "bearer", "description": "The player's access token." },
        "app": { "type": "apiKey", "in": "header", "name": "X-Signature",
            "description": "With `X-App-Id`, `X-Timestamp` (ms, within 5 minutes) and `X-Nonce` (8-64 characters)." },
        "partner": { "type": "apiKey", "in": "header", "name": "X-Signature",
            "description": "As the partner is configured: `hmac` with `X-Partner-Id`, `X-Timestamp` (ms, within 5 minutes) and `X-Nonce` (8-64 characters); `md5-sorted`; or none." },
        "basic": { "type": "http", "scheme": "basic", "description": "`app_id:app_secret`." },
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn the_document_is_openapi_3_1_and_every_answer_of_v1_is_an_envelope() {
        let document = document();
        assert_eq!(document["openapi"], "3.1.0");
        let verify = &document["paths"]["/v1/server/tokens/verify"]["post"]["responses"];
        let envelope = &verify["200"]["content"]["application/json"]["schema"]["properties"];
        assert_eq!(envelope["code"]["const"], 2_000_000);
        assert!(envelope["data"]["$ref"].as_str().is_some_and(|name| name.ends_with("Verdict")));
        assert!(verify["503"].is_object());
    }

    /// Answered to operators only, whose document adds them, or not yet answered to anybody.
    const NOT_FOR_PLAYERS: [ErrorCode; 9] = [
        ErrorCode::OK,
        ErrorCode::ACCEPTED,
        ErrorCode::NO_SUCH_APP,
        ErrorCode::APP_ID_TAKEN,
        ErrorCode::SETTINGS_CHANGED,
        ErrorCode::NO_SUCH_SETTING,
        ErrorCode::NO_SUCH_PRODUCT,
        ErrorCode::NO_SUCH_PARTNER,
        ErrorCode::PARTNER_TAKEN,
    ];

    #[test]
    fn the_document_has_every_code_that_the_roles_have() {
        let of_roles = include_str!("../../idl/common.thrift").lines().filter_map(|line| {
            let (name, number) = line.trim().strip_suffix(',')?.split_once(" = ")?;
            Some((name, number.parse::<i32>().ok()?))
        });
        let of_roles: Vec<_> = of_roles.collect();
        assert!(of_roles.len() > 30, "{of_roles:?}");
        for (name, number) in of_roles {
            let code = ErrorCode::from(number);
            let documented = known_codes().any(|known| known == code);
            assert!(documented != NOT_FOR_PLAYERS.contains(&code), "{name}");
        }
    }

    #[test]
    fn an_endpoint_says_how_it_can_refuse() {
        let document = document();
        let refusals = |method: &str, path: &str| -> Vec<String> {
            let responses = document["paths"][path][method]["responses"].as_object().expect("responses");
            responses.keys().filter(|status| status.starts_with('4')).cloned().collect()
        };
        assert_eq!(refusals("post", "/v1/sdk/login"), ["400", "401", "403", "423", "429"]);
        assert_eq!(refusals("post", "/v1/sdk/register"), ["400", "403", "409", "429"]);
        assert_eq!(refusals("post", "/v1/sdk/refresh"), ["400", "401", "403", "429"]);
        assert_eq!(refusals("post", "/v1/sdk/phone-codes"), ["400", "403", "429"]);
        assert_eq!(refusals("post", "/v1/sdk/link"), ["400", "401", "403", "409", "429"]);
        assert_eq!(refusals("get", "/v1/sdk/me"), ["400", "401", "403", "429"]);
        assert_eq!(refusals("post", "/v1/sdk/orders"), ["400", "401", "403", "409", "429"]);
        assert_eq!(refusals("get", "/v1/sdk/orders/{order_id}"), ["400", "401", "403", "404", "429"]);
        assert_eq!(
            refusals("post", "/v1/server/orders/{order_id}/redeliver"),
            ["400", "401", "403", "404", "422", "429"]
        );
        assert_eq!(refusals("post", "/v1/server/wallet/spend"), ["400", "401", "403", "409", "422", "429"]);
        assert_eq!(refusals("post", "/v1/server/tokens/verify"), ["400", "401", "403", "429"]);
    }

    #[test]
    fn every_endpoint_has_a_body_schema_of_its_own() {
        let document = document();
        let mut bodies: Vec<String> = Vec::new();
        for operations in document["paths"].as_object().expect("paths").values() {
            for operation in operations.as_object().expect("operations").values() {
                for body in
                    operation["requestBody"]["content"].as_object().into_iter().flat_map(|content| content.values())
                {
                    bodies.push(body["schema"].to_string());
                }
            }
        }
        let all = bodies.len();
        bodies.sort();
        bodies.dedup();
        assert_eq!(bodies.len(), all, "types of one name are one schema: {bodies:?}");
        let register = &document["components"]["schemas"]["RegisterRequest"]["properties"];
        assert!(register["username"].is_object() && register["password"].is_object());
    }

    #[test]
    fn every_reference_in_the_document_leads_somewhere() {
        assert_references_lead_somewhere(&document());
    }

    pub(crate) fn assert_references_lead_somewhere(document: &Value) {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(object) => {
                    if let Some(Value::String(reference)) = object.get("$ref") {
                        found.push(reference.clone());
                    }
                    object.values().for_each(|value| references(value, found));
                }
                Value::Array(values) => values.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        references(document, &mut found);
        assert!(found.len() > 10);
        for reference in found {
            assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        }
    }

    /// Every method and path of a document.
    pub(crate) fn methods_of(document: &Value) -> Vec<(String, String)> {
        let paths = document["paths"].as_object().expect("paths").iter();
        paths
            .flat_map(|(path, operations)| {
                operations.as_object().expect("operations").keys().map(|method| (method.clone(), path.clone()))
            })
            .collect()
    }
}
