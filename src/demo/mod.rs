//! `playgate demo`: an embedded platform on free ports, and one player's way through it, every request shown.
//!
//! Speaks to the platform as an integrator would, over HTTP with the documented signature, and checks every answer.

mod order;
mod partner;
mod show;
mod walk;

pub(crate) use self::{order::Operator, walk::walk};
