//! Classes of devices, for limits that count per class.

use serde::{Deserialize, Serialize};

use super::field::FieldError;

/// What kind of device a session belongs to, as the client says. Its name is stored and answered, and its code is part
/// of access tokens, so neither ever changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeviceClass {
    /// What a client that does not say is taken for.
    #[default]
    Mobile,
    Desktop,
    Console,
    Web,
}

impl DeviceClass {
    pub(crate) const ALL: [DeviceClass; 4] = [Self::Mobile, Self::Desktop, Self::Console, Self::Web];

    pub(crate) fn parse(raw: &str) -> Result<Self, FieldError> {
        let known = Self::ALL.into_iter().find(|class| class.as_str() == raw);
        known.ok_or(FieldError::new("device_class", "must be mobile, desktop, console or web"))
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Mobile => "mobile",
            Self::Desktop => "desktop",
            Self::Console => "console",
            Self::Web => "web",
        }
    }

    /// Its byte in an access token; 0 there means that the client did not say.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Mobile => 1,
            Self::Desktop => 2,
            Self::Console => 3,
            Self::Web => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_reads_back_as_it_is_written_and_others_are_refused() {
        for class in DeviceClass::ALL {
            assert_eq!(DeviceClass::parse(class.as_str()), Ok(class));
            assert_eq!(serde_json::to_value(class).ok(), Some(class.as_str().into()));
        }
        for other in ["", "Mobile", "fridge"] {
            assert_eq!(DeviceClass::parse(other).map_err(|error| error.field), Err("device_class"));
        }
    }
}
