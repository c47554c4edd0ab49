//! A service on a fresh database, spoken to as its callers do. For tests only.

mod fake_google;
mod game_server;
mod http_server;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use aws_lc_rs::hmac;
use common::{
    clock::{Clock, SharedRandom, SystemRandom, testing::ManualClock},
    config::Environment,
    error_code::{ErrorCode, PublicError},
    lifecycle::RequestTasks,
    rpc::CallError,
    sql::{Database, migrate, testing::TestDatabase},
    token::master_key::MasterKey,
};
use idl::{
    account::{AppInfo, GetAppRequest},
    pay::{
        CreateOrderRequest, CreateOrderResponse, GetOrderRequest, HandleCallbackRequest, HandleCallbackResponse,
        Header, PayService,
    },
    pay_admin::{
        ChangeOrderRequest, DescribeOrderRequest, DescribeOrderResponse, PutPayChannelRequest, PutProductRequest,
        RefundOrderRequest,
    },
    pay_order,
};
use serde_json::{Value, json};
use volo_thrift::{ClientError, ServerError};

pub(crate) use self::{
    fake_google::{Door, FakeGoogle},
    game_server::{Answering, GameServer},
    http_server::{Asked, HttpServer, Reply},
};
use crate::{
    Apps, Config, DeliveryConfig, Pay, Resources,
    delivery::{Ringing, Worker},
    domain::{Currency, Extent, Money},
    store::{
        StoreError,
        archive::Evidence,
        orders::{ChannelRefund, Returned},
    },
};

pub(crate) const APP: i64 = 1001;
pub(crate) const OTHER_APP: i64 = 1002;
pub(crate) const PLAYER: i64 = 100_001;
pub(crate) const SECRET: &str = "the secret of the app";

/// A running service and everything around it. Its worker works when a test says so.
pub(crate) struct Service {
    pub(crate) pay: Pay,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) database: TestDatabase,
    account: Arc<FakeAccount>,
    config: Config,
}

/// What account knows of the apps.
#[derive(Debug, Default)]
struct FakeAccount {
    delivery_urls: Mutex<std::collections::HashMap<i64, String>>,
    refund_urls: Mutex<std::collections::HashMap<i64, String>>,
    secrets: Mutex<Vec<String>>,
    away: AtomicBool,
}

/// A worker that works when a test says so.
pub(crate) struct Hands {
    worker: Worker,
    ringing: Ringing,
}

impl Service {
    pub(crate) async fn start(database: TestDatabase) -> Self {
        Self::start_with(database, Config::default()).await
    }

    /// Migrates the database, puts a product into both catalogues and starts.
    pub(crate) async fn start_with(database: TestDatabase, config: Config) -> Self {
        migrate(&database, &crate::migrations()).await.expect("the schema is made");
        let (clock, account) = (Arc::new(ManualClock::default()), Arc::new(FakeAccount::default()));
        account.secrets.lock().expect("not poisoned").push(SECRET.to_owned());
        let pay = open(config.clone(), database.clone(), &account, &clock, Environment::Development);
        let service = Self { pay, clock, database, account, config };
        for app_id in [APP, OTHER_APP] {
            service.put_product(app_id, "gems60", &[("CNY", 600), ("USD", 99)]).await.expect("put");
        }
        service
    }

    /// Another instance on the same database, with connections of its own.
    pub(crate) async fn replica(&self) -> Pay {
        let database = self.database.replica().await;
        open(self.config.clone(), database, &self.account, &self.clock, Environment::Development)
    }

    /// An instance as players have it.
    pub(crate) fn in_production(&self) -> Pay {
        open(self.config.clone(), self.database.clone(), &self.account, &self.clock, Environment::Production)
    }

    pub(crate) fn deliver_to(&self, app_id: i64, url: &str) {
        self.account.delivery_urls.lock().expect("not poisoned").insert(app_id, url.to_owned());
    }

    /// Refunds of the app are told there.
    pub(crate) fn tell_refunds_to(&self, app_id: i64, url: &str) {
        self.account.refund_urls.lock().expect("not poisoned").insert(app_id, url.to_owned());
    }

    /// From now on account can't be asked, or can.
    pub(crate) fn account_is_away(&self, away: bool) {
        self.account.away.store(away, Ordering::SeqCst);
    }

    /// Another secret beside the others; it is the newest.
    pub(crate) fn rotate_secret(&self, secret: &str) {
        self.account.secrets.lock().expect("not poisoned").insert(0, secret.to_owned());
    }

    /// The only secret from now on.
    pub(crate) fn change_secret(&self, secret: &str) {
        *self.account.secrets.lock().expect("not poisoned") = vec![secret.to_owned()];
    }

    pub(crate) async fn put_product(
        &self,
        app_id: i64,
        product_id: &'static str,
        prices: &[(&'static str, i64)],
    ) -> Result<(), PublicError> {
        let request = PutProductRequest {
            actor: "operator".into(),
            app_id,
            product_id: product_id.into(),
            name: "60 Gems".into(),
            prices: prices.iter().map(|(code, amount)| ((*code).into(), *amount)).collect(),
            channel_products: [("store".into(), "com.studio.gems60".into())].into_iter().collect(),
        };
        public(self.pay.admin_put_product(request).await).map(drop)
    }

    /// Configures a channel of the app.
    pub(crate) async fn put_channel(&self, channel: &str, config: &Value) {
        let request = PutPayChannelRequest {
            actor: "operator".into(),
            app_id: APP,
            channel: channel.to_owned().into(),
            document_json: config.to_string().into(),
        };
        public(self.pay.admin_put_channel(request).await).expect("put");
    }

    pub(crate) async fn create(&self, key: &str) -> Result<CreateOrderResponse, PublicError> {
        self.create_with(key, |_| {}).await
    }

    pub(crate) async fn create_with(
        &self,
        key: &str,
        change: impl FnOnce(&mut CreateOrderRequest),
    ) -> Result<CreateOrderResponse, PublicError> {
        let mut request = order_request(key);
        change(&mut request);
        public(self.pay.create_order(request).await)
    }

    /// A new order's number.
    pub(crate) async fn order(&self, key: &str) -> String {
        self.create(key).await.expect("made").order_id.to_string()
    }

    /// An order that is paid.
    pub(crate) async fn paid_order(&self, key: &str) -> String {
        let order_id = self.order(key).await;
        assert_eq!(self.call_back(&payment(&order_id)).await, "SUCCESS");
        order_id
    }

    pub(crate) async fn look(&self, order_id: &str) -> pay_order::Order {
        let request = GetOrderRequest { app_id: APP, order_id: order_id.to_owned().into(), account_id: None };
        public(self.pay.get_order(request).await).expect("there").order
    }

    pub(crate) async fn state(&self, order_id: &str) -> String {
        self.look(order_id).await.state.to_string()
    }

    pub(crate) async fn describe(&self, order_id: &str) -> DescribeOrderResponse {
        let request = DescribeOrderRequest { order_id: order_id.to_owned().into() };
        public(self.pay.admin_describe_order(request).await).expect("there")
    }

    /// Every state the order came to, and what else was noted, in order.
    pub(crate) async fn events(&self, order_id: &str) -> Vec<String> {
        self.describe(order_id).await.journal.into_iter().map(|line| line.event.to_string()).collect()
    }

    pub(crate) async fn refund(&self, order_id: &str) -> Result<pay_order::Order, PublicError> {
        self.refund_with(order_id, false).await.map(|(order, _)| order)
    }

    /// The order, and where its money goes back.
    pub(crate) async fn refund_with(
        &self,
        order_id: &str,
        in_books: bool,
    ) -> Result<(pay_order::Order, String), PublicError> {
        let ChangeOrderRequest { actor, order_id, reason } = change(order_id);
        let request = RefundOrderRequest { actor, order_id, reason, in_books: in_books.then_some(true) };
        let answer = public(self.pay.admin_refund_order(request).await)?;
        Ok((answer.order, answer.refund.expect("a place").to_string()))
    }

    /// The channel says that so much of the order's payment went back, with this refund alone.
    pub(crate) async fn give_back(&self, order_id: &str, refund_id: Option<&str>, amount: i64) -> Returned {
        let money = Money::new(amount, Currency::parse("CNY").expect("a currency")).expect("an amount");
        self.give_back_as(&self.pay, order_id, refund_id, Extent::ThisTime(money)).await.expect("looked into")
    }

    /// The same in the channel's own way to count, said to an instance.
    pub(crate) async fn give_back_as(
        &self,
        pay: &Pay,
        order_id: &str,
        refund_id: Option<&str>,
        extent: Extent,
    ) -> Result<Returned, StoreError> {
        let refund = ChannelRefund {
            channel: "sandbox".to_owned(),
            app_id: APP,
            order_id: None,
            channel_order_id: format!("sandbox-{order_id}"),
            refund_id: refund_id.map(str::to_owned),
            extent,
            refunded_at: None,
        };
        let body = format!("{refund_id:?} {extent:?}");
        let evidence = Evidence { channel: "sandbox", app_id: APP, headers: "[]", body: body.as_bytes() };
        pay.parts().orders.refund_by_channel(&refund, evidence).await
    }

    pub(crate) async fn close(&self, order_id: &str) -> Result<pay_order::Order, PublicError> {
        public(self.pay.admin_close_order(change(order_id)).await).map(|response| response.order)
    }

    pub(crate) async fn redeliver(&self, order_id: &str) -> Result<pay_order::Order, PublicError> {
        public(self.pay.admin_redeliver_order(change(order_id)).await).map(|response| response.order)
    }

    /// The sandbox says that somebody paid; what it is answered.
    pub(crate) async fn call_back(&self, payment: &Value) -> String {
        let answer = call_back_on(&self.pay, APP, payment).await.expect("a channel");
        String::from_utf8(answer.body.to_vec()).expect("text")
    }

    /// What the player has in CNY.
    pub(crate) async fn wallet(&self) -> i64 {
        let wallet = self.pay.get_wallet(idl::pay::GetWalletRequest { app_id: APP, account_id: PLAYER });
        public(wallet.await).expect("a wallet").balances.get("CNY").copied().unwrap_or_default()
    }

    /// Every balance is the sum of its entries, every transaction zero, and no wallet below zero.
    pub(crate) async fn books_balance(&self) {
        let step = std::num::NonZeroU32::new(50).expect("not zero");
        let report = crate::check_ledger(&self.database, self.clock.now(), step).await.expect("checked");
        assert_eq!(report.drifts, []);
        let overdrawn = "SELECT COUNT(*) FROM pay_ledger_accounts WHERE owner_kind = 1 AND balance < 0";
        assert_eq!(self.count(overdrawn).await, 0);
    }

    /// What the clock of every instance says.
    pub(crate) fn clock_now(&self) -> common::clock::Timestamp {
        common::clock::Clock::now(&*self.clock)
    }

    /// The number a query answers with.
    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        let (count,): (i64,) = self.database.read(query).one().await.expect("counted");
        count
    }

    pub(crate) fn hands(&self) -> Hands {
        hands(&self.pay)
    }
}

impl Hands {
    /// Sends whatever is due, and waits for what comes of it; answers how much was sent.
    pub(crate) async fn deliver(&mut self) -> usize {
        self.worker.look().await;
        self.worker.settle().await
    }

    /// Claims whatever is due and is gone before anything comes of it.
    pub(crate) async fn die_with_claims(mut self) {
        self.worker.look().await;
    }

    /// Takes what has just been paid, as a running worker does.
    pub(crate) async fn answer_the_bell(&mut self) -> usize {
        let rung = self.ringing.next().await;
        self.worker.take(rung).await;
        self.worker.settle().await
    }
}

pub(crate) fn hands(pay: &Pay) -> Hands {
    let (worker, ringing) = pay.parts().worker.lock().expect("not poisoned").take().expect("nobody else has it");
    Hands { worker, ringing }
}

pub(crate) fn order_request(key: &str) -> CreateOrderRequest {
    CreateOrderRequest {
        app_id: APP,
        account_id: PLAYER,
        idempotency_key: key.to_owned().into(),
        product_id: "gems60".into(),
        amount: 600,
        currency: "CNY".into(),
        role_id: "role-1".into(),
        server_id: "server-1".into(),
        extension: r#"{"from":"shop"}"#.into(),
        channel: None,
    }
}

/// Deliveries that are given up after one repetition, a minute after the first attempt, and a patience without end.
pub(crate) fn impatient() -> Config {
    let delivery = DeliveryConfig {
        jitter: 0.0,
        schedule: vec![std::time::Duration::from_secs(60).into()],
        failures_before_pause: std::num::NonZeroU32::MAX,
        ..DeliveryConfig::default()
    };
    Config { delivery, ..Config::default() }
}

/// What the sandbox says when an order was paid as it should be.
pub(crate) fn payment(order_id: &str) -> Value {
    json!({
        "order_id": order_id,
        "channel_order_id": format!("sandbox-{order_id}"),
        "amount": 600,
        "currency": "CNY",
        "paid_at": 1_750_000_001_000_i64,
    })
}

/// What the sandbox signs with an app's secret.
pub(crate) fn signature(body: &str, secret: &str) -> String {
    hex::encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body.as_bytes()))
}

pub(crate) fn callback_request(app_id: i64, body: &str, secret: &str) -> HandleCallbackRequest {
    let signature = signature(body, secret);
    HandleCallbackRequest {
        channel: "sandbox".into(),
        app_id,
        method: "POST".into(),
        path: format!("/v1/pay/callbacks/sandbox/{app_id}").into(),
        query: "".into(),
        headers: vec![Header { name: "x-signature".into(), value: signature.into() }],
        body: body.as_bytes().to_vec().into(),
    }
}

/// The status that a callback is answered with.
pub(crate) async fn status_of(pay: &Pay, callback: HandleCallbackRequest) -> i32 {
    public(pay.handle_callback(callback).await).expect("a channel").status
}

pub(crate) async fn call_back_on(
    pay: &Pay,
    app_id: i64,
    payment: &Value,
) -> Result<HandleCallbackResponse, PublicError> {
    public(pay.handle_callback(callback_request(app_id, &payment.to_string(), SECRET)).await)
}

fn change(order_id: &str) -> ChangeOrderRequest {
    ChangeOrderRequest { actor: "operator".into(), order_id: order_id.to_owned().into(), reason: "asked to".into() }
}

fn open(
    config: Config,
    database: Database,
    account: &Arc<FakeAccount>,
    clock: &Arc<ManualClock>,
    environment: Environment,
) -> Pay {
    let account = Arc::clone(account);
    let random: SharedRandom = Arc::new(SystemRandom);
    let resources = Resources {
        database,
        master_key: Some(MasterKey::parse(&"5a".repeat(32)).expect("a key")),
        apps: Apps::asking(Arc::new(move |request: GetAppRequest| {
            let account = Arc::clone(&account);
            Box::pin(async move { account.answer(request.app_id) })
        })),
        tasks: RequestTasks::default(),
        environment,
        clock: clock.clone(),
        random,
        registry: prometheus::Registry::new(),
    };
    crate::open(config, resources).expect("the service starts")
}

impl FakeAccount {
    fn answer(&self, app_id: i64) -> Result<Option<AppInfo>, PublicError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(PublicError::unavailable(std::time::Duration::from_secs(1)));
        }
        let delivery_url = self.delivery_urls.lock().expect("not poisoned").get(&app_id).cloned().map(Into::into);
        let secrets = self.secrets.lock().expect("not poisoned").iter().map(|secret| secret.clone().into()).collect();
        let refund_url = self.refund_urls.lock().expect("not poisoned").get(&app_id).cloned().map(Into::into);
        let app = AppInfo { app_id, name: "Game".into(), enabled: true, secrets, delivery_url, refund_url };
        Ok([APP, OTHER_APP].contains(&app_id).then_some(app))
    }
}

/// What a caller sees: the way any error takes over RPC.
pub(crate) fn public<T>(answer: Result<T, ServerError>) -> Result<T, PublicError> {
    answer.map_err(|error| match error {
        ServerError::Biz(biz) => CallError::from(ClientError::Biz(biz)).into(),
        ServerError::Application(error) => panic!("not a refusal: {error}"),
    })
}

/// The code of a refusal, and the first field that it names.
pub(crate) fn refusal<T>(answer: Result<T, PublicError>) -> (ErrorCode, String) {
    let error = answer.err().expect("a refusal");
    (error.code, error.details.first().map(|(field, _)| field.to_string()).unwrap_or_default())
}
