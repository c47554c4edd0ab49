//! Classes of devices, as clients name them.

use serde::Deserialize;
use utoipa::ToSchema;

/// What kind of device a client runs on. An app may limit the live sessions of each kind.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DeviceClass {
    Mobile,
    Desktop,
    Console,
    Web,
}

impl DeviceClass {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Mobile => "mobile",
            Self::Desktop => "desktop",
            Self::Console => "console",
            Self::Web => "web",
        }
    }
}
