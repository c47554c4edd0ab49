//! Peer `bare_thrift`: what one more hop costs.
//!
//! The route of `bare_route` in front of a stock volo-thrift server in another process, over loopback, with the stock
//! client: framing, connection pool and load balancing as the framework ships them. The server echoes.
//!
//! Usage: `bare_thrift echo ADDRESS` and `bare_thrift gateway ADDRESS ECHO_ADDRESS`

use std::{env, net::SocketAddr, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use bench::peer::{self, Envelope, Question, Verdict};
use idl::{
    setting::{
        GetRevisionsRequest, GetRevisionsResponse, GetSettingsRequest, GetSettingsResponse, SettingService,
        SettingServiceClient, SettingServiceClientBuilder, SettingServiceServer,
    },
    setting_admin::{
        DiffRequest, DiffResponse, ExplainRequest, ExplainResponse, GetRevisionRequest, ListVersionsRequest,
        ListVersionsResponse, PublishRequest, Published, Revision, RollbackRequest, ValidateRequest, ValidateResponse,
    },
};
use pilota::FastStr;
use volo::net::Address;
use volo_http::{
    http::StatusCode,
    server::{Router, Server, extract::Json, route::post},
    utils::Extension,
};
use volo_thrift::{BizError, ServerError};

/// Answers every question with itself. Any method with a string in and a string out would do.
struct Echo;

impl SettingService for Echo {
    async fn get_settings(&self, request: GetSettingsRequest) -> Result<GetSettingsResponse, ServerError> {
        Ok(GetSettingsResponse {
            entity_tag: request.if_none_match.unwrap_or_default(),
            revision: request.app_id,
            settings_json: Some(FastStr::from_static_str("0197a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b")),
            ..GetSettingsResponse::default()
        })
    }

    async fn get_revisions(&self, _: GetRevisionsRequest) -> Result<GetRevisionsResponse, ServerError> {
        Err(not_served())
    }

    async fn admin_publish(&self, _: PublishRequest) -> Result<Published, ServerError> {
        Err(not_served())
    }

    async fn admin_validate(&self, _: ValidateRequest) -> Result<ValidateResponse, ServerError> {
        Err(not_served())
    }

    async fn admin_get_revision(&self, _: GetRevisionRequest) -> Result<Revision, ServerError> {
        Err(not_served())
    }

    async fn admin_list_versions(&self, _: ListVersionsRequest) -> Result<ListVersionsResponse, ServerError> {
        Err(not_served())
    }

    async fn admin_diff(&self, _: DiffRequest) -> Result<DiffResponse, ServerError> {
        Err(not_served())
    }

    async fn admin_rollback(&self, _: RollbackRequest) -> Result<Published, ServerError> {
        Err(not_served())
    }

    async fn admin_explain(&self, _: ExplainRequest) -> Result<ExplainResponse, ServerError> {
        Err(not_served())
    }
}

fn not_served() -> ServerError {
    ServerError::Biz(BizError::new(5_000_001, "the echo serves one method".into()))
}

async fn verify(
    Extension(echo): Extension<SettingServiceClient>,
    Json(question): Json<Question>,
) -> Result<Json<Envelope<Verdict>>, StatusCode> {
    let request =
        GetSettingsRequest { app_id: 100_001, if_none_match: Some(question.token), ..GetSettingsRequest::default() };
    let answer = echo.get_settings(request).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let account_id = i64::try_from(answer.entity_tag.len()).unwrap_or(i64::MAX);
    Ok(Json(peer::verdict(account_id, answer.settings_json.unwrap_or_default())))
}

async fn run_echo(address: SocketAddr) -> Result<()> {
    SettingServiceServer::new(Echo).run(Address::from(address)).await.map_err(|error| anyhow!(error.to_string()))
}

async fn run_gateway(address: SocketAddr, echo: SocketAddr) -> Result<()> {
    let client = SettingServiceClientBuilder::new("echo")
        .address(echo)
        .rpc_timeout(Some(Duration::from_secs(1)))
        .connect_timeout(Some(Duration::from_secs(1)))
        .build();
    let router: Router = Router::new().route(peer::PATH, post(verify)).layer(Extension(client));
    Server::new(router).run(Address::from(address)).await.map_err(|error| anyhow!(error.to_string()))
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let parsed = |index: usize| -> Result<SocketAddr> {
        Ok(arguments.get(index).context("usage: bare_thrift echo ADDRESS | gateway ADDRESS ECHO_ADDRESS")?.parse()?)
    };
    match arguments.first().map(String::as_str) {
        Some("echo") => run_echo(parsed(1)?).await,
        Some("gateway") => run_gateway(parsed(1)?, parsed(2)?).await,
        _ => bail!("usage: bare_thrift echo ADDRESS | gateway ADDRESS ECHO_ADDRESS"),
    }
}
