//! What is learned from how a request ended.
//!
//! | ended with | counts as | because |
//! |---|---|---|
//! | success | worked | it did all that a request of its class does |
//! | its deadline, or "overloaded" from further down | dropped | it found no time or no room |
//! | anything the caller has to change | ignored | refused at any point of its way, usually early |
//! | a limit, a maintenance, a dependency that is away | ignored | says nothing about what this process can do |
//! | a fault of ours | ignored | a bug is quick or slow for reasons of its own |
//! | its caller leaving | ignored | nobody knows how long it would have taken |

use govern::gradient::Ending;

use crate::error_code::ErrorCode;

/// How a request ended that was answered with `code`.
pub fn ending_of(code: ErrorCode) -> Ending {
    match code {
        ErrorCode::OK | ErrorCode::ACCEPTED => Ending::Worked,
        ErrorCode::DEADLINE_EXCEEDED | ErrorCode::OVERLOADED => Ending::Dropped,
        _ => Ending::Ignored,
    }
}
