//! Opening and probing one connection, whatever the URL names. Every step has its time.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult,
    Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster::ClusterClientBuilder,
    cluster_async::ClusterConnection,
    cluster_routing::{MultipleNodeRoutingInfo, ResponsePolicy, RoutingInfo},
};

use tokio::time::{sleep, timeout};

use super::{
    RedisConfig,
    target::{Cluster, Sentinels, Target},
};
use crate::clock::{Random, jittered};

/// Opening a connection takes several steps when sentinels or a cluster have to be asked first.
const STEPS_TO_CONNECT: u32 = 10;

/// How far the pauses between attempts are spread.
const SPREAD: f64 = 0.5;

/// A question that reached the wrong node of a cluster is asked again at the right one; more often than this the
/// cluster is being rebuilt.
const CLUSTER_REDIRECTS: u32 = 2;

/// Milliseconds before a question to a cluster is asked again.
const CLUSTER_PAUSE: u64 = 5;

/// What one connection may cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) connect: Duration,
    pub(super) response: Duration,
    pub(super) in_flight: usize,
}

/// A connection that many questions share.
#[derive(Clone)]
pub(super) enum Connection {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Limits {
    pub(super) fn of(config: &RedisConfig) -> Self {
        Self {
            connect: config.connect_timeout,
            response: config.response_timeout,
            in_flight: config.max_in_flight.get(),
        }
    }

    /// The same for questions that the server may hold back for `time`.
    pub(super) fn waiting(self, time: Duration) -> Self {
        Self { response: self.response + time, ..self }
    }
}

impl Target {
    /// Opens a connection that has answered.
    pub(super) async fn connect(&self, limits: Limits) -> RedisResult<Connection> {
        timeout(limits.connect * STEPS_TO_CONNECT, self.open_and_probe(limits))
            .await
            .unwrap_or_else(|_| Err((ErrorKind::Io, "it takes too long to connect").into()))
    }

    async fn open_and_probe(&self, limits: Limits) -> RedisResult<Connection> {
        let mut connection = match self {
            Self::Node(info) => Connection::Node(open(info.clone(), limits).await?),
            Self::Sentinel(sentinels) => Connection::Node(sentinels.connect_to_master(limits).await?),
            Self::Cluster(cluster) => Connection::Cluster(open_cluster(cluster, limits).await?),
        };
        connection.probe().await?;
        Ok(connection)
    }
}

/// The pause before the next attempt to connect.
pub(super) async fn pause(every: Duration, random: &dyn Random) {
    sleep(jittered(every, SPREAD, random)).await;
}

impl Sentinels {
    /// Asks one sentinel after the other for the master. A server that calls itself a replica is none, whatever a
    /// sentinel says that has not heard yet.
    async fn connect_to_master(&self, limits: Limits) -> RedisResult<MultiplexedConnection> {
        let mut reason = RedisError::from((ErrorKind::MasterNameNotFoundBySentinel, "no sentinel knows a master"));
        for sentinel in &self.sentinels {
            match self.ask(sentinel, limits).await {
                Ok(master) => return Ok(master),
                Err(error) => reason = error,
            }
        }
        Err(reason)
    }

    async fn ask(&self, sentinel: &ConnectionInfo, limits: Limits) -> RedisResult<MultiplexedConnection> {
        let mut sentinel = open(sentinel.clone(), limits).await?;
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.service);
        let (host, port): (String, u16) = question
            .query_async::<Option<_>>(&mut sentinel)
            .await?
            .ok_or((ErrorKind::MasterNameNotFoundBySentinel, "a sentinel does not know the service"))?;
        let mut master = open(self.master_at(host, port)?, limits).await?;
        let role: Vec<Value> = redis::cmd("ROLE").query_async(&mut master).await?;
        match role.first() {
            Some(Value::BulkString(role)) if role == b"master" => Ok(master),
            _ => Err((ErrorKind::MasterNameNotFoundBySentinel, "the master has just changed").into()),
        }
    }
}

impl Connection {
    /// Whether it still answers. A cluster does as long as one of its masters does: the others may be replaced.
    pub(super) async fn probe(&mut self) -> RedisResult<()> {
        let ping = redis::cmd("PING");
        match self {
            Self::Node(node) => ping.exec_async(node).await,
            Self::Cluster(cluster) => {
                let any = (MultipleNodeRoutingInfo::AllMasters, Some(ResponsePolicy::OneSucceeded));
                cluster.route_command(ping, RoutingInfo::MultiNode(any)).await.map(drop)
            }
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Node(node) => node.req_packed_command(cmd),
            Self::Cluster(cluster) => cluster.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Node(node) => node.req_packed_commands(pipeline, offset, count),
            Self::Cluster(cluster) => cluster.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Node(node) => node.get_db(),
            Self::Cluster(cluster) => cluster.get_db(),
        }
    }
}

async fn open(info: ConnectionInfo, limits: Limits) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(limits.connect))
        .set_response_timeout(Some(limits.response))
        .set_pipeline_buffer_size(limits.in_flight)
        .set_concurrency_limit(limits.in_flight);
    Client::open(info)?.get_multiplexed_async_connection_with_config(&config).await
}

async fn open_cluster(cluster: &Cluster, limits: Limits) -> RedisResult<ClusterConnection> {
    let Cluster { nodes, certificates } = cluster;
    let tcp = nodes.first().map(|node| node.tcp_settings().clone()).unwrap_or_default();
    let builder = ClusterClientBuilder::new(nodes.clone());
    let builder = match certificates {
        Some(certificates) => builder.certs(certificates.clone()),
        None => builder,
    };
    builder
        .tcp_settings(tcp)
        .connection_timeout(limits.connect)
        .response_timeout(limits.response)
        .overall_response_timeout(Some(limits.response))
        .connection_concurrency_limit(limits.in_flight)
        .retries(CLUSTER_REDIRECTS)
        .min_retry_wait(CLUSTER_PAUSE)
        .max_retry_wait(CLUSTER_PAUSE)
        .build()?
        .get_async_connection()
        .await
}
