//! Who asks for settings, as far as it can choose among them.

use pilota::FastStr;

use crate::domain::{audience::Channel, version_range::Version};

/// What is known of a caller. What is absent matches no condition that asks for it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Caller {
    pub(crate) channel: Channel,
    pub(crate) package: Option<FastStr>,
    /// `Version::parse` of what the caller sent; a version that can't be read is none.
    pub(crate) version: Option<Version>,
    pub(crate) account: Option<i64>,
    /// Stands in for the account in a rollout while nobody has signed in.
    pub(crate) device: Option<FastStr>,
}
