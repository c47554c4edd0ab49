//! What a limit tells its caller: the fields `RateLimit-Policy` and `RateLimit`.
//!
//! Source: draft-ietf-httpapi-ratelimit-headers-11 (May 2026), structured fields of RFC 9651. Each field is a list; an
//! item is the policy's name with parameters: `"account";q=100;w=60` (quota, window in seconds) and
//! `"account";r=42;t=17` (available, effective window in seconds). `pk`, the partition key, is left out: it would tell
//! callers by what they are counted. A burst other than the quota is told as `playgate-burst`, a parameter of our own
//! as the draft foresees.
//!
//! GCRA has no windows, so `t` is chosen such that a client that spends `r` evenly over `t` is never refused: after an
//! allowed request, the time to a full burst; after a refusal `r` is 0 and `t` the time to wait, rounded up, so that
//! `Retry-After`, which must not be earlier than that, can be the same number of seconds or later.

use std::{borrow::Cow, fmt, time::Duration};

use crate::gcra::{Decision, Rate};

/// The texts of both fields, of one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// Of `RateLimit-Policy`.
    pub policy: String,
    /// Of `RateLimit`.
    pub limit: String,
}

/// A policy's name: 1 to 64 of `a`-`z`, `0`-`9`, `-`, `_` and `.`, so that it needs no escaping.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyName(Cow<'static, str>);

/// The name can't be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a policy's name has 1 to 64 of a-z, 0-9, '-', '_' and '.'")]
pub struct BadPolicyName;

/// An item of `RateLimit-Policy`. Printing it gives the field's text.
#[derive(Clone, Copy, Debug)]
pub struct PolicyItem<'a>(&'a PolicyName, Rate);

/// An item of `RateLimit`. Printing it gives the field's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitItem<'a> {
    name: &'a PolicyName,
    available: u32,
    window_s: u64,
}

impl PolicyName {
    /// Takes a name from configuration or code.
    ///
    /// # Errors
    /// When it has other characters, or is too long or empty.
    pub fn parse(raw: &str) -> Result<Self, BadPolicyName> {
        if is_a_name(raw.as_bytes()) { Ok(Self(Cow::Owned(raw.to_owned()))) } else { Err(BadPolicyName) }
    }

    /// A name that stands in code.
    ///
    /// # Panics
    /// When it can't be one: at compile time, in a constant.
    pub const fn from_static(name: &'static str) -> Self {
        assert!(is_a_name(name.as_bytes()), "a policy's name has 1 to 64 of a-z, 0-9, '-', '_' and '.'");
        Self(Cow::Borrowed(name))
    }

    /// The item that says what the limit is.
    pub fn policy(&self, rate: Rate) -> PolicyItem<'_> {
        PolicyItem(self, rate)
    }

    /// Both fields: what the limit is, and where the caller stands after `decision`.
    pub fn fields(&self, rate: Rate, decision: &Decision) -> Fields {
        Fields { policy: self.policy(rate).to_string(), limit: self.limit(decision).to_string() }
    }

    /// The item that says where the caller stands after `decision`.
    pub fn limit(&self, decision: &Decision) -> LimitItem<'_> {
        let (available, window) = match *decision {
            Decision::Allowed { remaining, full_in } => (remaining, full_in),
            Decision::Refused { retry_after } => (0, retry_after),
        };
        LimitItem { name: self, available, window_s: seconds_up(window) }
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for PolicyItem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(name, rate) = self;
        let window_s = seconds_up(rate.per).max(1);
        // A window that is no whole number of seconds is told as the next one, with the quota that fits it.
        let scaled = u128::from(rate.limit.get()) * u128::from(window_s) * 1_000_000_000 / rate.per.as_nanos().max(1);
        // The largest integer of a structured field.
        let quota = scaled.min(999_999_999_999_999);
        write!(f, "\"{name}\";q={quota};w={window_s}")?;
        if rate.burst != rate.limit {
            write!(f, ";playgate-burst={}", rate.burst)?;
        }
        Ok(())
    }
}

impl LimitItem<'_> {
    /// The effective window: no `Retry-After` beside this item may be earlier.
    pub fn window(&self) -> Duration {
        Duration::from_secs(self.window_s)
    }
}

impl fmt::Display for LimitItem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\";r={};t={}", self.name, self.available, self.window_s)
    }
}

const fn is_a_name(name: &[u8]) -> bool {
    let mut at = 0;
    while at < name.len() {
        if !matches!(name[at], b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.') {
            return false;
        }
        at += 1;
    }
    !name.is_empty() && name.len() <= 64
}

/// Whole seconds, rounded up: whoever waits that long has waited long enough.
pub fn seconds_up(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::{gcra::Cell, moment::Moment};

    fn rate(limit: u32, per: Duration) -> Rate {
        Rate::new(NonZeroU32::new(limit).expect("positive"), per)
    }

    #[test]
    fn the_fields_read_as_in_the_draft() {
        let name = PolicyName::parse("default").expect("a plain name");
        let minute = rate(100, Duration::from_secs(60));
        assert_eq!(name.policy(minute).to_string(), r#""default";q=100;w=60"#);
        let cell = Cell::default();
        let fifty = cell.check(&minute, Moment::START, 50);
        assert_eq!(name.limit(&fifty).to_string(), r#""default";r=50;t=30"#);
    }

    #[test]
    fn who_is_refused_has_nothing_left_and_waits_whole_seconds() {
        let (name, rate) = (PolicyName::parse("a").expect("a name"), rate(2, Duration::from_secs(3)));
        let cell = Cell::default();
        cell.check(&rate, Moment::START, 2);
        let item = cell.check(&rate, Moment::START, 1);
        assert_eq!(name.limit(&item).to_string(), r#""a";r=0;t=2"#);
        assert_eq!(name.limit(&item).window(), Duration::from_secs(2));
    }

    #[test]
    fn windows_below_and_between_seconds_are_told_in_whole_ones() {
        let name = PolicyName::parse("a").expect("a name");
        assert_eq!(name.policy(rate(5, Duration::from_millis(100))).to_string(), r#""a";q=50;w=1"#);
        assert_eq!(name.policy(rate(3, Duration::from_millis(1500))).to_string(), r#""a";q=4;w=2"#);
        let burst = rate(10, Duration::from_secs(1)).burst(NonZeroU32::MIN);
        assert_eq!(name.policy(burst).to_string(), r#""a";q=10;w=1;playgate-burst=1"#);
    }

    #[test]
    fn a_name_can_break_out_of_no_field() {
        for bad in ["", "a\"b", "a b", "a\r\nb", "a;b", "\\", "Ä", &"a".repeat(65)] {
            assert_eq!(PolicyName::parse(bad), Err(BadPolicyName), "{bad:?}");
        }
    }
}
