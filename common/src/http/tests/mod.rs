//! The public contract's conventions, tried through real sockets against a small router.

mod conventions;
mod drain;
mod edge_limits;
mod harness;
mod limits;
mod observation;
mod signed;
