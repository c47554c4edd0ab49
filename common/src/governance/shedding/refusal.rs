//! Why a request was not let in, and when it may come back.

use std::time::Duration;

use govern::{
    Moment,
    priority::Class,
    retry_after::{LoadEstimate, RetryAfterConfig},
};

use crate::error_code::{ErrorCode, PublicError};

/// Why a request was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// As many of its class wait as may, or in overload a newer one took its place.
    QueueFull,
    /// It waited as long as it may.
    Late,
    /// Its caller would have given up before it was done.
    Deadline,
    /// Its class has a cap of its own, by the rules or because it is slow while others are not, and is at it.
    ClassFull,
}

/// A request that was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("shed: {}", reason.name())]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// When to ask again: the longer, the more are refused; spread, so that they do not all come at once.
    pub retry_after: Duration,
}

impl Reason {
    pub(super) const ALL: [Self; 4] = [Self::QueueFull, Self::Late, Self::Deadline, Self::ClassFull];

    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Late => "late",
            Self::Deadline => "deadline",
            Self::ClassFull => "class_full",
        }
    }
}

impl From<Refused> for PublicError {
    fn from(refused: Refused) -> Self {
        PublicError::new(ErrorCode::OVERLOADED).retry_after(refused.retry_after)
    }
}

/// How much more of each class comes than is let in.
#[derive(Debug, Default)]
pub(super) struct Load([OfClass; Class::SHED_ORDER.len()]);

#[derive(Clone, Copy, Debug, Default)]
struct OfClass {
    estimate: LoadEstimate,
    admitted: u64,
    refused: u64,
}

impl Load {
    /// What the next one of a class that is refused is told, after so many were let in and refused altogether.
    pub(super) fn pause(
        &mut self,
        config: &RetryAfterConfig,
        (now, class): (Moment, Class),
        (admitted, refused): (u64, u64),
        fraction: f64,
    ) -> Duration {
        let of_class = &mut self.0[class.index()];
        let more = |total: u64, before: u64| u32::try_from(total.saturating_sub(before)).unwrap_or(u32::MAX);
        let (let_in, turned_away) = (more(admitted, of_class.admitted), more(refused, of_class.refused));
        of_class.estimate.count(now, let_in.saturating_add(turned_away), let_in);
        (of_class.admitted, of_class.refused) = (admitted, refused);
        config.pause(class, of_class.estimate.load(), fraction)
    }
}
