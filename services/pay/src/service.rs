//! The parts put together: a database in, an RPC handler out.

use std::sync::{Arc, Mutex};

use common::{
    clock::{SharedClock, SharedRandom},
    config::Environment,
    events::{EventOutbox, EventOutboxParts},
    lifecycle::RequestTasks,
    rpc::answer,
    sql::{Database, JobLeases, MigrationSet},
    token::master_key::MasterKey,
};
use idl::{
    pay::{
        CreateOrderRequest, CreateOrderResponse, GetOrderRequest, GetOrderResponse, GetWalletRequest,
        GetWalletResponse, HandleCallbackRequest, HandleCallbackResponse, PayService, RedeliverOrderRequest,
        RedeliverOrderResponse, SpendWalletRequest, SpendWalletResponse,
    },
    pay_admin::{
        ChangeOrderRequest, ChangeOrderResponse, DeleteProductRequest, DeleteProductResponse, DescribeOrderRequest,
        DescribeOrderResponse, GetProductRequest, GetProductResponse, ListDeadLettersRequest, ListDeadLettersResponse,
        ListPayChannelsRequest, ListPayChannelsResponse, ListProductsRequest, ListProductsResponse,
        PutPayChannelRequest, PutPayChannelResponse, PutProductRequest, PutProductResponse, RedeliverManyRequest,
        RedeliverManyResponse, RefundOrderRequest, RefundOrderResponse, SearchOrdersRequest, SearchOrdersResponse,
    },
};
use prometheus::Registry;
use sqlx::migrate::Migrator;
use volo_thrift::ServerError;

use crate::{
    Config,
    apps::Apps,
    callbacks::Callbacks,
    channel_book::ChannelBook,
    channel_calls::{ChannelCalls, ChannelCallsStartError},
    delivery::{Ringing, Sender, SenderStartError, Worker, WorkerParts, bell},
    events,
    google::{Google, GoogleMetrics},
    jobs,
    metrics::{Metrics, OrderMetrics},
    questions::{QuestionMetrics, Questions, QuestionsParts},
    rpc,
    store::{Ledger, channel_tasks::ChannelTasks, orders::Orders, products::Products},
};

static MYSQL: Migrator = sqlx::migrate!("migrations/mysql");
static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");

/// The schema of the service: tables that begin with `pay_`.
pub fn migrations() -> MigrationSet {
    MigrationSet { name: "pay", mysql: &MYSQL, sqlite: &SQLITE }
}

/// What the service stands on.
#[derive(Debug)]
pub struct Resources {
    /// Where everything lies that must not be lost.
    pub database: Database,
    /// What secrets of payment channels are sealed under; `None`: none can be kept.
    pub master_key: Option<MasterKey>,
    /// Where apps are delivered to, and what signs for them.
    pub apps: Apps,
    /// Tracks deliveries under way.
    pub tasks: RequestTasks,
    /// Development has the sandbox channel, and delivers to this machine.
    pub environment: Environment,
    /// The time.
    pub clock: SharedClock,
    /// For numbers and jitter.
    pub random: SharedRandom,
    /// Where the service's metrics are registered.
    pub registry: Registry,
}

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Game servers or payment channels can't be called.
    #[error("{0}")]
    Calls(String),
    /// A metric of the same name is registered already.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

/// The pay service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pay {
    parts: Arc<Parts>,
}

/// What the methods share.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) database: Database,
    pub(crate) ledger: Ledger,
    pub(crate) products: Products,
    pub(crate) orders: Orders,
    pub(crate) callbacks: Callbacks,
    pub(crate) channels: ChannelBook,
    pub(crate) google: Google,
    pub(crate) channel_tasks: ChannelTasks,
    pub(crate) questions: Questions,
    pub(crate) jobs: JobLeases,
    pub(crate) walks: jobs::Walks,
    pub(crate) metrics: Arc<OrderMetrics>,
    pub(crate) events: EventOutbox,
    pub(crate) google_metrics: Arc<GoogleMetrics>,
    pub(crate) clock: SharedClock,
    pub(crate) random: SharedRandom,
    /// Until somebody runs it.
    pub(crate) worker: Mutex<Option<(Worker, Ringing)>>,
}

/// Makes the handler. The schema must be up to date; nothing is read yet.
///
/// The caller runs [`Pay::background`] and [`Pay::deliver`]; without the latter no game server is told of anything.
///
/// # Errors
/// When TLS can't be used, or the name of a metric is taken.
pub fn open(config: Config, resources: Resources) -> Result<Pay, StartError> {
    let Resources { database, master_key, apps, tasks, environment, clock, random, registry } = resources;
    let metrics = Arc::new(OrderMetrics::register(&registry)?);
    let ledger_metrics = Arc::new(Metrics::register(&registry)?);
    let ledger = Ledger::new(database.clone(), clock.clone(), random.clone(), ledger_metrics);
    let (wake, ringing) = bell();
    let events = EventOutbox::new(
        &config.events,
        EventOutboxParts {
            service: "pay",
            database: database.clone(),
            table: &events::TABLE,
            jobs: &jobs::TABLE,
            clock: clock.clone(),
            random: random.clone(),
            registry: &registry,
        },
    )?;
    let (count, ttl, plan) = (Arc::clone(&metrics), config.order_ttl, config.queries.plan());
    let orders = Orders::new(ledger.clone(), count, wake, ttl, plan, events.clone());
    let sender = Sender::new(&config.delivery, environment, apps.clone(), clock.clone(), random.clone())?;
    let worker = Worker::new(WorkerParts {
        orders: orders.clone(),
        sender,
        config: config.delivery.clone(),
        tasks,
        metrics: Arc::clone(&metrics),
        clock: clock.clone(),
        random: random.clone(),
    });
    let channel_calls = ChannelCalls::new(&config.channel_calls, environment)?;
    let per_app = config.channels_per_app.get();
    let (key, book_clock, book_random) = (master_key.as_ref(), clock.clone(), random.clone());
    let channels = ChannelBook::new(database.clone(), key, per_app, environment, book_clock, book_random);
    let google_metrics = Arc::new(GoogleMetrics::register(&registry)?);
    let calls = channel_calls.clone();
    let google = Google::new(config.google.clone(), calls, clock.clone(), Arc::clone(&google_metrics));
    let questions = Questions::new(QuestionsParts {
        orders: orders.clone(),
        channels: channels.clone(),
        apps: apps.clone(),
        calls: channel_calls,
        config: config.queries.clone(),
        metrics: QuestionMetrics::register(&registry)?,
        clock: clock.clone(),
        random: random.clone(),
    });
    let (book, count) = (channels.clone(), Arc::clone(&metrics));
    let callbacks = Callbacks::new(apps, book, orders.clone(), google.clone(), clock.clone(), count);
    Ok(Pay {
        parts: Arc::new(Parts {
            config,
            ledger,
            products: Products::new(database.clone()),
            orders,
            callbacks,
            channels,
            google,
            channel_tasks: ChannelTasks::new(database.clone(), clock.clone()),
            questions,
            jobs: JobLeases::new(database.clone(), &jobs::TABLE),
            walks: jobs::Walks::default(),
            database,
            metrics,
            events,
            google_metrics,
            clock,
            random,
            worker: Mutex::new(Some((worker, ringing))),
        }),
    })
}

impl Pay {
    /// The books.
    pub fn ledger(&self) -> &Ledger {
        &self.parts.ledger
    }

    /// Events for a data warehouse, for whoever carries them on.
    pub fn events(&self) -> &EventOutbox {
        &self.parts.events
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }
}

impl PayService for Pay {
    async fn get_wallet(&self, request: GetWalletRequest) -> Result<GetWalletResponse, ServerError> {
        answer(rpc::get_wallet::get_wallet(&self.parts.ledger, request).await)
    }

    async fn spend_wallet(&self, request: SpendWalletRequest) -> Result<SpendWalletResponse, ServerError> {
        answer(Box::pin(rpc::spend_wallet::spend_wallet(&self.parts.ledger, request)).await)
    }

    async fn create_order(&self, request: CreateOrderRequest) -> Result<CreateOrderResponse, ServerError> {
        answer(Box::pin(rpc::create_order::create_order(&self.parts, request)).await)
    }

    async fn get_order(&self, request: GetOrderRequest) -> Result<GetOrderResponse, ServerError> {
        answer(rpc::get_order::get_order(&self.parts, request).await)
    }

    async fn redeliver_order(&self, request: RedeliverOrderRequest) -> Result<RedeliverOrderResponse, ServerError> {
        answer(Box::pin(rpc::redeliver_order::redeliver_order(&self.parts, request)).await)
    }

    async fn handle_callback(&self, request: HandleCallbackRequest) -> Result<HandleCallbackResponse, ServerError> {
        answer(Box::pin(rpc::handle_callback::handle_callback(&self.parts, request)).await)
    }

    async fn admin_put_product(&self, request: PutProductRequest) -> Result<PutProductResponse, ServerError> {
        answer(rpc::admin::put_product::put_product(&self.parts, request).await)
    }

    async fn admin_put_channel(&self, request: PutPayChannelRequest) -> Result<PutPayChannelResponse, ServerError> {
        answer(Box::pin(rpc::admin::put_channel::put_channel(&self.parts, request)).await)
    }

    async fn admin_list_channels(
        &self,
        request: ListPayChannelsRequest,
    ) -> Result<ListPayChannelsResponse, ServerError> {
        answer(rpc::admin::list_channels::list_channels(&self.parts, request).await)
    }

    async fn admin_describe_order(&self, request: DescribeOrderRequest) -> Result<DescribeOrderResponse, ServerError> {
        answer(rpc::admin::describe_order::describe_order(&self.parts, request).await)
    }

    async fn admin_redeliver_order(&self, request: ChangeOrderRequest) -> Result<ChangeOrderResponse, ServerError> {
        answer(Box::pin(rpc::admin::redeliver_order::redeliver_order(&self.parts, request)).await)
    }

    async fn admin_close_order(&self, request: ChangeOrderRequest) -> Result<ChangeOrderResponse, ServerError> {
        answer(Box::pin(rpc::admin::close_order::close_order(&self.parts, request)).await)
    }

    async fn admin_refund_order(&self, request: RefundOrderRequest) -> Result<RefundOrderResponse, ServerError> {
        answer(Box::pin(rpc::admin::refund_order::refund_order(&self.parts, request)).await)
    }

    async fn admin_redeliver_many(&self, request: RedeliverManyRequest) -> Result<RedeliverManyResponse, ServerError> {
        answer(Box::pin(rpc::admin::redeliver_many::redeliver_many(&self.parts, request)).await)
    }

    async fn admin_list_dead_letters(
        &self,
        request: ListDeadLettersRequest,
    ) -> Result<ListDeadLettersResponse, ServerError> {
        answer(Box::pin(rpc::admin::list_dead_letters::list_dead_letters(&self.parts, request)).await)
    }

    async fn admin_list_products(&self, request: ListProductsRequest) -> Result<ListProductsResponse, ServerError> {
        answer(Box::pin(rpc::admin::list_products::list_products(&self.parts, request)).await)
    }

    async fn admin_get_product(&self, request: GetProductRequest) -> Result<GetProductResponse, ServerError> {
        answer(Box::pin(rpc::admin::get_product::get_product(&self.parts, request)).await)
    }

    async fn admin_delete_product(&self, request: DeleteProductRequest) -> Result<DeleteProductResponse, ServerError> {
        answer(Box::pin(rpc::admin::delete_product::delete_product(&self.parts, request)).await)
    }

    async fn admin_search_orders(&self, request: SearchOrdersRequest) -> Result<SearchOrdersResponse, ServerError> {
        answer(Box::pin(rpc::admin::search_orders::search_orders(&self.parts, request)).await)
    }
}

impl From<SenderStartError> for StartError {
    fn from(error: SenderStartError) -> Self {
        Self::Calls(error.to_string())
    }
}

impl From<ChannelCallsStartError> for StartError {
    fn from(error: ChannelCallsStartError) -> Self {
        Self::Calls(error.to_string())
    }
}
