//! What stands around a call over the wire. In place of volo's own balancer, which turns every lost connection into the
//! same exception and repeats calls that may have been carried out.
//!
//! In reading order, which is that of the layers, outermost first:
//! - `repeat`: the whole call: a second instance when the first takes long, another attempt when one failed.
//! - `attempt`: one attempt: the breaker, the bulkhead, and the way from instance to instance while nothing was sent.
//! - `ending`: what an attempt ends with, and who learns what from it. The one place that decides that.
//!
//! And what they share:
//! - `call`: one call: what is asked, where it was already, and whom it may ask next.
//! - `callee`: one callee: the rules in force and everything that is known of it; `applied`: how rules change under it.
//! - `instances`: the instances, and what stays known of them when the list changes.
//! - `under_way`: a call at one instance, from which the instance's standing is learned.
//! - `metrics`: what is counted.
//!
//! The rules are pure functions in [`govern`]; what lives here feeds them and does as they say.

mod applied;
mod attempt;
mod call;
mod callee;
mod ending;
mod instances;
mod metrics;
mod repeat;
mod under_way;

pub(super) use self::{call::MAX_TRIED, metrics::OutgoingFamilies, repeat::OutgoingLayer};
