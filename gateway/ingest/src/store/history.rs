//! What the segments know of the time before this start: the events of the window, and the last line.

use std::io;

use common::clock::Timestamp;

use crate::{
    line::Line,
    segment::{listing::SegmentFile, recovery::scan},
    window::{EventHash, EventHasher, Window},
};

/// Fills the window from the newest segments, and answers with the place of the last line. Reads the newest
/// segment, and of the others only so many that the window's number of lines was read: a start takes no longer however
/// much lies there.
pub(super) fn remember(
    files: &[SegmentFile],
    hasher: &EventHasher,
    window: &mut Window,
    (entries, oldest): (u32, Timestamp),
) -> io::Result<Option<u64>> {
    let (mut last_seq, mut count) = (None, 0);
    let mut newest_first = Vec::new();
    for file in files.iter().rev() {
        let mut seen = Vec::new();
        let mut latest = None;
        let mut text = Vec::new();
        let found = scan(&file.path, |line| {
            if let Ok(line) = Line::read(line) {
                let received_at = Timestamp::from_millis(line.received_at);
                latest = latest.max(Some(received_at));
                seen.extend(named(&line).map(|id| (hasher.hash_text(&line.partner, id, &mut text), received_at)));
            }
        })?;
        if found.whole_bytes < file.bytes {
            tracing::warn!(segment = %file.name, at = found.whole_bytes, "a complete segment is damaged");
        }
        last_seq = last_seq.or(found.last_seq);
        count += found.whole_lines;
        newest_first.push(seen);
        let is_too_old = latest.is_some_and(|latest| latest < oldest);
        if count >= u64::from(entries) || is_too_old {
            break;
        }
    }
    let in_order = newest_first.into_iter().rev().flatten();
    in_order.for_each(|(hash, received_at): (EventHash, Timestamp)| window.insert(hash, received_at));
    Ok(last_seq)
}

/// What the partner called an event. One that was named here is known to nobody and need not be remembered.
fn named<'a>(line: &'a Line<'_>) -> Option<&'a str> {
    line.event.get().contains("\"event_id\"").then_some(&*line.event_id)
}
