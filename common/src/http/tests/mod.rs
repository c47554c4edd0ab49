//! The public contract's conventions, tried through real sockets against a small router.

mod callers;
mod conventions;
mod drain;
mod edge_limits;
mod harness;
mod limits;
mod observation;
mod shedding;
mod signed;
