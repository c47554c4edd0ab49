//! How many live sessions of one device class an account may have in an app, and what a sign-in beyond that does.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{field::FieldError, ids::SessionId};

/// The limit of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeviceLimit {
    pub(crate) max: u32,
    pub(crate) on_excess: OnExcess,
}

/// What happens to a sign-in beyond the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnExcess {
    /// It succeeds, and the sessions that began first end.
    KickOldest,
    /// It is refused.
    RefuseNewest,
}

/// A session that takes a place.
#[derive(Clone, Debug)]
pub(crate) struct LiveSession {
    pub(crate) session_id: SessionId,
    pub(crate) device_id: Option<String>,
}

/// What has to happen for one more session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// It may begin once these have ended; none, if there is a place left.
    After(Vec<SessionId>),
    /// It may not begin.
    None,
}

impl DeviceLimit {
    /// More than this is no limit that anybody means.
    pub(crate) const SENSIBLE: RangeInclusive<u32> = 1..=1000;

    /// Decides for a sign-in from `device_id`, beside the `live` sessions of its class, oldest first.
    ///
    /// What the same device left behind goes first: a player who signs in again after an installation must neither be
    /// refused for the sake of a session that nobody can use any more, nor sign another device out.
    pub(crate) fn room(self, live: &[LiveSession], device_id: Option<&str>) -> Room {
        let places = usize::try_from(self.max).unwrap_or(usize::MAX);
        let excess = (live.len() + 1).saturating_sub(places);
        let is_own = |session: &&LiveSession| device_id.is_some() && session.device_id.as_deref() == device_id;
        let own = live.iter().filter(is_own);
        let ended: Vec<SessionId> = match self.on_excess {
            OnExcess::KickOldest => {
                let others = live.iter().filter(|session| !is_own(session));
                own.chain(others).take(excess).map(|session| session.session_id).collect()
            }
            OnExcess::RefuseNewest => own.take(excess).map(|session| session.session_id).collect(),
        };
        if excess > 0 && ended.is_empty() { Room::None } else { Room::After(ended) }
    }
}

impl OnExcess {
    pub(crate) fn parse(raw: &str) -> Result<Self, FieldError> {
        let known = [Self::KickOldest, Self::RefuseNewest].into_iter().find(|choice| choice.as_str() == raw);
        known.ok_or(FieldError::new("policy.devices", "`on_excess` must be kick_oldest or refuse_newest"))
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::KickOldest => "kick_oldest",
            Self::RefuseNewest => "refuse_newest",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(number: u8) -> SessionId {
        SessionId::from_bytes([number; 16])
    }

    /// Sessions 0, 1, 2, … on these devices, oldest first.
    fn live(devices: &[&str]) -> Vec<LiveSession> {
        let sessions = (0..).zip(devices);
        sessions.map(|(n, device)| LiveSession { session_id: id(n), device_id: Some((*device).to_owned()) }).collect()
    }

    fn kick(max: u32) -> DeviceLimit {
        DeviceLimit { max, on_excess: OnExcess::KickOldest }
    }

    fn refuse(max: u32) -> DeviceLimit {
        DeviceLimit { max, on_excess: OnExcess::RefuseNewest }
    }

    #[test]
    fn within_the_limit_nothing_ends() {
        for limit in [kick(2), refuse(2)] {
            assert_eq!(limit.room(&live(&["a"]), Some("b")), Room::After(vec![]));
            assert_eq!(limit.room(&live(&["a"]), None), Room::After(vec![]));
        }
    }

    #[test]
    fn beyond_it_the_oldest_end_or_the_newest_is_refused() {
        assert_eq!(kick(2).room(&live(&["a", "b"]), Some("c")), Room::After(vec![id(0)]));
        assert_eq!(kick(1).room(&live(&["a", "b", "c"]), None), Room::After(vec![id(0), id(1), id(2)]));
        assert_eq!(refuse(2).room(&live(&["a", "b"]), Some("c")), Room::None);
        assert_eq!(refuse(2).room(&live(&["a", "b"]), None), Room::None);
    }

    #[test]
    fn what_the_same_device_left_behind_makes_room_first() {
        assert_eq!(kick(2).room(&live(&["a", "b"]), Some("b")), Room::After(vec![id(1)]));
        assert_eq!(refuse(2).room(&live(&["a", "b"]), Some("b")), Room::After(vec![id(1)]));
    }

    #[test]
    fn a_device_that_holds_a_place_keeps_it_after_the_limit_was_lowered() {
        assert_eq!(refuse(1).room(&live(&["a", "b", "c"]), Some("b")), Room::After(vec![id(1)]));
        assert_eq!(refuse(1).room(&live(&["a", "b", "c"]), Some("d")), Room::None);
    }

    #[test]
    fn the_names_of_the_contract_read_back() {
        for choice in [OnExcess::KickOldest, OnExcess::RefuseNewest] {
            assert_eq!(OnExcess::parse(choice.as_str()), Ok(choice));
        }
        assert!(OnExcess::parse("").is_err());
    }

    proptest! {
        #[test]
        fn kicking_always_makes_exactly_enough_room(devices in prop::collection::vec("[ab]", 0..20), max in 1..9_u32) {
            let devices: Vec<&str> = devices.iter().map(String::as_str).collect();
            let Room::After(ended) = kick(max).room(&live(&devices), Some("a")) else { panic!("kicking never refuses") };
            let after = devices.len() + 1 - ended.len();
            prop_assert_eq!(after, (devices.len() + 1).min(usize::try_from(max).expect("small")));
        }
    }
}
