//! `storm`: the worst patch day. Everybody is online, game servers ask about every token and do not wait, logins keep
//! coming, and what the platform stands on stops answering without closing a single connection. What the stories
//! `patch_day` promise, at full size and as it is shipped.
//!
//! - `play`: what happens, in order.
//! - `crowd`: everybody who is online, and the game servers that ask about them.
//! - `logins`: players who keep signing in.
//! - `report`: what they saw, and what nobody may ever see.

mod crowd;
mod logins;
mod play;
mod report;

pub use self::{play::play, report::Report};
