//! Who is kept from trying, as functions of values.
//!
//! The rule by which failures lock is [`common::shared::Ladder`]: it has to be atomic where the failures are counted.
//!
//! In reading order:
//! - [`subject`]: whose failures are counted together, and the keys they are counted under.
//! - [`judgement`]: what the ladders of an attempt come to.
//! - [`block_list`]: addresses and devices that are kept out by a document.
//! - [`subject_ban`]: the same by bans, which have a reason and an end.

pub(crate) mod block_list;
pub(crate) mod judgement;
pub(crate) mod subject;
pub(crate) mod subject_ban;
