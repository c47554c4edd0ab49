//! What an operator gives when an account is banned.

use common::clock::Timestamp;

use super::{field::FieldError, revocation::Ban};

/// The longest reason and the longest note, in bytes.
const LONGEST_TEXT: usize = 255;

/// A ban as it is ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BanOrder {
    /// What the player is shown, and until when it holds.
    pub(crate) ban: Ban,
    /// For operators only.
    pub(crate) note: Option<String>,
}

impl BanOrder {
    /// Times are Unix milliseconds; a ban that is over at `now` is refused.
    pub(crate) fn parse(
        reason: &str,
        note: Option<&str>,
        until: Option<i64>,
        now: Timestamp,
    ) -> Result<Self, FieldError> {
        let reason = text("reason", reason)?;
        let note = note.map(|note| text("note", note)).transpose()?;
        let until = until.map(Timestamp::from_millis);
        if until.is_some_and(|until| until <= now) {
            return Err(FieldError::new("until", "must be in the future, in Unix milliseconds"));
        }
        Ok(Self { ban: Ban { reason: reason.into(), until }, note })
    }
}

fn text(field: &'static str, raw: &str) -> Result<String, FieldError> {
    let fits = (1..=LONGEST_TEXT).contains(&raw.len()) && !raw.chars().any(char::is_control);
    fits.then(|| raw.to_owned()).ok_or(FieldError::new(field, "1 to 255 bytes without control characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1000);

    #[test]
    fn what_would_not_fit_its_column_is_refused_by_name() {
        let long = "x".repeat(256);
        for bad in ["", "a\nb", &long] {
            assert_eq!(BanOrder::parse(bad, None, None, NOW).map_err(|error| error.field), Err("reason"));
            assert_eq!(BanOrder::parse("x", Some(bad), None, NOW).map_err(|error| error.field), Err("note"));
        }
    }

    #[test]
    fn a_ban_ends_in_the_future_or_never() {
        for past in [i64::MIN, -1, 0, 1000] {
            assert_eq!(BanOrder::parse("x", None, Some(past), NOW).map_err(|error| error.field), Err("until"));
        }
        let until = |until| BanOrder::parse("x", None, until, NOW).map(|order| order.ban.until);
        assert_eq!(until(Some(1001)), Ok(Some(Timestamp::from_millis(1001))));
        assert_eq!(until(None), Ok(None));
    }
}
