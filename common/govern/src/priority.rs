//! [`Gate`]: who is let in when there is not room for all.
//!
//! Protects: what matters most from what matters less. A verification that is refused can end a player's session at a
//! careless game; an event that a partner sends again in a minute costs nobody anything.
//!
//! Formula: of a limit L (learned by [`crate::gradient`]), `R = min(pay_reserved, ⌊L / 2⌋)` is kept for pay callbacks
//! and never lent. A class is let in while fewer than `⌈share · (L − R)⌉` requests are in flight in the rest; pay
//! callbacks take their reserve first and then any room. As all classes look at the same count, and shares only rise
//! with the class, a class is never refused while a lower one would be let in.
//!
//! Sources: criticality of Google SRE ("Handling Overload"), the priority order of playgate's architecture, and the
//! priority thresholds of WeChat's DAGOR (SoCC 2018), as shares of one limit instead of quotas per class: room that
//! the high do not need is never idle.

use std::sync::atomic::{
    AtomicU32,
    Ordering::{Relaxed, SeqCst},
};

use serde::{Deserialize, Serialize};

use crate::{
    number::ceil_u32,
    problems::{Check, Problems},
};

/// What a request is for. In the order of shedding: the first is refused first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Events and clicks of partners: they are sent again.
    Ingest,
    /// Settings: a game starts with those it has.
    Settings,
    /// A login, a registration, a code by phone: the player tries again.
    Login,
    /// A refresh: refused for long, it becomes a login.
    Refresh,
    /// Is this token good: refused, it can become many logins.
    Verify,
    /// A payment channel tells of money. Has reserved room besides.
    PayCallback,
}

impl Class {
    /// All of them, the one that is shed first at the front.
    pub const SHED_ORDER: [Self; 6] =
        [Self::Ingest, Self::Settings, Self::Login, Self::Refresh, Self::Verify, Self::PayCallback];

    /// The name in the configuration and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Settings => "settings",
            Self::Login => "login",
            Self::Refresh => "refresh",
            Self::Verify => "verify",
            Self::PayCallback => "pay_callback",
        }
    }

    /// The place in [`Self::SHED_ORDER`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Up to which share of the limit a class is let in.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PriorityConfig {
    /// Events and clicks.
    pub ingest: f64,
    /// Settings.
    pub settings: f64,
    /// Logins.
    pub login: f64,
    /// Refreshes.
    pub refresh: f64,
    /// Verifications. They may use all that is not reserved.
    pub verify: f64,
    /// Requests in flight that are kept for pay callbacks; at most half of the limit.
    pub pay_reserved: u32,
    /// Which part of the room a class may fill that is slower than usual while others are not: what hangs in one place
    /// leaves room for the rest. Below the share of the class that is shed first, so that even that one has some.
    pub slow_alone: f64,
}

impl Default for PriorityConfig {
    fn default() -> Self {
        Self { ingest: 0.5, settings: 0.7, login: 0.8, refresh: 0.9, verify: 1.0, pay_reserved: 8, slow_alone: 0.4 }
    }
}

impl PriorityConfig {
    /// Up to which share of the room that is not reserved the class is let in. Never less than a lower class has,
    /// whatever is configured.
    pub fn share(&self, class: Class) -> f64 {
        let own = |class| match class {
            Class::Ingest => self.ingest,
            Class::Settings => self.settings,
            Class::Login => self.login,
            Class::Refresh => self.refresh,
            Class::Verify => self.verify,
            Class::PayCallback => 1.0,
        };
        let up_to = &Class::SHED_ORDER[..=class.index()];
        up_to.iter().copied().map(own).fold(0.0, f64::max).clamp(0.0, 1.0)
    }
}

impl Check for PriorityConfig {
    fn check(&self, problems: &mut Problems) {
        let shares = [self.ingest, self.settings, self.login, self.refresh, self.verify];
        for (class, share) in Class::SHED_ORDER.iter().zip(shares) {
            problems.number(class.name(), share, 0.01..=1.0);
        }
        for (pair, class) in shares.windows(2).zip(&Class::SHED_ORDER[1..]) {
            if pair[1] < pair[0] {
                problems.add(class.name(), "is below the share of a class that is shed before it");
            }
        }
        problems.number("pay_reserved", self.pay_reserved, 0..=10_000);
        problems.number("slow_alone", self.slow_alone, 0.01..=1.0);
    }
}

/// The two kinds of room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// What all classes share.
    General,
    /// What is kept for pay callbacks.
    Reserved,
}

/// What is in flight, by area.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InFlight {
    /// In the room that all share.
    pub general: u32,
    /// In the reserved room.
    pub reserved: u32,
}

/// How many of a class that is slow alone may be in flight.
pub fn room_alone(config: &PriorityConfig, limit: u32) -> u32 {
    ceil_u32(config.slow_alone.clamp(0.0, 1.0) * f64::from(limit - reserved_of(config, limit))).max(1)
}

/// How a limit is divided: what is kept for pay callbacks, and the rest.
pub fn reserved_of(config: &PriorityConfig, limit: u32) -> u32 {
    config.pay_reserved.min(limit / 2)
}

/// Where a request of `class` may go now; nowhere if it is to be refused. Pure.
pub fn area_for(config: &PriorityConfig, class: Class, limit: u32, in_flight: InFlight) -> Option<Area> {
    if class == Class::PayCallback && in_flight.reserved < reserved_of(config, limit) {
        return Some(Area::Reserved);
    }
    (in_flight.general < general_room(config, class, limit)).then_some(Area::General)
}

/// Below how many requests in flight in the general room `class` is let in. At least one, so that a class that comes
/// alone is never shut out.
fn general_room(config: &PriorityConfig, class: Class, limit: u32) -> u32 {
    let general = limit - reserved_of(config, limit);
    ceil_u32(config.share(class) * f64::from(general)).max(1)
}

/// Counts what is in flight and lets in by class.
///
/// All classes look at one limit, which [`Self::divide`] sets: with a limit of its own a class could be refused while a
/// lower one is let in. How it divides is worked out then, so that a request costs one atomic addition.
#[derive(Debug)]
pub struct Gate {
    /// Below how many requests in flight in the general room each class is let in.
    rooms: [AtomicU32; Class::SHED_ORDER.len()],
    reserve: AtomicU32,
    general: AtomicU32,
    reserved: AtomicU32,
}

impl Gate {
    /// A gate with nothing in flight.
    pub fn new(config: &PriorityConfig, limit: u32) -> Self {
        let gate = Self {
            rooms: Default::default(),
            reserve: AtomicU32::new(0),
            general: AtomicU32::new(0),
            reserved: AtomicU32::new(0),
        };
        gate.divide(config, limit);
        gate
    }

    /// Another limit, or other shares, from the next request on. What is in flight stays, and drains if it is too much.
    pub fn divide(&self, config: &PriorityConfig, limit: u32) {
        self.reserve.store(reserved_of(config, limit), Relaxed);
        for (class, room) in Class::SHED_ORDER.iter().zip(&self.rooms) {
            room.store(general_room(config, *class, limit), Relaxed);
        }
    }

    /// Lets a request in if its class has room. Never waits. Where it was let into is to be given back with
    /// [`Self::leave`], however the request ends.
    #[must_use = "what was let in has to leave"]
    pub fn try_enter(&self, class: Class) -> Option<Area> {
        let below = |room: u32| move |in_flight: u32| (in_flight < room).then(|| in_flight + 1);
        if class == Class::PayCallback {
            let reserve = self.reserve.load(Relaxed);
            if self.reserved.fetch_update(SeqCst, Relaxed, below(reserve)).is_ok() {
                return Some(Area::Reserved);
            }
        }
        let room = self.rooms[class.index()].load(Relaxed);
        self.general.fetch_update(SeqCst, Relaxed, below(room)).ok().map(|_| Area::General)
    }

    /// Gives the room back of a request that was let into `area`. Whoever looks for waiters after this is seen by
    /// whoever tries to enter after it has begun to wait: one of the two finds the other.
    pub fn leave(&self, area: Area) {
        match area {
            Area::General => self.general.fetch_sub(1, SeqCst),
            Area::Reserved => self.reserved.fetch_sub(1, SeqCst),
        };
    }

    /// What is in flight.
    pub fn in_flight(&self) -> InFlight {
        InFlight { general: self.general.load(Relaxed), reserved: self.reserved.load(Relaxed) }
    }
}

impl InFlight {
    /// In both rooms.
    pub fn total(self) -> u32 {
        self.general.saturating_add(self.reserved)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn classes_are_refused_in_the_order_of_shedding() {
        let (config, limit) = (PriorityConfig { pay_reserved: 0, ..PriorityConfig::default() }, 100);
        let refused_from: Vec<_> = Class::SHED_ORDER
            .iter()
            .map(|class| {
                let refused = |general: &u32| {
                    area_for(&config, *class, limit, InFlight { general: *general, reserved: 0 }).is_none()
                };
                (class.name(), (0..200).find(refused).expect("at some point"))
            })
            .collect();
        let expected =
            [("ingest", 50), ("settings", 70), ("login", 80), ("refresh", 90), ("verify", 100), ("pay_callback", 100)];
        assert_eq!(refused_from, expected);
    }

    #[test]
    fn pay_callbacks_have_room_when_everything_else_is_full() {
        let gate = Gate::new(&PriorityConfig::default(), 50);
        let verifies: Vec<_> = std::iter::from_fn(|| gate.try_enter(Class::Verify)).collect();
        assert_eq!(verifies.len(), 42, "the reserve is not lent");
        let callbacks: Vec<_> = std::iter::from_fn(|| gate.try_enter(Class::PayCallback)).collect();
        assert_eq!(callbacks, [Area::Reserved; 8]);
    }

    #[test]
    fn a_class_that_comes_alone_is_let_in_however_small_the_limit() {
        for (class, limit) in Class::SHED_ORDER.into_iter().flat_map(|class| [(class, 0), (class, 1)]) {
            let gate = Gate::new(&PriorityConfig::default(), limit);
            let area = gate.try_enter(class).expect("room");
            gate.leave(area);
            assert_eq!(gate.in_flight(), InFlight::default());
        }
    }

    #[test]
    fn a_limit_that_falls_below_what_is_in_flight_refuses_until_that_has_drained() {
        let config = PriorityConfig { pay_reserved: 0, ..PriorityConfig::default() };
        let gate = Gate::new(&config, 40);
        assert_eq!(std::iter::from_fn(|| gate.try_enter(Class::Verify)).count(), 40);
        gate.divide(&config, 20);
        (0..20).for_each(|_| gate.leave(Area::General));
        assert_eq!(gate.try_enter(Class::Verify), None);
        gate.leave(Area::General);
        assert_eq!(gate.try_enter(Class::Verify), Some(Area::General));
    }

    fn config() -> impl Strategy<Value = PriorityConfig> {
        (prop::array::uniform5(0.0_f64..1.2), 0_u32..50).prop_map(
            |([ingest, settings, login, refresh, verify], pay_reserved)| PriorityConfig {
                ingest,
                settings,
                login,
                refresh,
                verify,
                pay_reserved,
                ..PriorityConfig::default()
            },
        )
    }

    proptest! {
        /// With any shares at all, even such as a check would refuse.
        #[test]
        fn a_class_is_never_refused_while_a_lower_one_is_let_in(
            config in config(), limit in 0_u32..300, general in 0_u32..300, reserved in 0_u32..60,
        ) {
            let let_in = |class: &Class| area_for(&config, *class, limit, InFlight { general, reserved }).is_some();
            let answers: Vec<_> = Class::SHED_ORDER.iter().map(let_in).collect();
            prop_assert!(answers.is_sorted(), "{answers:?}");
        }

        /// Whatever comes and goes: the gate decides as the rule, and what is reserved holds pay callbacks only.
        #[test]
        fn the_reserve_is_never_lent_and_the_limit_never_exceeded(
            config in config(), limit in 2_u32..60, steps in prop::collection::vec((0_usize..6, any::<bool>()), 1..300),
        ) {
            let gate = Gate::new(&config, limit);
            let mut inside: Vec<(Class, Area)> = Vec::new();
            for (index, leaves) in steps {
                if leaves && !inside.is_empty() {
                    gate.leave(inside.swap_remove(index % inside.len()).1);
                    continue;
                }
                let class = Class::SHED_ORDER[index];
                let expected = area_for(&config, class, limit, gate.in_flight());
                let entered = gate.try_enter(class);
                prop_assert_eq!(entered, expected);
                inside.extend(entered.map(|area| (class, area)));
                let reserve = reserved_of(&config, limit);
                let InFlight { general, reserved } = gate.in_flight();
                prop_assert!(reserved <= reserve && general <= limit - reserve);
                let pays = inside.iter().filter(|(class, _)| *class == Class::PayCallback).count();
                prop_assert!(pays >= reserved as usize);
            }
            inside.into_iter().for_each(|(_, area)| gate.leave(area));
            prop_assert_eq!(gate.in_flight(), InFlight::default());
        }
    }
}
