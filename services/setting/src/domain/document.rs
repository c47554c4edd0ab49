//! A settings document: what an app declares, what its channels and packages override, and the rules on top.
//!
//! ```json
//! {"settings": {"drop_rate": {"type": "number", "value": 0.1}},
//!  "channels": {"store": {"drop_rate": 0.2}},
//!  "segments": {"testers": {"accounts": [1, 2, 3]}},
//!  "rules": [{"setting": "drop_rate", "value": 1, "when": {"segments": ["testers"]}}]}
//! ```
//! A document is taken whole or not at all. An unknown member is refused rather than ignored: it is either a typing
//! error or a rule this version would silently not apply.

use std::{collections::BTreeMap, fmt};

use pilota::FastStr;
use serde_json::{Map, Value};

use crate::domain::{
    audience::Channel,
    condition_reader::ConditionReader,
    conditions::{Conditions, SegmentIndex},
    declarations::Declarations,
    json_reader,
    limits::DocumentLimits,
    members,
    problem::{Collector, Path, Problems},
    segments::{self, Segment, Tangle},
};

const DESCRIPTION_CHARS_MAX: usize = 2_000;

/// The type an app declares for a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Number,
    String,
    /// Any JSON value, null included.
    Json,
}

impl Kind {
    pub(super) fn parse(name: &str) -> Option<Self> {
        [Self::Bool, Self::Number, Self::String, Self::Json].into_iter().find(|kind| kind.name() == name)
    }

    pub(super) fn admits(self, value: &Value) -> bool {
        match self {
            Self::Bool => value.is_boolean(),
            Self::Number => value.is_number(),
            Self::String => value.is_string(),
            Self::Json => true,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Number => "number",
            Self::String => "string",
            Self::Json => "json",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A document in which everything is right: each value has the type and fits the schema it is declared with.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Document {
    /// The app's own value of each setting.
    pub(super) settings: Layer,
    pub(super) channels: BTreeMap<Channel, Layer>,
    pub(super) packages: BTreeMap<FastStr, Layer>,
    pub(super) segments: Vec<Segment>,
    /// Later ones win.
    pub(super) rules: Vec<Rule>,
}

/// Values by setting.
pub(super) type Layer = BTreeMap<FastStr, Value>;

/// A value for those for whom its conditions hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    pub(super) setting: FastStr,
    pub(super) value: Value,
    pub(super) when: Conditions,
}

impl Document {
    /// Reads a document, or says everything that is wrong with it (up to 100 problems).
    ///
    /// Bounded by `limits`, but the work of many milliseconds when a document is as large as they allow: not for a
    /// thread that others wait for.
    pub(crate) fn parse(bytes: &[u8], limits: &DocumentLimits) -> Result<Self, Problems> {
        let mut problems = Collector::default();
        if bytes.len() > limits.document_bytes_max {
            problems.add(
                &Path::Root,
                format!("has {} bytes, which is more than {}", bytes.len(), limits.document_bytes_max),
            );
            return problems.into_result(Self::default());
        }
        let nesting_max = limits.nesting_max.min(DocumentLimits::NESTING_CEILING);
        let document = match json_reader::read(bytes, nesting_max, &mut problems) {
            // What was nested too deep is cut off: nothing that follows from the stump is worth telling.
            Some(tree) if problems.is_empty() => read(&tree, limits, &mut problems),
            _ => Self::default(),
        };
        problems.into_result(document)
    }
}

fn read(tree: &Value, limits: &DocumentLimits, problems: &mut Collector) -> Document {
    let root = Path::Root;
    let known = ["settings", "channels", "packages", "segments", "rules"];
    let Some(members) = members::object(tree, &known, &root, problems) else { return Document::default() };
    if !members.contains_key("settings") {
        problems.add(&root, "has no settings");
    }
    let segments = section(members, "segments", limits.segments_max, problems);
    let names: BTreeMap<&str, SegmentIndex> = segments.iter().map(|(name, _)| name.as_str()).zip(0..).collect();
    let conditions = ConditionReader { limits, segments: &names };
    let (mut declarations, settings) =
        Declarations::read(&section(members, "settings", limits.settings_max, problems), limits, problems);
    let channels =
        read_channels(&section(members, "channels", limits.layers_max, problems), &mut declarations, problems);
    let packages =
        read_packages(&section(members, "packages", limits.layers_max, problems), limits, &mut declarations, problems);
    let segments = read_segments(&segments, &conditions, problems);
    let rules = members::list(members, "rules", limits.rules_max, &root, problems);
    let rules = read_rules(rules, &conditions, &mut declarations, problems);
    Document { settings, channels, packages, segments, rules }
}

/// The members of one of the document's sections, sorted by name; none if it is absent, too large or no object.
pub(super) type Section<'v> = Vec<(&'v String, &'v Value)>;

fn section<'v>(
    members: &'v Map<String, Value>,
    name: &str,
    entries_max: usize,
    problems: &mut Collector,
) -> Section<'v> {
    let path = Path::Root.member(name);
    let Some(entries) = members.get(name).and_then(|value| members::any_object(value, &path, problems)) else {
        return Vec::new();
    };
    if entries.len() > entries_max {
        problems.add(&path, format!("has {} entries, which is more than {entries_max}", entries.len()));
        return Vec::new();
    }
    let mut section: Section<'v> = entries.iter().collect();
    section.sort_unstable_by_key(|(name, _)| *name);
    section
}

fn read_channels(
    section: &Section<'_>,
    declarations: &mut Declarations,
    problems: &mut Collector,
) -> BTreeMap<Channel, Layer> {
    let parent = Path::Root.member("channels");
    let mut channels = BTreeMap::new();
    for (name, value) in section {
        let path = parent.member(name);
        let layer = declarations.layer(value, &path, problems);
        match Channel::parse(Some(FastStr::new(name))) {
            Ok(channel) => _ = channels.insert(channel, layer),
            Err(reason) => problems.add(&path, format!("is no channel: its name {reason}")),
        }
    }
    channels
}

fn read_packages(
    section: &Section<'_>,
    limits: &DocumentLimits,
    declarations: &mut Declarations,
    problems: &mut Collector,
) -> BTreeMap<FastStr, Layer> {
    let parent = Path::Root.member("packages");
    let mut packages = BTreeMap::new();
    for (name, value) in section {
        let path = parent.member(name);
        let layer = declarations.layer(value, &path, problems);
        if members::name_is_good(name, limits.name_bytes_max, &path, problems) {
            packages.insert(FastStr::new(name), layer);
        }
    }
    packages
}

fn read_segments(section: &Section<'_>, conditions: &ConditionReader<'_>, problems: &mut Collector) -> Vec<Segment> {
    let parent = Path::Root.member("segments");
    let mut segments = Vec::with_capacity(section.len());
    for (name, value) in section {
        let path = parent.member(name);
        members::name_is_good(name, conditions.limits.name_bytes_max, &path, problems);
        segments.push(Segment {
            name: FastStr::new(name),
            conditions: conditions.read(value, "any", name, &path, problems),
        });
    }
    let name_of = |index: SegmentIndex| segments[index as usize].name.as_str();
    match segments::find_tangle(&segments) {
        None => {}
        Some(Tangle::Circle(circle)) => {
            let first = circle.first().copied().map_or("", name_of);
            let names: Vec<_> = circle.into_iter().map(name_of).collect();
            problems.add(&parent.member(first).member("any"), format!("goes in a circle: {}", names.join(" -> ")));
        }
        Some(Tangle::TooLong(start)) => problems.add(
            &parent.member(name_of(start)).member("any"),
            format!("begins a chain of more than {} segments", segments::CHAIN_MAX),
        ),
    }
    segments
}

fn read_rules(
    rules: &[Value],
    conditions: &ConditionReader<'_>,
    declarations: &mut Declarations,
    problems: &mut Collector,
) -> Vec<Rule> {
    let parent = Path::Root.member("rules");
    let mut read = Vec::with_capacity(rules.len());
    for (index, rule) in rules.iter().enumerate() {
        let path = parent.index(index);
        read.extend(read_rule(rule, conditions, declarations, &path, problems));
    }
    read
}

fn read_rule(
    rule: &Value,
    conditions: &ConditionReader<'_>,
    declarations: &mut Declarations,
    path: &Path<'_>,
    problems: &mut Collector,
) -> Option<Rule> {
    let members = members::object(rule, &["setting", "value", "when", "description"], path, problems)?;
    for required in ["setting", "value"] {
        if !members.contains_key(required) {
            problems.add(path, format!("has no {required}"));
        }
    }
    description(members, path, problems);
    let setting = members::text(members, "setting", path, problems);
    let when = members.get("when").map_or_else(Conditions::default, |when| {
        conditions.read(when, "segments", setting.unwrap_or_default(), &path.member("when"), problems)
    });
    let (setting, value) = (setting?, members.get("value")?);
    if declarations.knows(setting) {
        declarations.check(setting, value, &path.member("value"), problems);
    } else {
        declarations.complain(setting, &path.member("setting"), problems);
    }
    Some(Rule { setting: FastStr::new(setting), value: value.clone(), when })
}

/// A text for people; nothing reads it.
pub(super) fn description(members: &Map<String, Value>, path: &Path<'_>, problems: &mut Collector) {
    members::bounded_text(members, "description", 0..=DESCRIPTION_CHARS_MAX, path, problems);
}

#[cfg(test)]
mod tests;
