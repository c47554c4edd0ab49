//! A platform of one service: a scripted account service, a client of it, and the transport between them.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use idl::account::{
    AccountService, AccountServiceClient, CancelDeletionRequest, ChangePasswordRequest, ChangePasswordResponse,
    DeletionInfo, EndOtherSessionsRequest, EndOtherSessionsResponse, EndSessionRequest, EndSessionResponse,
    FollowRevocationsRequest, FollowRevocationsResponse, GetAppRequest, GetAppResponse, GetHistoryRequest,
    GetProfileRequest, GetProfileResponse, GetSigningKeysRequest, GetSigningKeysResponse, GetTokenKeysRequest,
    GetTokenKeysResponse, LinkRequest, LinkResponse, LoginRequest, LoginResponse, LogoutRequest, LogoutResponse,
    RefreshRequest, RefreshResponse, RegisterRequest, RequestDeletionRequest, RevokeSessionsRequest,
    RevokeSessionsResponse, SendPhoneCodeRequest, SendPhoneCodeResponse, TokenStatus, TokenVerdict, VerifyTokenRequest,
    VerifyTokensRequest, VerifyTokensResponse,
};
use prometheus::{Encoder, Registry, TextEncoder};
use tokio::{io::AsyncReadExt, net::TcpListener, sync::watch, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use volo_thrift::ServerError;

use super::super::{
    AccountContract, CallError, ClientConfig, ClientMetrics, ClientParts, ServerConfig, ServerMetrics, ServerParts,
    ServerStack, Transport, account_client, error::refuse, serve, server_stack,
};
use crate::{
    clock::testing::SeededRandom,
    discovery::{Discovery, Instance, Instances},
    error_code::{ErrorCode, PublicError},
    governance::{Governance, shedding::Gates},
};

/// The two ways to reach a service.
#[derive(Clone, Copy, Debug)]
pub(super) enum Over {
    InProcess,
    Wire,
}

/// Writes one test per transport out of one promise.
macro_rules! on_both_transports {
    ($(async fn $promise:ident($over:ident: Over) $body:block)+) => {
        $(mod $promise {
            use super::*;

            async fn promise($over: Over) $body

            #[tokio::test]
            async fn in_process() {
                promise(Over::InProcess).await;
            }

            #[tokio::test]
            async fn over_the_wire() {
                promise(Over::Wire).await;
            }
        })+
    };
}
pub(super) use on_both_transports;

type Reply<T> = Pin<Box<dyn Future<Output = Result<T, ServerError>> + Send>>;
type Method<Request, Response> = Arc<dyn Fn(Request) -> Reply<Response> + Send + Sync>;

/// An account service that does what a test says: `verify_token` stands for reads, `logout` for writes.
#[derive(Clone)]
pub(super) struct Script {
    read: Method<VerifyTokenRequest, TokenVerdict>,
    write: Method<LogoutRequest, LogoutResponse>,
}

/// The service, its client, and what can be seen of them.
pub(super) struct Platform {
    pub(super) client: AccountServiceClient,
    pub(super) registry: Registry,
    pub(super) tasks: TaskTracker,
    _server: Option<Server>,
}

/// A server on a free port.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) stopping: CancellationToken,
    pub(super) serving: JoinHandle<io::Result<()>>,
}

/// Discovery that knows what a test tells it.
pub(super) struct Told(watch::Sender<Arc<Instances>>);

impl Script {
    /// Reads find everything valid, writes revoke one session.
    pub(super) fn new() -> Self {
        Self { read: Arc::new(|_| Box::pin(valid())), write: Arc::new(|_| Box::pin(revoked())) }
    }

    pub(super) fn on_read<F, R>(mut self, read: F) -> Self
    where
        F: Fn(VerifyTokenRequest) -> R + Send + Sync + 'static,
        R: Future<Output = Result<TokenVerdict, ServerError>> + Send + 'static,
    {
        self.read = Arc::new(move |request| Box::pin(read(request)));
        self
    }

    pub(super) fn on_write<F, R>(mut self, write: F) -> Self
    where
        F: Fn(LogoutRequest) -> R + Send + Sync + 'static,
        R: Future<Output = Result<LogoutResponse, ServerError>> + Send + 'static,
    {
        self.write = Arc::new(move |request| Box::pin(write(request)));
        self
    }
}

pub(super) async fn valid() -> Result<TokenVerdict, ServerError> {
    Ok(TokenVerdict { status: TokenStatus::VALID, ..TokenVerdict::default() })
}

pub(super) async fn revoked() -> Result<LogoutResponse, ServerError> {
    Ok(LogoutResponse { revoked: 1 })
}

impl Platform {
    pub(super) async fn start(over: Over, script: Script) -> Self {
        Self::start_with(over, script, &ClientConfig::default()).await
    }

    pub(super) async fn start_with(over: Over, script: Script, config: &ClientConfig) -> Self {
        let registry = Registry::new();
        let tasks = TaskTracker::new();
        let stack = stack(script, &registry, &tasks);
        let (transport, server) = match over {
            Over::InProcess => (Transport::InProcess(stack), None),
            Over::Wire => {
                let server = Server::start(stack, &ServerConfig::default()).await;
                (Transport::Wire(Arc::new(Told::about([server.address])) as Arc<dyn Discovery>), Some(server))
            }
        };
        let client = account_client(transport, config, &client_parts(&registry));
        Self { client, registry, tasks, _server: server }
    }

    pub(super) async fn read(&self, token: &str) -> Result<TokenVerdict, CallError> {
        read(&self.client, token).await
    }

    pub(super) async fn write(&self) -> Result<LogoutResponse, CallError> {
        write(&self.client).await
    }
}

impl Server {
    pub(super) async fn start(stack: ServerStack<AccountContract>, config: &ServerConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let stopping = CancellationToken::new();
        let (config, stop) = (config.clone(), stopping.clone());
        let serving = TaskTracker::new().spawn(async move { serve(listener, stack, &config, stop).await });
        Self { address, stopping, serving }
    }
}

impl Told {
    pub(super) fn about<const N: usize>(addresses: [SocketAddr; N]) -> Self {
        let told = Self(watch::Sender::new(Arc::default()));
        told.now(addresses);
        told
    }

    /// Instances of lanes.
    pub(super) fn in_lanes<const N: usize>(instances: [(SocketAddr, Option<&str>); N]) -> Self {
        let instance = |(address, lane): (SocketAddr, Option<&str>)| Instance {
            lane: lane.map(str::to_owned),
            ..Instance::at(address)
        };
        Self(watch::Sender::new(Arc::new(Instances::new(instances.into_iter().map(instance).collect()))))
    }

    /// From now on these are the instances.
    pub(super) fn now<const N: usize>(&self, addresses: [SocketAddr; N]) {
        let instances = addresses.into_iter().map(Instance::at).collect();
        self.0.send_replace(Arc::new(Instances::new(instances)));
    }
}

impl Discovery for Told {
    fn watch(&self, _service: &str) -> watch::Receiver<Arc<Instances>> {
        self.0.subscribe()
    }
}

pub(super) async fn read(client: &AccountServiceClient, token: &str) -> Result<TokenVerdict, CallError> {
    let request = VerifyTokenRequest { app_id: 1, token: token.to_owned().into() };
    Ok(client.verify_token(request).await?)
}

pub(super) async fn write(client: &AccountServiceClient) -> Result<LogoutResponse, CallError> {
    Ok(client.logout(LogoutRequest::default()).await?)
}

pub(super) fn stack(script: Script, registry: &Registry, tasks: &TaskTracker) -> ServerStack<AccountContract> {
    let metrics = ServerMetrics::register(registry).expect("one server per registry");
    let (random, governance) = (Arc::new(SeededRandom::new(1)), Governance::default());
    let parts = ServerParts { random, metrics, tasks: tasks.clone(), governance, gates: None };
    server_stack::<AccountContract, _>(script, &parts)
}

/// A stack with a gate, governed by `governance`.
pub(super) fn gated_stack(script: Script, registry: &Registry, governance: Governance) -> ServerStack<AccountContract> {
    let metrics = ServerMetrics::register(registry).expect("one server per registry");
    let random = Arc::new(SeededRandom::new(1));
    let gates = Gates::new(governance.clone(), random.clone(), registry).expect("one per registry");
    let parts = ServerParts { random, metrics, tasks: TaskTracker::new(), governance, gates: Some(gates) };
    server_stack::<AccountContract, _>(script, &parts)
}

pub(super) fn client_parts(registry: &Registry) -> ClientParts {
    governed_parts(registry, &Governance::default())
}

/// The same under rules that a test can change.
pub(super) fn governed_parts(registry: &Registry, governance: &Governance) -> ClientParts {
    let metrics = ClientMetrics::register(registry).expect("one client per registry");
    ClientParts { caller: "test", random: Arc::new(SeededRandom::new(2)), metrics, governance: governance.clone() }
}

/// Everything in a registry, as Prometheus reads it.
pub(in crate::rpc) fn scrape(registry: &Registry) -> String {
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text).expect("written to memory");
    String::from_utf8(text).expect("text")
}

/// An address on which nothing listens.
pub(super) async fn refusing_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("bound")
}

/// A server that takes requests, counts them and hangs up without an answer.
pub(super) async fn hanging_up(taken: &Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let taken = Arc::clone(taken);
    TaskTracker::new().spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let length = socket.read_u32().await.expect("a frame");
            let mut frame = vec![0; usize::try_from(length).expect("small")];
            socket.read_exact(&mut frame).await.expect("the whole frame");
            taken.fetch_add(1, Ordering::SeqCst);
        }
    });
    address
}

/// A server that takes connections and is silent, as a process that hangs is.
pub(super) async fn silent() -> (TcpListener, SocketAddr) {
    // The system takes the connections; nobody has to.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

fn unscripted() -> ServerError {
    refuse(&PublicError::new(ErrorCode::FORBIDDEN))
}

/// Methods of the contract that no test calls.
macro_rules! unscripted {
    ($module:ident => $($method:ident: $request:ident -> $response:ident;)+) => {
        $(async fn $method(&self, _: idl::$module::$request) -> Result<idl::$module::$response, ServerError> {
            Err(unscripted())
        })+
    };
}

impl AccountService for Script {
    async fn register(&self, _: RegisterRequest) -> Result<LoginResponse, ServerError> {
        Err(unscripted())
    }

    async fn login(&self, _: LoginRequest) -> Result<LoginResponse, ServerError> {
        Err(unscripted())
    }

    async fn refresh(&self, _: RefreshRequest) -> Result<RefreshResponse, ServerError> {
        Err(unscripted())
    }

    async fn logout(&self, request: LogoutRequest) -> Result<LogoutResponse, ServerError> {
        (self.write)(request).await
    }

    async fn send_phone_code(&self, _: SendPhoneCodeRequest) -> Result<SendPhoneCodeResponse, ServerError> {
        Err(unscripted())
    }

    async fn link(&self, _: LinkRequest) -> Result<LinkResponse, ServerError> {
        Err(unscripted())
    }

    async fn change_password(&self, _: ChangePasswordRequest) -> Result<ChangePasswordResponse, ServerError> {
        Err(unscripted())
    }

    async fn get_profile(&self, _: GetProfileRequest) -> Result<GetProfileResponse, ServerError> {
        Err(unscripted())
    }

    async fn verify_token(&self, request: VerifyTokenRequest) -> Result<TokenVerdict, ServerError> {
        (self.read)(request).await
    }

    async fn verify_tokens(&self, _: VerifyTokensRequest) -> Result<VerifyTokensResponse, ServerError> {
        Err(unscripted())
    }

    async fn revoke_sessions(&self, _: RevokeSessionsRequest) -> Result<RevokeSessionsResponse, ServerError> {
        Err(unscripted())
    }

    async fn authenticate(
        &self,
        _: idl::account::AuthenticateRequest,
    ) -> Result<idl::account::AuthenticateResponse, ServerError> {
        Err(unscripted())
    }

    async fn get_app(&self, _: GetAppRequest) -> Result<GetAppResponse, ServerError> {
        Err(unscripted())
    }

    async fn get_signing_keys(&self, _: GetSigningKeysRequest) -> Result<GetSigningKeysResponse, ServerError> {
        Err(unscripted())
    }

    async fn get_token_keys(&self, _: GetTokenKeysRequest) -> Result<GetTokenKeysResponse, ServerError> {
        Err(unscripted())
    }

    async fn follow_revocations(&self, _: FollowRevocationsRequest) -> Result<FollowRevocationsResponse, ServerError> {
        Err(unscripted())
    }

    async fn get_history(&self, _: GetHistoryRequest) -> Result<idl::account_admin::ListHistoryResponse, ServerError> {
        Err(unscripted())
    }

    async fn end_session(&self, _: EndSessionRequest) -> Result<EndSessionResponse, ServerError> {
        Err(unscripted())
    }

    async fn end_other_sessions(&self, _: EndOtherSessionsRequest) -> Result<EndOtherSessionsResponse, ServerError> {
        Err(unscripted())
    }

    async fn request_deletion(&self, _: RequestDeletionRequest) -> Result<DeletionInfo, ServerError> {
        Err(unscripted())
    }

    async fn cancel_deletion(&self, _: CancelDeletionRequest) -> Result<DeletionInfo, ServerError> {
        Err(unscripted())
    }

    unscripted! {
        account_admin =>
        admin_create_app: CreateAppRequest -> CreateAppResponse;
        admin_update_app: UpdateAppRequest -> UpdateAppResponse;
        admin_rotate_app_secret: RotateAppSecretRequest -> RotateAppSecretResponse;
        admin_describe_app: DescribeAppRequest -> DescribeAppResponse;
        admin_list_apps: ListAppsRequest -> ListAppsResponse;
        admin_put_channel: PutChannelRequest -> PutChannelResponse;
        admin_list_channels: ListChannelsRequest -> ListChannelsResponse;
        admin_find_account: FindAccountRequest -> FindAccountResponse;
        admin_revoke_sessions: RevokeAccountSessionsRequest -> RevokeAccountSessionsResponse;
        admin_ban_account: BanAccountRequest -> BanAccountResponse;
        admin_lift_ban: LiftBanRequest -> LiftBanResponse;
        admin_cancel_deletion: CancelAccountDeletionRequest -> CancelAccountDeletionResponse;
        admin_unlock_account: UnlockAccountRequest -> UnlockAccountResponse;
        admin_end_session: EndAccountSessionRequest -> EndAccountSessionResponse;
        admin_ban_subject: BanSubjectRequest -> BanSubjectResponse;
        admin_lift_subject_ban: LiftSubjectBanRequest -> LiftSubjectBanResponse;
        admin_list_bans: ListBansRequest -> ListBansResponse;
        admin_record_change: RecordChangeRequest -> RecordChangeResponse;
        admin_list_history: ListHistoryRequest -> ListHistoryResponse;
        admin_list_audit: ListAuditRequest -> ListAuditResponse;
    }

    unscripted! {
        account_partner =>
        get_partner: GetPartnerRequest -> GetPartnerResponse;
        admin_create_partner: CreatePartnerRequest -> CreatePartnerResponse;
        admin_update_partner: UpdatePartnerRequest -> UpdatePartnerResponse;
        admin_rotate_partner_secret: RotatePartnerSecretRequest -> RotatePartnerSecretResponse;
        admin_describe_partner: DescribePartnerRequest -> DescribePartnerResponse;
        admin_list_partners: ListPartnersRequest -> ListPartnersResponse;
    }
}
