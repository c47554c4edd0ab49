//! Settings whose names begin with `platform.`: the platform itself reads them, and players never see them as settings.

use common::clock::Timestamp;
use pilota::FastStr;
use serde_json::Value;

use crate::domain::{
    canonical, condition_reader,
    document::Kind,
    members,
    problem::{Collector, Path},
    window::Window,
};

/// What their names begin with. Any other name that does is refused.
pub(super) const PREFIX: &str = "platform.";

/// Characters of what players are told during maintenance.
const MESSAGE_CHARS_MAX: usize = 500;

/// Accounts that may sign in during maintenance. They are sent with every answer while it lasts; for more, a rule with
/// a segment gives `null`.
const ALLOWED_ACCOUNTS_MAX: usize = 1_000;

/// Notices in one value. They are sent with every sign-in.
const NOTICES_MAX: usize = 20;
const NOTICE_ID_CHARS_MAX: usize = 64;
const NOTICE_TITLE_CHARS_MAX: usize = 200;
const NOTICE_BODY_CHARS_MAX: usize = 4_000;
const NOTICE_URL_CHARS_MAX: usize = 2_000;

/// Ways to sign in that can be switched.
const LOGIN_KINDS: [&str; 4] = ["password", "device", "phone", "channel"];

/// A name that the platform reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reserved {
    Maintenance,
    RegistrationOpen,
    LoginKinds,
    Notices,
}

impl Reserved {
    pub(super) const ALL: [(&'static str, Self); 4] = [
        ("platform.maintenance", Self::Maintenance),
        ("platform.registration_open", Self::RegistrationOpen),
        ("platform.login_kinds", Self::LoginKinds),
        ("platform.notices", Self::Notices),
    ];

    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find_map(|(own, reserved)| (own == name).then_some(reserved))
    }

    /// The type it must be declared with.
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::RegistrationOpen => Kind::Bool,
            Self::Maintenance | Self::LoginKinds | Self::Notices => Kind::Json,
        }
    }

    /// Reads a value, or says what is wrong with it.
    pub(super) fn read(self, value: &Value, path: &Path<'_>, problems: &mut Collector) -> ReservedValue {
        match self {
            Self::Maintenance => ReservedValue::Maintenance(planned_maintenance(value, path, problems)),
            Self::RegistrationOpen => ReservedValue::RegistrationOpen(value.as_bool()),
            Self::LoginKinds => ReservedValue::LoginKinds(login_kinds(value, path, problems)),
            Self::Notices => ReservedValue::Notices(notices(value, path, problems)),
        }
    }
}

/// What the platform takes from a value of a reserved setting.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ReservedValue {
    Maintenance(Option<PlannedMaintenance>),
    RegistrationOpen(Option<bool>),
    LoginKinds(Box<[FastStr]>),
    Notices(Box<[Notice]>),
}

impl ReservedValue {
    /// The moments at which it begins to mean something else.
    pub(super) fn boundaries(&self) -> Vec<Timestamp> {
        match self {
            Self::Maintenance(planned) => planned.iter().flat_map(|planned| planned.window.boundaries()).collect(),
            Self::Notices(notices) => notices.iter().flat_map(|notice| notice.window.boundaries()).collect(),
            Self::RegistrationOpen(_) | Self::LoginKinds(_) => Vec::new(),
        }
    }
}

/// Maintenance with its window.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PlannedMaintenance {
    pub(super) window: Window,
    pub(super) maintenance: Maintenance,
}

/// A window in which only those on the list may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Maintenance {
    /// Shown to players; 1-500 characters.
    pub(crate) message: FastStr,
    /// When it is to be over, if that is known.
    pub(crate) until: Option<Timestamp>,
    /// Accounts that may sign in all the same; sorted, at most 1000.
    pub(crate) allowed_accounts: Box<[i64]>,
}

/// What is switched for the sign-ins of one caller. What is absent is not switched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Switches<'s> {
    /// It has begun and is not over.
    pub(crate) maintenance: Option<&'s Maintenance>,
    pub(crate) registration_open: Option<bool>,
    /// Of "password", "device", "phone", "channel".
    pub(crate) login_kinds: Option<&'s [FastStr]>,
}

/// A message to show at a sign-in.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Notice {
    pub(super) window: Window,
    /// As it was published, in canonical form.
    pub(super) json: FastStr,
}

fn planned_maintenance(value: &Value, path: &Path<'_>, problems: &mut Collector) -> Option<PlannedMaintenance> {
    if value.is_null() {
        return None;
    }
    let members = members::object(value, &["message", "from", "until", "allow_accounts"], path, problems)?;
    let window = condition_reader::window(members, path, problems);
    let message = required_text(members, "message", MESSAGE_CHARS_MAX, path, problems);
    let allowed_accounts = members::accounts(members, "allow_accounts", ALLOWED_ACCOUNTS_MAX, path, problems);
    let maintenance = Maintenance { message: FastStr::new(message?), until: window.until, allowed_accounts };
    Some(PlannedMaintenance { window, maintenance })
}

fn login_kinds(value: &Value, path: &Path<'_>, problems: &mut Collector) -> Box<[FastStr]> {
    let kinds: Option<Vec<&str>> = value.as_array().and_then(|items| items.iter().map(Value::as_str).collect());
    let kinds = kinds.filter(|kinds| {
        let once = |(index, kind): (usize, &&str)| LOGIN_KINDS.contains(kind) && !kinds[..index].contains(kind);
        !kinds.is_empty() && kinds.len() <= LOGIN_KINDS.len() && kinds.iter().enumerate().all(once)
    });
    if kinds.is_none() {
        problems.add(path, format!("must be an array with at least one of {}, each once", LOGIN_KINDS.join(", ")));
    }
    kinds.unwrap_or_default().into_iter().map(FastStr::new).collect()
}

fn notices(value: &Value, path: &Path<'_>, problems: &mut Collector) -> Box<[Notice]> {
    let Some(items) = value.as_array() else {
        problems.add(path, format!("must be an array and is {}", members::kind_of(value)));
        return Box::default();
    };
    if items.len() > NOTICES_MAX {
        problems.add(path, format!("has more than {NOTICES_MAX} notices"));
        return Box::default();
    }
    let mut ids = Vec::with_capacity(items.len());
    let mut notices = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let path = path.index(index);
        let Some((id, notice)) = notice(item, &path, problems) else { continue };
        if ids.contains(&id) {
            problems.add(&path.member("id"), "is another notice's too");
        }
        ids.push(id);
        notices.push(notice);
    }
    notices.into()
}

fn notice<'v>(value: &'v Value, path: &Path<'_>, problems: &mut Collector) -> Option<(&'v str, Notice)> {
    let members = members::object(value, &["id", "title", "body", "url", "from", "until"], path, problems)?;
    let id = required_text(members, "id", NOTICE_ID_CHARS_MAX, path, problems);
    required_text(members, "title", NOTICE_TITLE_CHARS_MAX, path, problems);
    required_text(members, "body", NOTICE_BODY_CHARS_MAX, path, problems);
    let url = members::bounded_text(members, "url", 1..=NOTICE_URL_CHARS_MAX, path, problems);
    if url.is_some_and(|url| !["https://", "http://"].iter().any(|scheme| url.starts_with(scheme))) {
        problems.add(&path.member("url"), "must begin with https:// or http://");
    }
    let window = condition_reader::window(members, path, problems);
    Some((id?, Notice { window, json: FastStr::from(canonical::to_string(value)) }))
}

fn required_text<'v>(
    members: &'v serde_json::Map<String, Value>,
    name: &str,
    chars_max: usize,
    path: &Path<'_>,
    problems: &mut Collector,
) -> Option<&'v str> {
    if !members.contains_key(name) {
        problems.add(path, format!("has no {name}"));
    }
    members::bounded_text(members, name, 1..=chars_max, path, problems)
}

#[cfg(test)]
mod tests;
