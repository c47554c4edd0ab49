//! The rules of [`govern`](::govern) as they are in force in this process, and how they change while it runs.
//!
//! The rules themselves are pure functions in `common/govern`; the layers that ask them stand in [`crate::http`] and
//! [`crate::rpc`]. What lives here is what those layers share: the document in force, the clock their moments are read
//! from, and what the rules need to run:
//! - `in_force`: [`Governance`], the document in force ([`Rules`]).
//! - [`limits`]: who may ask how often.

mod in_force;
pub mod limits;

pub use govern::rules::Rules;

pub use self::in_force::Governance;
