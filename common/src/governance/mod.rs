//! The rules of [`govern`] as they are in force in this process, and how they change while it runs.
//!
//! The rules themselves are pure functions in `common/govern`; the layers that ask them stand in [`crate::http`] and
//! [`crate::rpc`]. What lives here is what those layers share: the document in force, the clock their moments are
//! read from, and the gates of [`shedding`].

mod in_force;
pub mod shedding;

pub use govern::priority::Class;

pub use self::in_force::Governance;
