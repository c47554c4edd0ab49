//! What keeps playgate standing in a flood: limits, shedding, breakers, balancing. Rules only.
//!
//! Nothing here does I/O, reads a clock or a random source, logs, counts metrics or knows a runtime: time comes in as a
//! [`Moment`], randomness as a fraction of `0.0..1.0`. So every rule can be tried in virtual time, and whoever wires it
//! decides what to do with its answers. Each module says what it protects, its formula, its source and its defaults.
//!
//! # In reading order
//!
//! Who may ask how often:
//! - [`gcra`]: a rate in one number per key; [`keyed_limit`]: for many keys, in memory that never grows;
//! - [`lease`]: a limit that replicas share, without a question per request;
//! - [`rate_limit_headers`]: what callers are told of it.
//!
//! Who is let in when there is not room for all:
//! - [`gradient`]: how many requests at once, learned from latency; [`class_gradient`]: from the latency of each class,
//!   which differ a thousandfold; [`cpu`]: and from the processor;
//! - [`priority`]: who is let in first; [`codel`] and [`waiting`]: who may wait, and for how long;
//! - [`retry_after`]: when those come back who were refused.
//!
//! How others are asked:
//! - [`bulkhead`]: how many calls at once; [`breaker`]: whether to ask at all;
//! - [`balance`] over [`endpoint`]s: which instance; [`ejection`]: and which not; [`lane`]: and of which version, which
//!   travels in the [`baggage`];
//! - [`retry`]: whether to ask again; [`backup`]: whether to ask a second one.
//!
//! All of it is configured by one document: [`rules`], whose mistakes are [`problems`].
//!
//! # In the order of layers
//!
//! A request that comes in, outermost first:
//! 1. *Address limits and route limit* ([`keyed_limit`] by address, then by block, then [`gcra`] of the class): they need
//!    nothing but the head, so whoever floods costs the least. Before the shedding, so that one flooder does not fill the
//!    queues; and in this order, so that who is refused for itself uses nothing up that it shares.
//! 2. *Shedding* ([`priority`] under the limit of [`class_gradient`] × [`cpu::factor`], with [`waiting`] before it): before
//!    any work, because refusing after work is work. What it lets in is timed from here, without the waiting: the limit
//!    is about the server and not about the queue.
//! 3. *Limits by who asks* (device, account by [`keyed_limit`]; app, partner by [`lease`]): identity costs a
//!    signature or a token, so it is known only inside. Refused here is refused cheaply, and ends as
//!    [`gradient::Ending::Ignored`]: it says nothing about the server.
//! 4. The handler.
//!
//! Every refusal goes out with [`retry_after`]: 429 from limits, with their own time, 503 from shedding. The limit of
//! [`priority::Gate`] is one for all classes: with a limit of its own, a class could be refused while a lower one is let
//! in. So each class has its own measure of latency and none has its own limit. A cap of one class
//! ([`rules::RouteRules::in_flight`], [`priority::room_alone`]) is a [`bulkhead`] of its own, before the gate: it is not
//! about the room that all share.
//!
//! A call that goes out, outermost first:
//! 1. *Retry* ([`retry`]) and *backup* ([`backup`]) around everything, so that every attempt passes what follows; paid
//!    from one budget per callee. A breaker's rejection is not retried: it would be rejected again.
//! 2. *Breaker* ([`breaker`], per method): outside the bulkhead, because a callee that is down should not cost berths;
//!    inside the retries, because each attempt is evidence.
//! 3. *Bulkhead* ([`bulkhead`], per callee): a full one is not the callee's failure and does not count for the breaker.
//! 4. *Instance* ([`balance::pick`] over lane, ejection and load): last, so that what it knows is of this moment.
//!    [`endpoint::Pending`] and [`ejection::Ejection::failed`] learn from connection errors, timeouts and internal
//!    errors; never from business errors, which are answers.
//!
//! # What is not here
//!
//! Deadlines (`common::context`), failure ladders and once-only keys (`common::shared`), the hash pool (`account`): those
//! have their place already. The layers that ask these rules are in `common`: those of incoming requests in
//! `governance`, those of outgoing calls in `rpc/outgoing`.

pub mod backup;
pub mod baggage;
pub mod balance;
pub mod breaker;
pub mod bulkhead;
pub mod class_gradient;
pub mod codel;
pub mod cpu;
pub mod ejection;
pub mod endpoint;
pub mod gcra;
pub mod gradient;
pub mod keyed_limit;
pub mod lane;
pub mod lease;
mod moment;
mod number;
pub mod priority;
pub mod problems;
pub mod rate_limit_headers;
pub mod retry;
pub mod retry_after;
pub mod rules;
pub mod waiting;
mod window;

pub use moment::Moment;
