//! A service on a fresh database, spoken to as its callers do. For tests only.

mod channels;
mod gate;
mod phones;

use std::{sync::Arc, time::Duration};

use common::{
    clock::{SharedRandom, SystemRandom, testing::ManualClock},
    config::{Environment, watch::ConfigWatch},
    error_code::{ErrorCode, PublicError},
    lifecycle::RequestTasks,
    rpc::CallError,
    shared::{Feed, MemoryState, SharedConfig},
    sql::{Database, Text, migrate, platform_migrations, testing::TestDatabase},
};
use idl::{
    account::{
        AccountService, ClientInfo, DeviceLogin, GetProfileRequest, GetProfileResponse, LoginProof, LoginRequest,
        LoginResponse, LogoutRequest, PasswordLogin, RefreshRequest, RefreshResponse, RegisterRequest,
        RevocationTarget, RevokeSessionsRequest, TokenStatus, TokenVerdict, VerifyTokenRequest,
    },
    account_admin::{AuditRecord, DeviceLimit, DeviceLimitChange, ListAuditRequest, PolicyChange, UpdateAppRequest},
};
use volo_thrift::{ClientError, ServerError};

use crate::{
    Account, Config, HashPoolConfig, MasterKey, Resources, RiskDocument,
    admin::{Admin, NewApp},
};

pub(crate) use self::{
    channels::{ChannelServer, Issuer, channel_proof},
    gate::Gate,
    phones::{PHONE, Phones},
};

pub(crate) const GRACE: Duration = Duration::from_secs(30);
pub(crate) const PASSWORD: &str = "correct horse";

/// A running service and everything around it.
pub(crate) struct Service {
    pub(crate) account: Account,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) database: TestDatabase,
    pub(crate) app: NewApp,
    feed: Option<Arc<dyn Feed>>,
    master_key: MasterKey,
}

impl Service {
    /// Migrates the database, makes an app and starts.
    pub(crate) async fn start(database: TestDatabase) -> Self {
        Self::start_with(database, config()).await
    }

    pub(crate) async fn start_with(database: TestDatabase, config: Config) -> Self {
        Self::start_on(database, config, None).await
    }

    /// The same with a feed to its replicas.
    pub(crate) async fn start_announcing(database: TestDatabase, feed: Arc<dyn Feed>) -> Self {
        Self::start_on(database, config(), Some(feed)).await
    }

    /// Opens the service again, standing on something else.
    pub(crate) async fn restart_with(&mut self, config: Config, change: impl FnOnce(Resources) -> Resources) {
        let resources = change(resources(self.database.clone(), &self.clock));
        self.account = running(crate::open(config, &self.master_key, resources).await.expect("the service starts"));
    }

    /// Opens the service again under another master key.
    pub(crate) async fn restart_under(&mut self, master_key: MasterKey, config: Config) {
        self.master_key = master_key;
        self.account = open(config, self.database.clone(), None, &self.master_key, &self.clock).await;
    }

    async fn start_on(database: TestDatabase, config: Config, feed: Option<Arc<dyn Feed>>) -> Self {
        migrate_all(&database).await;
        let (clock, master_key) = (Arc::new(ManualClock::default()), MasterKey::generate(&SystemRandom));
        let admin = Admin::new(database.clone(), &master_key, clock.clone(), random());
        let app = admin.create_app("Test Game", None).await.expect("an app is made");
        let account = open(config, database.clone(), feed.clone(), &master_key, &clock).await;
        Self { account, clock, database, app, feed, master_key }
    }

    /// Another instance on the same database, with connections of its own.
    pub(crate) async fn replica(&self) -> Account {
        self.replica_with(config()).await
    }

    pub(crate) async fn replica_with(&self, config: Config) -> Account {
        open(config, self.database.replica().await, self.feed.clone(), &self.master_key, &self.clock).await
    }

    pub(crate) fn admin(&self) -> Admin {
        Admin::new(self.database.clone(), &self.master_key, self.clock.clone(), random())
    }

    pub(crate) fn master_key(&self) -> &MasterKey {
        &self.master_key
    }

    pub(crate) fn app_id(&self) -> i64 {
        self.app.app_id
    }

    pub(crate) async fn register(&self, username: &str) -> Result<LoginResponse, PublicError> {
        self.register_with(username, PASSWORD).await
    }

    pub(crate) async fn register_with(&self, username: &str, password: &str) -> Result<LoginResponse, PublicError> {
        public(self.account.register(self.register_request(username, password)).await)
    }

    pub(crate) fn register_request(&self, username: &str, password: &str) -> RegisterRequest {
        RegisterRequest {
            app_id: self.app_id(),
            username: username.to_owned().into(),
            password: password.to_owned().into(),
            client: client_info(),
            switches: None,
        }
    }

    pub(crate) async fn login(&self, username: &str, password: &str) -> Result<LoginResponse, PublicError> {
        let (username, password) = (username.to_owned().into(), password.to_owned().into());
        self.login_by(self.app_id(), LoginProof::Password(PasswordLogin { username, password })).await
    }

    /// Signs in from a device of a class.
    pub(crate) async fn login_on(
        &self,
        username: &str,
        device: &'static str,
        class: &'static str,
    ) -> Result<LoginResponse, PublicError> {
        let (username, password) = (username.to_owned().into(), PASSWORD.into());
        let proof = LoginProof::Password(PasswordLogin { username, password });
        let client = ClientInfo { device_id: Some(device.into()), device_class: Some(class.into()), ..client_info() };
        public(
            self.account.login(LoginRequest { app_id: self.app_id(), proof, client, ..LoginRequest::default() }).await,
        )
    }

    /// Limits the sessions of the app's every device class.
    pub(crate) async fn limit_devices(&self, on_excess: &'static str, max: i32) {
        let limit = |class: &'static str| {
            (class.into(), DeviceLimitChange { limit: Some(DeviceLimit { max, on_excess: on_excess.into() }) })
        };
        let devices = Some(["mobile", "desktop", "console", "web"].map(limit).into_iter().collect());
        let request = UpdateAppRequest {
            actor: "operator".into(),
            app_id: self.app_id(),
            policy: Some(PolicyChange { devices, ..PolicyChange::default() }),
            ..UpdateAppRequest::default()
        };
        public(self.account.admin_update_app(request).await).expect("changed");
    }

    /// A sign-in with a password by that client.
    pub(crate) async fn login_as(
        &self,
        client: ClientInfo,
        username: &str,
        password: &str,
    ) -> Result<LoginResponse, PublicError> {
        let (username, password) = (username.to_owned().into(), password.to_owned().into());
        let proof = LoginProof::Password(PasswordLogin { username, password });
        public(
            self.account.login(LoginRequest { app_id: self.app_id(), proof, client, ..LoginRequest::default() }).await,
        )
    }

    pub(crate) async fn device_login(&self, device: &str, secret: Option<&str>) -> Result<LoginResponse, PublicError> {
        self.login_by(self.app_id(), device_proof(device, secret)).await
    }

    pub(crate) async fn login_by(&self, app_id: i64, proof: LoginProof) -> Result<LoginResponse, PublicError> {
        public(
            self.account.login(LoginRequest { app_id, proof, client: client_info(), ..LoginRequest::default() }).await,
        )
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> Result<RefreshResponse, PublicError> {
        refresh_on(&self.account, self.app_id(), refresh_token).await
    }

    pub(crate) async fn logout(&self, access_token: &str, everywhere: bool) -> Result<i64, PublicError> {
        let request = LogoutRequest { access_token: access_token.to_owned().into(), everywhere };
        public(self.account.logout(request).await).map(|response| response.revoked)
    }

    pub(crate) async fn revoke(&self, app_id: i64, target: RevocationTarget) -> Result<i64, PublicError> {
        let request = RevokeSessionsRequest { app_id, target, reason: "test".into() };
        public(self.account.revoke_sessions(request).await).map(|response| response.revoked)
    }

    pub(crate) async fn profile(&self, access_token: &str) -> Result<GetProfileResponse, PublicError> {
        let request = GetProfileRequest { access_token: access_token.to_owned().into() };
        public(self.account.get_profile(request).await)
    }

    pub(crate) async fn status(&self, access_token: &str) -> TokenStatus {
        status_on(&self.account, self.app_id(), access_token).await
    }

    pub(crate) async fn verify(&self, access_token: &str) -> Result<TokenVerdict, PublicError> {
        let request = VerifyTokenRequest { app_id: self.app_id(), token: access_token.to_owned().into() };
        public(self.account.verify_token(request).await)
    }

    /// The audit, newest first.
    pub(crate) async fn audit(&self) -> Vec<AuditRecord> {
        let request = ListAuditRequest { limit: 200, ..ListAuditRequest::default() };
        public(self.account.admin_list_audit(request).await).expect("records").records
    }

    /// Gives the one account with a password another stored hash.
    pub(crate) async fn set_password_hash(&self, hash: &str) {
        let statement = "UPDATE account_credentials SET secret = ? WHERE kind = 'password'";
        self.database.write(statement).bind(hash).execute().await.expect("changed");
    }

    /// What is stored of the one account's password.
    pub(crate) async fn password_hash(&self) -> String {
        let statement = "SELECT secret FROM account_credentials WHERE kind = 'password'";
        let (hash,): (Text,) = self.database.read(statement).one().await.expect("read");
        hash.into()
    }

    /// The number a query answers with.
    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        let (count,): (i64,) = self.database.read(query).one().await.expect("counted");
        count
    }
}

pub(crate) async fn refresh_on(
    account: &Account,
    app_id: i64,
    refresh_token: &str,
) -> Result<RefreshResponse, PublicError> {
    public(
        account.refresh(RefreshRequest { app_id, refresh_token: refresh_token.to_owned().into(), client: None }).await,
    )
}

pub(crate) async fn status_on(account: &Account, app_id: i64, access_token: &str) -> TokenStatus {
    let request = VerifyTokenRequest { app_id, token: access_token.to_owned().into() };
    public(account.verify_token(request).await).expect("a verdict").status
}

pub(crate) fn device_proof(device: &str, secret: Option<&str>) -> LoginProof {
    let device_secret = secret.map(|secret| secret.to_owned().into());
    LoginProof::Device(DeviceLogin { device_id: device.to_owned().into(), device_secret, new_device_secret: None })
}

/// The default configuration with hashes that cost nothing: these tests are not about their strength.
pub(crate) fn config() -> Config {
    let hash_pool = HashPoolConfig { threads: 1, memory_kib: 8, iterations: 1, ..HashPoolConfig::default() };
    Config { hash_pool, ..Config::default() }
}

/// What a caller sees: the way any error takes over RPC.
pub(crate) fn public<T>(answer: Result<T, ServerError>) -> Result<T, PublicError> {
    answer.map_err(|error| match error {
        ServerError::Biz(biz) => CallError::from(ClientError::Biz(biz)).into(),
        ServerError::Application(error) => panic!("not a refusal: {error}"),
    })
}

/// The code of a refusal.
pub(crate) fn code<T>(answer: Result<T, PublicError>) -> ErrorCode {
    answer.err().map_or(ErrorCode::OK, |error| error.code)
}

/// The first field that a refusal names.
pub(crate) fn field<T>(answer: Result<T, PublicError>) -> (ErrorCode, String) {
    let error = answer.err().expect("a refusal");
    (error.code, error.details.first().map(|(field, _)| field.to_string()).unwrap_or_default())
}

pub(crate) fn random() -> SharedRandom {
    Arc::new(SystemRandom)
}

/// Brings a fresh database up to date.
pub(crate) async fn migrate_all(database: &Database) {
    for set in [platform_migrations(), crate::migrations()] {
        migrate(database, &set).await.expect("the schema is made");
    }
}

/// An instance on a migrated database.
pub(crate) async fn open(
    config: Config,
    database: Database,
    feed: Option<Arc<dyn Feed>>,
    master_key: &MasterKey,
    clock: &Arc<ManualClock>,
) -> Account {
    let resources = Resources { feed, ..resources(database, clock) };
    running(Box::pin(crate::open(config, master_key, resources)).await.expect("the service starts"))
}

/// With the tasks that its requests need, and without those that follow other instances: tests say when they do.
fn running(account: Account) -> Account {
    for writer in account.writers() {
        RequestTasks::default().spawn_in_context(writer.run);
    }
    account
}

/// What an instance stands on that shares nothing but its database.
pub(crate) fn resources(database: Database, clock: &Arc<ManualClock>) -> Resources {
    Resources {
        database,
        feed: None,
        shared: Arc::new(MemoryState::new(SharedConfig::default(), clock.clone())),
        risk_documents: ConfigWatch::fixed(RiskDocument::default()),
        tasks: RequestTasks::default(),
        environment: Environment::Development,
        clock: clock.clone(),
        random: random(),
        registry: prometheus::Registry::new(),
    }
}

fn client_info() -> ClientInfo {
    ClientInfo {
        device_id: Some("device-1".into()),
        channel: Some("taptap".into()),
        package_name: None,
        device_class: None,
        sdk_version: Some("1.0.0".into()),
        address: Some("192.0.2.1".into()),
    }
}
