//! [`RulesRecord`]: what is in force, since when and from where, for people who look.
//!
//! It is also what puts the document's rules in force: what is shown and what holds can't differ then.

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest as sha_256};
use govern::{problems::Problem, rules::Rules};
use prometheus::{IntGaugeVec, Opts, Registry};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{Governance, RULES_DOCUMENT, RulesSource};
use crate::{
    clock::{SharedClock, Timestamp},
    config::watch::{ConfigWatch, DocumentState},
};

/// Bytes of a digest that are shown: enough to tell documents apart.
const DIGEST_BYTES: usize = 8;

/// What is in force. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct RulesRecord(Arc<Record>);

struct Record {
    governance: Governance,
    clock: SharedClock,
    /// The document that is followed, if one is.
    followed: OnceLock<(RulesSource, ConfigWatch<Rules>)>,
    /// Held while rules are put in force, so that two changes come one after the other.
    putting: Mutex<()>,
    standing: ArcSwap<Standing>,
    info: IntGaugeVec,
}

/// Rules as a document would have to say them: every default and every inherited value written out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveRules {
    /// The first bytes of its SHA-256, in hex: the same wherever the same rules are.
    pub digest: String,
    /// The document.
    pub toml: String,
}

/// The rules in force, and how they came to be.
struct Standing {
    effective: EffectiveRules,
    origin: RulesOrigin,
    since: Timestamp,
}

/// Who said what is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RulesOrigin {
    /// Nobody: these are the defaults.
    Defaults,
    /// The document.
    Document(RulesSource),
}

/// What is in force, as it is answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RulesReport {
    /// Of the effective rules: the same in every process that goes by the same ones.
    pub digest: String,
    /// `defaults`, or where the document came from: `file` or `nacos`.
    pub origin: RulesOrigin,
    /// Since when, in Unix milliseconds.
    pub in_force_since_at: i64,
    /// What came of the document as it was last read.
    pub document: DocumentReport,
    /// The rules, every default written out.
    pub rules: Value,
    /// The same as a document.
    pub toml: String,
}

/// What came of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DocumentReport {
    /// Its name.
    pub name: &'static str,
    /// Where it is looked for. Absent: nowhere.
    pub source: Option<&'static str>,
    /// `not-followed`, `unread`, `absent`, `in-force` or `refused`.
    pub state: &'static str,
    /// Why it is refused.
    pub problems: Vec<String>,
}

impl RulesRecord {
    /// Of a process that is governed by what `governance` has now, until a document is followed.
    ///
    /// # Errors
    /// When the registry has its metric already.
    pub fn new(governance: Governance, clock: SharedClock, registry: &Registry) -> Result<Self, prometheus::Error> {
        let info = IntGaugeVec::new(
            Opts::new("playgate_govern_rules_info", "The rules of traffic in force: 1 for their digest and origin."),
            &["digest", "origin"],
        )?;
        registry.register(Box::new(info.clone()))?;
        let standing = Standing::of(&governance.current(), RulesOrigin::Defaults, clock.now());
        standing.show(&info);
        Ok(Self(Arc::new(Record {
            governance,
            clock,
            followed: OnceLock::new(),
            putting: Mutex::default(),
            standing: ArcSwap::from_pointee(standing),
            info,
        })))
    }

    /// Puts the rules of a document in force, now and whenever it says others. Has no end. A process has one document:
    /// of a second one only the rules would be followed.
    pub async fn follow(self, source: RulesSource, mut document: ConfigWatch<Rules>) {
        self.0.followed.get_or_init(|| (source, document.clone()));
        loop {
            let rules = document.changed().await;
            self.put_in_force(&rules, source);
        }
    }

    /// Waits until the document has been read for the first time, and if it is good is in force. See
    /// [`ConfigWatch::settled`].
    pub async fn settled(&self, source: RulesSource, document: &ConfigWatch<Rules>) {
        document.settled().await;
        if document.state() == DocumentState::InForce {
            self.put_in_force(&document.current(), source);
        }
    }

    /// What there is to show.
    pub fn report(&self) -> RulesReport {
        let standing = self.0.standing.load();
        RulesReport {
            digest: standing.effective.digest.clone(),
            origin: standing.origin,
            in_force_since_at: standing.since.as_millis(),
            document: self.document(),
            rules: toml::from_str(&standing.effective.toml).unwrap_or_default(),
            toml: standing.effective.toml.clone(),
        }
    }

    fn document(&self) -> DocumentReport {
        let followed = self.0.followed.get();
        let (state, problems) = match followed.map(|(_, document)| document.state()) {
            None => ("not-followed", Vec::new()),
            Some(DocumentState::Unread) => ("unread", Vec::new()),
            Some(DocumentState::Absent) => ("absent", Vec::new()),
            Some(DocumentState::InForce) => ("in-force", Vec::new()),
            Some(DocumentState::Refused(problems)) => ("refused", problems.iter().map(Problem::to_string).collect()),
        };
        DocumentReport { name: RULES_DOCUMENT, source: followed.map(|(source, _)| source.name()), state, problems }
    }

    fn put_in_force(&self, rules: &Rules, source: RulesSource) {
        let Record { governance, clock, putting, standing, info, .. } = &*self.0;
        let _one_at_a_time = putting.lock().unwrap_or_else(PoisonError::into_inner);
        let origin = RulesOrigin::Document(source);
        let is_other = *governance.current() != *rules;
        if !is_other && standing.load().origin == origin {
            // The same in other words: nothing that was learned under these rules has to be learned again.
            return;
        }
        if is_other {
            governance.put_in_force(rules.clone());
        }
        let next = Standing::of(rules, origin, clock.now());
        // First the new one: whoever scrapes in between sees two for once, and never none.
        next.show(info);
        standing.load().hide(info);
        tracing::info!(digest = next.effective.digest, %origin, "the rules of traffic are in force");
        standing.store(Arc::new(next));
    }
}

impl Standing {
    fn of(rules: &Rules, origin: RulesOrigin, since: Timestamp) -> Self {
        let toml = rules.effective().unwrap_or_else(|error| {
            // Rules that were read can be written.
            tracing::error!(%error, "the rules in force can't be written down");
            String::new()
        });
        Self { effective: EffectiveRules::new(toml), origin, since }
    }

    fn show(&self, info: &IntGaugeVec) {
        info.with_label_values(&self.labels()).set(1);
    }

    fn hide(&self, info: &IntGaugeVec) {
        // That it is not there is as good.
        let _ = info.remove_label_values(&self.labels());
    }

    fn labels(&self) -> [&str; 2] {
        [&self.effective.digest, self.origin.name()]
    }
}

impl EffectiveRules {
    /// What would be in force with a document.
    ///
    /// # Errors
    /// All that is wrong with it, at once.
    pub fn of_document(document: &str) -> Result<Self, Vec<Problem>> {
        let rules = Rules::parse(document)?;
        let unwritable = |error: toml::ser::Error| vec![Problem { path: String::new(), reason: error.to_string() }];
        Ok(Self::new(rules.effective().map_err(unwritable)?))
    }

    fn new(toml: String) -> Self {
        let digest = hex::encode(&sha_256(&SHA256, toml.as_bytes()).as_ref()[..DIGEST_BYTES]);
        Self { digest, toml }
    }
}

impl RulesOrigin {
    fn name(self) -> &'static str {
        match self {
            Self::Defaults => "defaults",
            Self::Document(source) => source.name(),
        }
    }
}

impl fmt::Display for RulesOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for RulesOrigin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl fmt::Debug for RulesRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RulesRecord").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{FutureExt, future::BoxFuture};
    use tokio::sync::watch;

    use super::*;
    use crate::{
        clock::{SystemRandom, testing::ManualClock},
        config::{
            Environment,
            watch::{DocumentError, DocumentSource, DynamicConfig, WatchMetrics, WatchParts},
        },
        lifecycle::{Lifecycle, LifecycleConfig},
        telemetry::encode,
    };

    /// A document that says what the test last said, and counts how often it was read.
    #[derive(Clone, Debug)]
    struct Spoken {
        text: Arc<Mutex<Option<&'static str>>>,
        reads: watch::Sender<u32>,
    }

    impl DocumentSource for Spoken {
        fn read(&self) -> BoxFuture<'_, Result<Option<String>, DocumentError>> {
            self.reads.send_modify(|reads| *reads += 1);
            let text = self.text.lock().unwrap().map(str::to_owned);
            std::future::ready(Ok(text)).boxed()
        }
    }

    impl Spoken {
        /// Says something else, and waits until it was read and followed: time moves on only when all is done.
        async fn say(&self, text: Option<&'static str>) {
            *self.text.lock().unwrap() = text;
            let mut reads = self.reads.subscribe();
            let first = *reads.borrow();
            reads.wait_for(|reads| *reads >= first + 2).await.expect("it is followed");
        }
    }

    struct Process {
        record: RulesRecord,
        governance: Governance,
        clock: Arc<ManualClock>,
        registry: Registry,
        document: Spoken,
        watch: ConfigWatch<Rules>,
    }

    fn process(text: Option<&'static str>) -> Process {
        let (registry, governance) = (Registry::new(), Governance::default());
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1000)));
        let record = RulesRecord::new(governance.clone(), clock.clone(), &registry).expect("registered once");
        let lifecycle = Lifecycle::new(LifecycleConfig::default().timing(Environment::Development));
        let parts = WatchParts {
            lifecycle: lifecycle.clone(),
            metrics: WatchMetrics::register(&registry).expect("registered once"),
            random: Arc::new(SystemRandom),
        };
        let document = Spoken { text: Arc::new(Mutex::new(text)), reads: watch::Sender::new(0) };
        let watch = ConfigWatch::follow(RULES_DOCUMENT, document.clone(), &DynamicConfig::default(), &parts);
        lifecycle.spawn_background("rules", record.clone().follow(RulesSource::File, watch.clone()));
        Process { record, governance, clock, registry, document, watch }
    }

    fn infos(registry: &Registry) -> Vec<String> {
        let text = encode(registry).expect("metrics");
        text.lines().filter(|line| line.starts_with("playgate_govern_rules_info{")).map(str::to_owned).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_good_document_is_in_force_and_shown_and_a_bad_one_is_shown_beside_what_stays() {
        let process = process(None);
        let Process { record, governance, clock, registry, document, .. } = &process;
        document.say(None).await;
        let defaults = record.report();
        assert_eq!((defaults.origin, defaults.document.state), (RulesOrigin::Defaults, "absent"));
        assert_eq!(defaults.rules["switches"]["shedding"], true);
        assert_eq!(defaults.in_force_since_at, 1000);

        clock.advance(Duration::from_secs(4));
        document.say(Some("switches.shedding = false")).await;
        assert!(!governance.current().switches.shedding);
        let report = record.report();
        assert_eq!((report.origin, report.in_force_since_at), (RulesOrigin::Document(RulesSource::File), 5000));
        assert_eq!((report.document.state, report.document.source), ("in-force", Some("file")));
        assert_eq!(report.rules["switches"]["shedding"], false);
        assert_ne!(report.digest, defaults.digest);
        assert_eq!(Rules::parse(&report.toml).as_ref(), Ok(&*governance.current()));
        let info = format!(r#"playgate_govern_rules_info{{digest="{}",origin="file"}} 1"#, report.digest);
        assert_eq!(infos(registry), [info], "and no longer the defaults");

        clock.advance(Duration::from_secs(4));
        document.say(Some("switches.shedding = true\nlanes = 3\nqueue.target = 'soon'")).await;
        assert!(!governance.current().switches.shedding);
        let refused = record.report();
        assert_eq!((refused.document.state, refused.document.problems.len()), ("refused", 2));
        assert_eq!(RulesReport { document: report.document.clone(), ..refused }, report, "nothing else has changed");
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_rules_in_other_words_are_no_other_rules() {
        let process = process(Some("switches.shedding = false"));
        let Process { record, governance, clock, document, .. } = &process;
        document.say(Some("switches.shedding = false")).await;
        let (before, told) = (record.report(), Arc::new(Mutex::new(0)));
        let counted = Arc::clone(&told);
        governance.follow(move |_| *counted.lock().unwrap() += 1);
        clock.advance(Duration::from_secs(4));
        document.say(Some("# quiet, please\n[switches]\nshedding = false\nretry = true")).await;
        assert_eq!(record.report(), before);
        assert_eq!(*told.lock().unwrap(), 1, "only when it began to follow");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_the_document_at_the_start_goes_by_it() {
        let process = process(Some("switches.shedding = false"));
        process.record.settled(RulesSource::File, &process.watch).await;
        assert!(!process.governance.current().switches.shedding);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(!process.governance.current().switches.shedding);
    }

    #[test]
    fn a_digest_is_that_of_the_effective_rules_and_stays_the_same() {
        assert_eq!(EffectiveRules::new(String::new()).digest, "e3b0c44298fc1c14");
        let digest = |document| EffectiveRules::of_document(document).expect("valid").digest;
        assert_eq!(digest(""), digest("[switches]\nretry = true # the default"));
        assert_ne!(digest(""), digest("switches.retry = false"));
    }
}
