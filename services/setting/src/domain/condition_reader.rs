//! Reads conditions out of a document.

use std::collections::BTreeMap;

use common::clock::Timestamp;
use pilota::FastStr;
use serde_json::{Map, Value};

use crate::domain::{
    audience::Channel,
    conditions::{Conditions, SegmentIndex},
    limits::DocumentLimits,
    members,
    problem::{Collector, Path, Shown},
    rollout::{By, Percent, Rollout},
    version_range::VersionRange,
    window::Window,
};

/// What conditions have in common wherever they stand.
const MEMBERS: [&str; 9] = ["channel", "package", "version", "percent", "salt", "by", "accounts", "from", "until"];

/// Channels or packages in one list.
const LIST_MAX: usize = 1_000;

/// Reads the conditions of one document.
pub(super) struct ConditionReader<'d> {
    pub(super) limits: &'d DocumentLimits,
    /// The document's segments by name.
    pub(super) segments: &'d BTreeMap<&'d str, SegmentIndex>,
}

impl ConditionReader<'_> {
    /// Reads `value`; `segments` is the member that names segments here, `salt` the rollout's if it has none.
    pub(super) fn read(
        &self,
        value: &Value,
        segments: &'static str,
        salt: &str,
        path: &Path<'_>,
        problems: &mut Collector,
    ) -> Conditions {
        let mut known = MEMBERS.to_vec();
        known.push(segments);
        let Some(members) = members::object(value, &known, path, problems) else { return Conditions::default() };
        let found = problems.len();
        let conditions = Conditions {
            window: window(members, path, problems),
            channels: self.channels(members, path, problems),
            packages: self.packages(members, path, problems),
            version: version(members, path, problems),
            accounts: members::accounts(members, "accounts", self.limits.accounts_max, path, problems),
            rollout: self.rollout(members, salt, path, problems),
            segments: self.segments(members, segments, path, problems),
        };
        // A list that lost its last entry must not turn a rule for some into a rule for everyone.
        if !members.is_empty() && problems.len() == found && conditions == Conditions::default() {
            problems.add(path, "has no condition that is not empty: leave all of them out to mean everyone");
        }
        conditions
    }

    fn channels(&self, members: &Map<String, Value>, path: &Path<'_>, problems: &mut Collector) -> Box<[Channel]> {
        texts(members, "channel", LIST_MAX, path, problems, |name| {
            Channel::parse(Some(FastStr::new(name))).map_err(|reason| reason.to_string())
        })
    }

    fn packages(&self, members: &Map<String, Value>, path: &Path<'_>, problems: &mut Collector) -> Box<[FastStr]> {
        let bytes_max = self.limits.name_bytes_max;
        texts(members, "package", LIST_MAX, path, problems, |name| {
            if (1..=bytes_max).contains(&name.len()) {
                Ok(FastStr::new(name))
            } else {
                Err(format!("must have 1-{bytes_max} bytes"))
            }
        })
    }

    fn segments(
        &self,
        members: &Map<String, Value>,
        member: &'static str,
        path: &Path<'_>,
        problems: &mut Collector,
    ) -> Box<[SegmentIndex]> {
        texts(members, member, self.limits.segments_max, path, problems, |name| {
            self.segments
                .get(name)
                .copied()
                .ok_or_else(|| format!("names no segment: there is no {:?}", Shown(name).to_string()))
        })
    }

    fn rollout(
        &self,
        members: &Map<String, Value>,
        salt: &str,
        path: &Path<'_>,
        problems: &mut Collector,
    ) -> Option<Rollout> {
        let salt = members::text(members, "salt", path, problems).unwrap_or(salt);
        if salt.len() > self.limits.name_bytes_max {
            problems.add(&path.member("salt"), format!("has more than {} bytes", self.limits.name_bytes_max));
        }
        let by = match members::text(members, "by", path, problems) {
            None => By::Either,
            Some("account") => By::Account,
            Some("device") => By::Device,
            Some(_) => {
                problems.add(&path.member("by"), "must be account or device");
                By::Either
            }
        };
        let percent = members.get("percent")?.as_f64().and_then(Percent::new);
        if percent.is_none() {
            problems.add(&path.member("percent"), "must be a number from 0 to 100 with at most three decimals");
        }
        Some(Rollout::new(percent?, by, salt))
    }
}

/// Reads `from` and `until`, wherever they stand.
pub(super) fn window(members: &Map<String, Value>, path: &Path<'_>, problems: &mut Collector) -> Window {
    let mut moment = |name| -> Option<Timestamp> { members::moment(members, name, path, problems) };
    let window = Window { from: moment("from"), until: moment("until") };
    if let Window { from: Some(from), until: Some(until) } = window
        && until <= from
    {
        problems.add(&path.member("until"), "must be later than from");
    }
    window
}

fn version(members: &Map<String, Value>, path: &Path<'_>, problems: &mut Collector) -> Option<VersionRange> {
    let text = members::text(members, "version", path, problems).filter(|text| !text.trim().is_empty())?;
    match VersionRange::parse(text) {
        Ok(range) => Some(range),
        Err(reason) => {
            problems.add(&path.member("version"), reason);
            None
        }
    }
}

/// A list of strings, each read by `read`; sorted, each once.
fn texts<T: Ord>(
    members: &Map<String, Value>,
    name: &str,
    items_max: usize,
    path: &Path<'_>,
    problems: &mut Collector,
    read: impl Fn(&str) -> Result<T, String>,
) -> Box<[T]> {
    let list_path = path.member(name);
    let mut read_items = Vec::new();
    for (index, item) in members::list(members, name, items_max, path, problems).iter().enumerate() {
        match item.as_str().ok_or_else(|| format!("must be a string and is {}", members::kind_of(item))).and_then(&read)
        {
            Ok(item) => read_items.push(item),
            Err(reason) => problems.add(&list_path.index(index), reason),
        }
    }
    read_items.sort_unstable();
    read_items.dedup();
    read_items.into()
}
