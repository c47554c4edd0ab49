//! The connection to a Kafka cluster, and what can go wrong with it.
//!
//! Nothing is tried again here: a [`Cluster`] that has failed is given up, and whoever has it makes another.

use std::{
    collections::HashMap,
    error::Error as StdError,
    io,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use rskafka::{
    BackoffConfig,
    client::{
        Client, ClientBuilder,
        error::{Error, ProtocolError},
        partition::{Compression, PartitionClient, UnknownTopicHandling},
    },
};
use tokio::time::timeout;

use crate::{
    ShipperConfig,
    metrics::OfSource,
    round::{Lane, Round, Target},
};

/// How long it is believed how many partitions a topic has. Kafka's own producers ask as often.
const TOPICS_FOR: Duration = Duration::from_secs(300);

/// The largest answer that is read from a broker: metadata of a large cluster. Nothing is fetched.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Why something is not shipped. Everything is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Nobody answers, or nobody lets this process in.
    #[error("no broker can be reached, or none lets this process in: {0}")]
    Connection(String),
    /// An answer takes too long. The records may be there or not.
    #[error("a broker has not answered for {} ms", .0.as_millis())]
    Timeout(Duration),
    /// Only an operator can make it.
    #[error("the topic {0} does not exist: make it, or configure another")]
    NoTopic(String),
    /// Only an operator can help: by a larger `message.max.bytes` or a smaller `batch_bytes`.
    #[error("a broker finds a request too large: {0}")]
    TooLarge(String),
    /// Anything else that a broker says no with.
    #[error("a broker refuses: {0}")]
    Refused(String),
    /// Segments can't be read, or the place can't be kept.
    #[error("segments can't be read, or the checkpoint can't be written: {0}")]
    Disk(#[from] io::Error),
}

/// A cluster that can be shipped to.
#[derive(Debug)]
pub(crate) struct Cluster {
    client: Client,
    /// How many partitions each topic has.
    partitions: HashMap<String, usize>,
    /// When that was asked.
    asked_at: Instant,
    /// One connection each.
    lanes: HashMap<Target, PartitionClient>,
}

impl Failure {
    /// All there are.
    pub(crate) const LABELS: [&'static str; 6] = ["connection", "timeout", "no_topic", "too_large", "refused", "disk"];

    /// The label of metrics.
    pub(crate) fn label(&self) -> &'static str {
        let [connection, timeout, no_topic, too_large, refused, disk] = Self::LABELS;
        match self {
            Self::Connection(_) => connection,
            Self::Timeout(_) => timeout,
            Self::NoTopic(_) => no_topic,
            Self::TooLarge(_) => too_large,
            Self::Refused(_) => refused,
            Self::Disk(_) => disk,
        }
    }

    /// What the client says of it.
    fn of(error: &Error) -> Self {
        match error {
            Error::ServerError { protocol_error: ProtocolError::UnknownTopicOrPartition, .. } => {
                Self::NoTopic(error.to_string())
            }
            Error::ServerError {
                protocol_error: ProtocolError::MessageTooLarge | ProtocolError::RecordListTooLarge,
                ..
            } => Self::TooLarge(error.to_string()),
            Error::ServerError { .. } | Error::InvalidResponse(_) => Self::Refused(error.to_string()),
            // It wraps even what it does not try again.
            Error::RetryFailed(tries) => match tries.source().and_then(<dyn StdError>::downcast_ref::<Error>) {
                Some(cause) => Self::of(cause),
                None => Self::Connection(error.to_string()),
            },
            _ => Self::Connection(error.to_string()),
        }
    }
}

impl Cluster {
    /// Connects and asks which topics there are, within `connect_timeout`.
    pub(crate) async fn connect(config: &ShipperConfig) -> Result<Self, Failure> {
        let builder = ClientBuilder::new(config.brokers.clone())
            .client_id(config.client_id.as_str())
            .max_message_size(ANSWER_BYTES_MAX)
            .backoff_config(once());
        within(config.connect_timeout, async {
            let client = builder.build().await?;
            let partitions = topics(&client).await?;
            Ok(Self { client, partitions, asked_at: Instant::now(), lanes: HashMap::new() })
        })
        .await
    }

    /// Sends what the round has not had acknowledged: partitions side by side, the requests of one in their order. What
    /// was acknowledged is marked in the round also when something else failed.
    pub(crate) async fn send(
        &mut self,
        round: &mut Round,
        config: &ShipperConfig,
        metrics: &OfSource,
    ) -> Result<(), Failure> {
        if self.asked_at.elapsed() >= TOPICS_FOR {
            self.partitions = within(config.connect_timeout, topics(&self.client)).await?;
            self.asked_at = Instant::now();
            self.lanes.clear();
        }
        let lanes = round.lanes(|topic| self.partitions.get(topic).copied(), config.batch_bytes.get())?;
        self.connect_lanes(&lanes, config.connect_timeout).await?;
        let sent = {
            let (all, connected): (&Round, _) = (round, &self.lanes);
            join_all(lanes.iter().map(|lane| send_lane(connected, lane, all, config.request_timeout, metrics))).await
        };
        let mut outcome = Ok(());
        for ((acknowledged, failure), lane) in sent.into_iter().zip(&lanes) {
            for request in lane.requests.iter().take(acknowledged) {
                metrics.records.inc_by(u64::try_from(request.len()).unwrap_or(0));
                metrics.bytes.inc_by(round.acknowledge(request));
            }
            outcome = outcome.and(failure.map_or(Ok(()), Err));
        }
        outcome
    }

    async fn connect_lanes(&mut self, lanes: &[Lane], connect_timeout: Duration) -> Result<(), Failure> {
        for Lane { target, .. } in lanes {
            if self.lanes.contains_key(target) {
                continue;
            }
            let partition = i32::try_from(target.partition).unwrap_or(i32::MAX);
            let connecting = self.client.partition_client(&target.topic, partition, UnknownTopicHandling::Error);
            let lane = within(connect_timeout, connecting).await?;
            self.lanes.insert(target.clone(), lane);
        }
        Ok(())
    }
}

/// Sends one request after the other. Answers how many were acknowledged, and why no more were.
async fn send_lane(
    connected: &HashMap<Target, PartitionClient>,
    lane: &Lane,
    round: &Round,
    request_timeout: Duration,
    metrics: &OfSource,
) -> (usize, Option<Failure>) {
    let Some(client) = connected.get(&lane.target) else {
        return (0, Some(Failure::Connection("a partition has no connection".to_owned())));
    };
    for (acknowledged, request) in lane.requests.iter().enumerate() {
        let timer = metrics.request_seconds.start_timer();
        // Asks for all in-sync replicas: the client knows no other way.
        let sending = client.produce(round.copies(request), Compression::NoCompression);
        if let Err(failure) = within(request_timeout, sending).await {
            timer.stop_and_discard();
            return (acknowledged, Some(failure));
        }
        timer.observe_duration();
    }
    (lane.requests.len(), None)
}

/// How many partitions each topic has. Asks for all topics: asking for one by its name makes it at some brokers.
async fn topics(client: &Client) -> Result<HashMap<String, usize>, Error> {
    let topics = client.list_topics().await?;
    Ok(topics.into_iter().map(|topic| (topic.name, topic.partitions.len())).collect())
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
    match timeout(limit, work).await {
        Ok(outcome) => outcome.map_err(|error| Failure::of(&error)),
        Err(_elapsed) => Err(Failure::Timeout(limit)),
    }
}

/// The client would try again by itself, for ever, with waits that nobody can configure: one failure is enough.
fn once() -> BackoffConfig {
    BackoffConfig { deadline: Some(Duration::ZERO), ..BackoffConfig::default() }
}
