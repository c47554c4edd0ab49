//! What is written down about a change that somebody made by hand.

use serde_json::{Map, Value};

use super::{
    field::FieldError,
    ids::{AccountId, AppId},
    partner::PartnerName,
};

/// Who made a change, as far as the platform can tell them apart: 1-64 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Actor(String);

/// What was done, such as `app.update`: 1-64 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Action(String);

/// What it was done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    kind: String,
    id: String,
}

/// A record that is to be written. What secrets there are never goes into one.
#[derive(Clone, Debug)]
pub(crate) struct AuditRecord {
    pub(crate) actor: Actor,
    pub(crate) action: Action,
    pub(crate) target: Target,
    /// The trace id of the request behind it; `None` when there was none.
    pub(crate) request_id: Option<String>,
    pub(crate) details: Details,
}

/// Particulars, as a JSON object of at most 4096 bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Details(Map<String, Value>);

impl Actor {
    /// Whoever runs `playgate` on a machine that reaches the database.
    pub(crate) fn command_line() -> Self {
        Self("command line".to_owned())
    }

    /// The platform by itself, at its first start.
    pub(crate) fn first_start() -> Self {
        Self("first start".to_owned())
    }

    pub(crate) fn parse(raw: &str) -> Result<Self, FieldError> {
        bounded(raw, 64).map(Self).ok_or(FieldError::new("actor", "1 to 64 bytes without control characters"))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Action {
    pub(crate) fn of(name: &'static str) -> Self {
        Self(name.to_owned())
    }

    pub(crate) fn parse(raw: &str) -> Result<Self, FieldError> {
        bounded(raw, 64).map(Self).ok_or(FieldError::new("action", "1 to 64 bytes without control characters"))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Target {
    pub(crate) fn app(app_id: AppId) -> Self {
        Self { kind: "app".to_owned(), id: app_id.to_string() }
    }

    pub(crate) fn account(account_id: AccountId) -> Self {
        Self { kind: "account".to_owned(), id: account_id.to_string() }
    }

    pub(crate) fn partner(name: &PartnerName) -> Self {
        Self { kind: "partner".to_owned(), id: name.as_str().to_owned() }
    }

    /// A ban of a device or of a part of the network.
    pub(crate) fn ban(ban_id: i64) -> Self {
        Self { kind: "ban".to_owned(), id: ban_id.to_string() }
    }

    /// Accounts of another platform.
    pub(crate) fn import(source: &str) -> Self {
        Self { kind: "import".to_owned(), id: source.to_owned() }
    }

    /// What everything else is sealed under.
    pub(crate) fn master_key() -> Self {
        Self { kind: "key".to_owned(), id: "master".to_owned() }
    }

    pub(crate) fn parse(kind: &str, id: &str) -> Result<Self, FieldError> {
        let kind = bounded(kind, 64).ok_or(FieldError::new("target_kind", "1 to 64 bytes without control characters"));
        let id = bounded(id, 128).ok_or(FieldError::new("target_id", "1 to 128 bytes without control characters"));
        Ok(Self { kind: kind?, id: id? })
    }

    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl Details {
    const LONGEST_BYTES: usize = 4096;

    /// Adds one, written as JSON.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn parse(json: &str) -> Result<Self, FieldError> {
        let refused = FieldError::new("details", "must be a JSON object of at most 4096 bytes");
        if json.len() > Self::LONGEST_BYTES {
            return Err(refused);
        }
        serde_json::from_str(json).map(Self).map_err(|_| refused)
    }

    pub(crate) fn to_json(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }
}

fn bounded(raw: &str, longest: usize) -> Option<String> {
    let fits = !raw.is_empty() && raw.len() <= longest && !raw.chars().any(char::is_control);
    fits.then(|| raw.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_not_fit_its_column_is_refused_by_name() {
        assert_eq!(Actor::parse("").map_err(|error| error.field), Err("actor"));
        assert_eq!(Action::parse(&"a".repeat(65)).map_err(|error| error.field), Err("action"));
        assert_eq!(Target::parse("process", "a\nb").map_err(|error| error.field), Err("target_id"));
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(4096));
        for bad in ["", "[]", "7", &long] {
            assert_eq!(Details::parse(bad).map_err(|error| error.field), Err("details"));
        }
    }

    #[test]
    fn details_are_one_json_object() {
        let details = Details::default().with("reason", "cheating").with("revoked", 3);
        assert_eq!(details.to_json(), r#"{"reason":"cheating","revoked":3}"#);
        assert_eq!(Details::parse(&details.to_json()), Ok(details));
    }
}
