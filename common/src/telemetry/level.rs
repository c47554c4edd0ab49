//! How much the process log says, and changing it while the process runs.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use tracing::{
    Metadata, Subscriber,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{LevelFilter, Targets},
    layer::Context,
    reload,
};

/// Libraries whose `info` is about themselves: they stay at `warn` unless a directive names them.
/// `rskafka` repeats as errors what is told once by whoever uses it.
const TALKATIVE: &str =
    "nacos_sdk=warn,hyper=warn,hyper_util=warn,reqwest=warn,rskafka=off,rustls=warn,sqlx=warn,opendal=warn";

/// The most that these libraries may say, whatever the directives ask for: beyond it they print what they carry, and
/// what they carry is passwords, tokens and keys. `volo_thrift` prints whole frames, and its errors repeat what they
/// could not read; what failed is logged by us, at the boundary.
const CEILINGS: &[(&str, LevelFilter)] = &[
    ("volo_thrift", LevelFilter::OFF),
    ("volo", LevelFilter::WARN),
    ("volo_http", LevelFilter::WARN),
    ("pilota", LevelFilter::WARN),
    ("hyper", LevelFilter::INFO),
    ("hyper_util", LevelFilter::INFO),
    ("h2", LevelFilter::INFO),
    ("reqwest", LevelFilter::INFO),
    ("rskafka", LevelFilter::INFO),
    ("rustls", LevelFilter::INFO),
    ("sqlx", LevelFilter::INFO),
    ("opendal", LevelFilter::INFO),
    ("nacos_sdk", LevelFilter::INFO),
];

/// Directives that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LevelError {
    /// A word without `=` must be a level; read as the name of a module it would silence everything else.
    #[error("{0:?} is no level: write error, warn, info, debug, trace or off, or module=level")]
    NoLevel(String),
    /// A directive the filter does not understand.
    #[error("{0}: write for example \"info\" or \"info,account::rpc=debug\"")]
    Directive(#[from] tracing_subscriber::filter::ParseError),
    /// The log that this handle belonged to is gone.
    #[error("the log has ended")]
    Ended,
}

/// Changes how much the process log says, from now on. Cheap to clone.
///
/// Libraries that log through the `log` crate can be made quieter but not more talkative than they were at the start.
#[derive(Clone)]
pub struct LevelHandle {
    filter: reload::Handle<LevelFilters, Registry>,
    directives: Arc<ArcSwap<String>>,
}

/// What the directives let through, and of that what the ceilings leave.
#[derive(Debug)]
pub(super) struct LevelFilters {
    directives: EnvFilter,
    ceilings: Targets,
}

impl LevelHandle {
    /// The filter for a subscriber, and the handle to it.
    pub(super) fn new(directives: &str) -> Result<(reload::Layer<LevelFilters, Registry>, Self), LevelError> {
        let (layer, filter) = reload::Layer::new(parse(directives)?);
        Ok((layer, Self { filter, directives: Arc::new(ArcSwap::from_pointee(directives.to_owned())) }))
    }

    /// The directives in force, as they were written.
    pub fn current(&self) -> Arc<String> {
        self.directives.load_full()
    }

    /// Puts other directives in force, in the form of `log.level`. On an error the old ones stay.
    pub fn set(&self, directives: &str) -> Result<(), LevelError> {
        self.filter.reload(parse(directives)?).map_err(|_| LevelError::Ended)?;
        self.directives.store(Arc::new(directives.to_owned()));
        Ok(())
    }
}

impl fmt::Debug for LevelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LevelHandle").field(&self.current()).finish()
    }
}

impl LevelFilters {
    fn is_under_its_ceiling(&self, metadata: &Metadata<'_>) -> bool {
        self.ceilings.would_enable(metadata.target(), metadata.level())
    }
}

/// The directives decide, once the ceilings have had their say. Everything about spans is the directives' own business.
impl<S: Subscriber> Layer<S> for LevelFilters {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match self.is_under_its_ceiling(metadata) {
            true => Layer::<S>::register_callsite(&self.directives, metadata),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        self.is_under_its_ceiling(metadata) && Layer::enabled(&self.directives, metadata, context)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Layer::<S>::max_level_hint(&self.directives)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        Layer::on_new_span(&self.directives, attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        Layer::on_record(&self.directives, id, values, context);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        Layer::on_enter(&self.directives, id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        Layer::on_exit(&self.directives, id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        Layer::on_close(&self.directives, id, context);
    }
}

/// Reads directives and puts the talkative libraries under them.
pub(super) fn parse(directives: &str) -> Result<LevelFilters, LevelError> {
    let mut overall = LevelFilter::OFF;
    let words = directives.split(',').map(str::trim).filter(|word| !word.contains(['=', '[']));
    for word in words {
        // An empty word would parse, as "error".
        let level = if word.is_empty() { None } else { word.parse().ok() };
        overall = level.ok_or_else(|| LevelError::NoLevel(word.to_owned()))?;
    }
    // The cap must not make a library louder than everything else. Of two directives for one target the later holds.
    let spec = if overall > LevelFilter::WARN { format!("{TALKATIVE},{directives}") } else { directives.to_owned() };
    let ceilings = Targets::new().with_targets(CEILINGS.iter().copied()).with_default(LevelFilter::TRACE);
    Ok(LevelFilters { directives: EnvFilter::try_new(spec)?, ceilings })
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Which of these events pass: ours at debug, info and error, then a talkative library's at the same levels.
    fn passing(directives: &str) -> [bool; 6] {
        let subscriber = tracing_subscriber::registry().with(parse(directives).expect("directives are understood"));
        tracing::subscriber::with_default(subscriber, || {
            [
                tracing::event_enabled!(target: "account::rpc", tracing::Level::DEBUG),
                tracing::event_enabled!(target: "account::rpc", tracing::Level::INFO),
                tracing::event_enabled!(target: "account::rpc", tracing::Level::ERROR),
                tracing::event_enabled!(target: "nacos_sdk::common", tracing::Level::DEBUG),
                tracing::event_enabled!(target: "nacos_sdk::common", tracing::Level::INFO),
                tracing::event_enabled!(target: "nacos_sdk::common", tracing::Level::ERROR),
            ]
        })
    }

    #[test]
    fn talkative_libraries_stay_at_warn_unless_they_are_named_and_are_never_louder_than_the_rest() {
        for (directives, expected) in [
            ("info", [false, true, true, false, false, true]),
            ("debug", [true, true, true, false, false, true]),
            ("debug,nacos_sdk=info", [true, true, true, false, true, true]),
            ("warn,account=debug", [true, true, true, false, false, true]),
            ("error", [false, false, true, false, false, true]),
            ("off", [false; 6]),
            ("account=info", [false, true, true, false, false, false]),
        ] {
            assert_eq!(passing(directives), expected, "{directives}");
        }
    }

    #[test]
    fn no_directive_makes_a_library_print_what_it_carries() {
        for directives in [
            "trace",
            "trace,volo_thrift=trace,volo=trace,hyper=trace,sqlx=trace",
            "trace,volo_thrift::codec::default=trace,sqlx_core::query=trace,hyper::proto=trace",
            "[request]=trace",
            "trace,[request]=trace",
        ] {
            let subscriber = tracing_subscriber::registry().with(parse(directives).expect("directives are understood"));
            tracing::subscriber::with_default(subscriber, || {
                let _inside = tracing::trace_span!("request").entered();
                let enabled = [
                    tracing::event_enabled!(target: "volo_thrift::codec::default", tracing::Level::TRACE),
                    tracing::event_enabled!(target: "volo_thrift::transport", tracing::Level::ERROR),
                    tracing::event_enabled!(target: "volo::net", tracing::Level::INFO),
                    tracing::event_enabled!(target: "sqlx_core::query", tracing::Level::DEBUG),
                    tracing::event_enabled!(target: "hyper::proto", tracing::Level::DEBUG),
                ];
                assert_eq!(enabled, [false; 5], "{directives}");
                assert!(tracing::event_enabled!(target: "account::rpc", tracing::Level::TRACE), "{directives}");
            });
        }
    }

    #[test]
    fn a_mistyped_level_is_refused_rather_than_read_as_the_name_of_a_module() {
        for directives in ["", "inof", "info,acount", "account=loud", "info,,debug"] {
            assert!(parse(directives).is_err(), "{directives:?}");
        }
    }

    #[test]
    fn the_level_changes_while_the_process_runs_and_a_bad_one_leaves_it_as_it_was() {
        let (filter, level) = LevelHandle::new("info").expect("a level");
        tracing::subscriber::with_default(tracing_subscriber::registry().with(filter), || {
            let debug = || tracing::event_enabled!(target: "account", tracing::Level::DEBUG);
            assert!(!debug());
            level.set("debug").expect("a level");
            assert!(debug());
            assert!(level.set("loud").is_err());
            assert!(debug());
            assert_eq!(*level.current(), "debug");
        });
    }
}
