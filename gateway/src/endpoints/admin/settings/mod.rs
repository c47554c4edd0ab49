//! Publishing an app's settings: what operators see of them, and how they change them.
//!
//! The setting service keeps the versions and judges documents; account knows the apps and keeps the audit. Documents and
//! values go through as the text that they are.
//!
//! [`app`] refuses what is no app, [`audit`] writes changes down, [`change`] and [`version`] are what several endpoints answer.

mod app;
mod audit;
mod change;
pub(crate) mod diff_versions;
pub(crate) mod explain_settings;
pub(crate) mod get_settings;
pub(crate) mod list_versions;
pub(crate) mod publish_settings;
pub(crate) mod roll_back_settings;
pub(crate) mod validate_settings;
mod version;
