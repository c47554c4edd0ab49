//! Who asks, as requests say it.

use pilota::FastStr;

use crate::{
    domain::{Caller, Channel, Version},
    error::ArgumentError,
};

/// The fields of a request that may choose among settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallerFields {
    pub(crate) channel: Option<FastStr>,
    pub(crate) package_name: Option<FastStr>,
    pub(crate) version: Option<FastStr>,
    pub(crate) account_id: Option<i64>,
    pub(crate) device_id: Option<FastStr>,
}

impl CallerFields {
    /// A version that can't be read is none: it matches no condition, and keeps nobody from playing.
    pub(crate) fn parse(self) -> Result<Caller, ArgumentError> {
        Ok(Caller {
            channel: Channel::parse(self.channel).map_err(ArgumentError::of("channel"))?,
            package: self.package_name,
            version: self.version.and_then(|version| Version::parse(&version)),
            account: self.account_id,
            device: self.device_id,
        })
    }
}
