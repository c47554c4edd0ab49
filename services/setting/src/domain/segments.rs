//! Segments: parts of the players that have a name. They may be made of one another, but not in a circle.

use pilota::FastStr;

use crate::domain::conditions::{Conditions, SegmentIndex};

/// Segments that lead to one another in a row. Whoever evaluates one calls itself for the next.
pub(super) const CHAIN_MAX: usize = 32;

/// A part of the players. It holds when its own conditions do and, if it names others, one of them does.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Segment {
    pub(super) name: FastStr,
    /// `segments` has the indices of those under `any`.
    pub(super) conditions: Conditions,
}

/// What is wrong with how segments refer to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tangle {
    /// Each refers to the next, and the last is the first again.
    Circle(Vec<SegmentIndex>),
    /// More than [`CHAIN_MAX`] in a row, from this one on.
    TooLong(SegmentIndex),
}

/// Looks for a circle, and for a chain that is too long. Calls nothing recursively: it runs on documents nobody has
/// looked at yet.
pub(super) fn find_tangle(segments: &[Segment]) -> Option<Tangle> {
    // Segments below this one in the longest chain, itself included; 0 until it is known.
    let mut heights = vec![0_usize; segments.len()];
    let mut on_path = vec![false; segments.len()];
    for start in 0..segments.len() {
        // Each entry is a segment and how many of those it names were looked at.
        let mut path: Vec<(usize, usize)> = Vec::new();
        if heights[start] == 0 {
            path.push((start, 0));
            on_path[start] = true;
        }
        while let Some((at, looked_at)) = path.last_mut() {
            let named = &segments[*at].conditions.segments;
            if let Some(next) = named.get(*looked_at) {
                *looked_at += 1;
                let next = *next as usize;
                if on_path[next] {
                    let circle = path.iter().map(|(at, _)| *at).skip_while(|at| *at != next).chain([next]);
                    return Some(Tangle::Circle(circle.map(index).collect()));
                }
                if heights[next] == 0 {
                    on_path[next] = true;
                    path.push((next, 0));
                }
            } else {
                heights[*at] = 1 + named.iter().map(|next| heights[*next as usize]).max().unwrap_or(0);
                if heights[*at] > CHAIN_MAX {
                    return Some(Tangle::TooLong(index(*at)));
                }
                on_path[*at] = false;
                path.pop();
            }
        }
    }
    None
}

/// Segments are counted by a limit far below 2^32.
fn index(at: usize) -> SegmentIndex {
    SegmentIndex::try_from(at).unwrap_or(SegmentIndex::MAX)
}
