//! Channels that are data: a manifest says where the parameters are, how they are signed, what they mean, and what the
//! channel wants to read. The many channels that differ in nothing else need no code.
//!
//! In reading order:
//! - [`rules`]: a manifest as it is written.
//! - [`check`]: what can't work, or would believe what nobody has signed.
//! - [`source`]: the parameters of a callback.
//! - [`signature`], with [`template`] and [`hash`]: what is signed, and with what.
//! - [`channel`]: a manifest and an app's keys put together.
//! - [`shipped`]: the manifests that come with the program.

mod channel;
mod check;
mod hash;
mod rules;
mod shipped;
mod signature;
mod source;
mod template;

#[cfg(test)]
mod tests;

pub(super) use self::channel::{ManifestChannel, ManifestConfig};
pub use self::shipped::{SHIPPED, ShippedManifest};
