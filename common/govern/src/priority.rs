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

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
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
}

impl Default for PriorityConfig {
    fn default() -> Self {
        Self { ingest: 0.5, settings: 0.7, login: 0.8, refresh: 0.9, verify: 1.0, pay_reserved: 8 }
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

/// Counts what is in flight and lets in by class. The limit comes with every call, because it changes.
#[derive(Debug)]
pub struct Gate {
    config: PriorityConfig,
    general: AtomicU32,
    reserved: AtomicU32,
}

/// A request that was let in. Its room is given back when this is dropped.
#[derive(Debug)]
#[must_use = "dropping it gives the room back"]
pub struct Pass {
    gate: Arc<Gate>,
    area: Area,
}

impl Gate {
    /// A gate with nothing in flight.
    pub fn new(config: PriorityConfig) -> Arc<Self> {
        Arc::new(Self { config, general: AtomicU32::new(0), reserved: AtomicU32::new(0) })
    }

    /// Lets a request in if its class has room under `limit`, which is the same for all classes. Never waits.
    pub fn try_enter(self: &Arc<Self>, class: Class, limit: u32) -> Option<Pass> {
        let pass = |area| Some(Pass { gate: Arc::clone(self), area });
        let below = |room: u32| move |in_flight: u32| (in_flight < room).then(|| in_flight + 1);
        if class == Class::PayCallback {
            let reserved = reserved_of(&self.config, limit);
            if self.reserved.fetch_update(Relaxed, Relaxed, below(reserved)).is_ok() {
                return pass(Area::Reserved);
            }
        }
        let room = general_room(&self.config, class, limit);
        self.general.fetch_update(Relaxed, Relaxed, below(room)).ok()?;
        pass(Area::General)
    }

    /// What is in flight.
    pub fn in_flight(&self) -> InFlight {
        InFlight { general: self.general.load(Relaxed), reserved: self.reserved.load(Relaxed) }
    }
}

impl Pass {
    /// What is in flight at the gate, this included.
    pub fn in_flight(&self) -> u32 {
        let InFlight { general, reserved } = self.gate.in_flight();
        general.saturating_add(reserved)
    }

    /// In which room it is.
    pub fn area(&self) -> Area {
        self.area
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        match self.area {
            Area::General => self.gate.general.fetch_sub(1, Relaxed),
            Area::Reserved => self.gate.reserved.fetch_sub(1, Relaxed),
        };
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
        let gate = Gate::new(PriorityConfig::default());
        let verifies: Vec<_> = std::iter::from_fn(|| gate.try_enter(Class::Verify, 50)).collect();
        assert_eq!(verifies.len(), 42, "the reserve is not lent");
        let callbacks: Vec<_> = std::iter::from_fn(|| gate.try_enter(Class::PayCallback, 50)).collect();
        assert_eq!(callbacks.len(), 8);
        assert!(callbacks.iter().all(|pass| pass.area() == Area::Reserved));
    }

    #[test]
    fn a_class_that_comes_alone_is_let_in_however_small_the_limit() {
        let gate = Gate::new(PriorityConfig::default());
        for class in Class::SHED_ORDER {
            assert!(gate.try_enter(class, 0).is_some() && gate.try_enter(class, 1).is_some(), "{class:?}");
        }
        assert_eq!(gate.in_flight(), InFlight::default());
    }

    #[test]
    fn a_limit_that_falls_below_what_is_in_flight_refuses_until_that_has_drained() {
        let gate = Gate::new(PriorityConfig { pay_reserved: 0, ..PriorityConfig::default() });
        let mut passes: Vec<_> = (0..40).filter_map(|_| gate.try_enter(Class::Verify, 40)).collect();
        assert!(gate.try_enter(Class::Verify, 20).is_none());
        passes.truncate(19);
        assert!(gate.try_enter(Class::Verify, 20).is_some());
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
            let gate = Gate::new(config);
            let mut inside: Vec<(Class, Pass)> = Vec::new();
            for (index, leaves) in steps {
                if leaves && !inside.is_empty() {
                    drop(inside.swap_remove(index % inside.len()));
                    continue;
                }
                let class = Class::SHED_ORDER[index];
                let expected = area_for(&config, class, limit, gate.in_flight());
                let entered = gate.try_enter(class, limit);
                prop_assert_eq!(entered.as_ref().map(Pass::area), expected);
                inside.extend(entered.map(|pass| (class, pass)));
                let reserve = reserved_of(&config, limit);
                let InFlight { general, reserved } = gate.in_flight();
                prop_assert!(reserved <= reserve && general <= limit - reserve);
                let pays = inside.iter().filter(|(class, _)| *class == Class::PayCallback).count();
                prop_assert!(pays >= reserved as usize);
            }
            drop(inside);
            prop_assert_eq!(gate.in_flight(), InFlight::default());
        }
    }
}
