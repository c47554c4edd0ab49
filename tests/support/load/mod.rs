//! A steady load on a platform while something breaks, and what its players and game servers saw of that.
//!
//! In reading order:
//! - `generator`: [`Load`], who asks what, how often.
//! - `record`: [`Outcome`], what one answer means for whoever asked.
//! - `starvation`: whether the machine gave anybody time.
//! - `report`: [`Report`], the windows in which questions failed, and what may be promised about them.

mod generator;
mod record;
mod report;
mod starvation;

pub(crate) use self::{
    generator::Load,
    record::{Kind, Outcome},
    report::Report,
};
