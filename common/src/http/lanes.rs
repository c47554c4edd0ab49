//! Which lane a request goes to, decided once, where it arrives.
//!
//! A lane that one of our own callers has decided on (`baggage: lane=NAME` from a trusted network) is kept; what a
//! stranger writes there is not read, so that only the rules let anybody into a lane. A stranger can still send any other
//! header: a rule about a header lets in whoever knows its value.
//!
//! What is known here is the head of a request: its headers, and the account if its access token can be opened without
//! asking anybody. The device of a sign-in stands in a body that has not arrived; so does a token that a game server asks
//! about. Rules about accounts and percentages don't fit those, and they go to the base.

use std::{cell::OnceCell, fmt, sync::Arc};

use arc_swap::ArcSwapOption;
use govern::{
    baggage::Baggage,
    lane::{Colourable, LaneName, LanesConfig},
    rules::Rules,
};
use http::{HeaderMap, HeaderName};

use crate::governance::Governance;

const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// Knows the account that a request claims to be of, without asking anybody.
pub trait AccountOfRequest: Send + Sync + fmt::Debug + 'static {
    /// The account in a genuine access token among these headers, expired and revoked ones included: this decides where
    /// a request is looked at, and never whether it is let in. None where that can't be told.
    fn account(&self, headers: &HeaderMap) -> Option<i64>;
}

/// Colours requests by the rules in force.
#[derive(Debug)]
pub(super) struct Lanes {
    rules: Arc<ArcSwapOption<Colouring>>,
    accounts: Option<Arc<dyn AccountOfRequest>>,
}

/// The rules while lanes are on.
#[derive(Debug)]
struct Colouring {
    config: LanesConfig,
}

/// A request as the rules look at it. The token is opened for the first rule that asks, and for no other.
struct Head<'a> {
    headers: &'a HeaderMap,
    accounts: Option<&'a dyn AccountOfRequest>,
    account: OnceCell<Option<i64>>,
}

impl Lanes {
    /// By the rules in force, whatever they become. Without `accounts` nobody's account is known.
    pub(super) fn new(governance: &Governance, accounts: Option<Arc<dyn AccountOfRequest>>) -> Self {
        let rules = Arc::new(ArcSwapOption::empty());
        let followed = Arc::clone(&rules);
        governance.follow(move |rules| followed.store(Colouring::of(rules).map(Arc::new)));
        Self { rules, accounts }
    }

    /// The lane of a request; `inside` if all who had it in their hands are trusted. While lanes are switched off it
    /// costs one look at a pointer, and without rules a look for one header besides, for trusted callers only.
    pub(super) fn of(&self, headers: &HeaderMap, inside: bool) -> Option<LaneName> {
        let rules = self.rules.load();
        let Colouring { config } = &**rules.as_ref()?;
        if inside && let Some(lane) = callers_lane(headers) {
            return Some(lane);
        }
        if config.rules.is_empty() {
            return None;
        }
        let head = Head { headers, accounts: self.accounts.as_deref(), account: OnceCell::new() };
        config.colour(&head).copied()
    }
}

/// The lane that the caller has decided on.
fn callers_lane(headers: &HeaderMap) -> Option<LaneName> {
    let mut lines = headers.get_all(BAGGAGE).iter().filter_map(|line| line.to_str().ok()).peekable();
    lines.peek()?;
    Baggage::parse(lines).lane()
}

impl Colouring {
    fn of(rules: &Rules) -> Option<Self> {
        rules.switches.lanes.then(|| Self { config: rules.lanes.clone() })
    }
}

impl Colourable for Head<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn account(&self) -> Option<i64> {
        *self.account.get_or_init(|| self.accounts.and_then(|accounts| accounts.account(self.headers)))
    }

    fn device(&self) -> Option<&str> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use http::HeaderValue;

    use super::*;

    /// Takes the value of `x-account` for the account, and counts how often it is asked.
    #[derive(Debug, Default)]
    struct Accounts(AtomicU32);

    impl AccountOfRequest for Accounts {
        fn account(&self, headers: &HeaderMap) -> Option<i64> {
            self.0.fetch_add(1, Ordering::Relaxed);
            headers.get("x-account")?.to_str().ok()?.parse().ok()
        }
    }

    fn rules(document: &str) -> Rules {
        Rules::parse(document).expect("valid")
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header"))
        };
        lines.iter().map(line).collect()
    }

    fn lane(lanes: &Lanes, lines: &[(&'static str, &str)], inside: bool) -> Option<String> {
        lanes.of(&headers(lines), inside).map(|lane| lane.to_string())
    }

    const BY_HEADER: &str = "[[lanes.rules]]\nlane = 'dev'\nheader = { name = 'X-Lane', equals = 'dev' }";

    #[test]
    fn a_trusted_caller_has_decided_and_a_stranger_is_sent_where_the_rules_say() {
        let lanes = Lanes::new(&Governance::new(rules(BY_HEADER)), None);
        assert_eq!(lane(&lanes, &[("baggage", "lane=canary")], true).as_deref(), Some("canary"));
        assert_eq!(lane(&lanes, &[("baggage", "lane=canary")], false), None);
        let both = [("baggage", "a=b, lane=canary"), ("x-lane", "dev")];
        assert_eq!(lane(&lanes, &both, true).as_deref(), Some("canary"));
        assert_eq!(lane(&lanes, &both, false).as_deref(), Some("dev"));
        assert_eq!(lane(&lanes, &[("x-lane", "prod")], false), None);
        assert_eq!(lane(&lanes, &[("baggage", "lane=Not a lane"), ("x-lane", "dev")], true).as_deref(), Some("dev"));
    }

    #[test]
    fn rules_change_while_requests_arrive_and_can_be_switched_off() {
        let governance = Governance::default();
        let lanes = Lanes::new(&governance, None);
        let dev = [("x-lane", "dev")];
        assert_eq!(lane(&lanes, &dev, false), None);
        governance.put_in_force(rules(BY_HEADER));
        assert_eq!(lane(&lanes, &dev, false).as_deref(), Some("dev"));
        governance.put_in_force(rules(&format!("switches.lanes = false\n{BY_HEADER}")));
        assert_eq!(lane(&lanes, &dev, false), None);
        assert_eq!(lane(&lanes, &[("baggage", "lane=canary")], true), None, "all go to the base");
    }

    #[test]
    fn a_token_is_opened_for_rules_about_accounts_only_and_once() {
        let governance = Governance::new(rules(BY_HEADER));
        let accounts = Arc::new(Accounts::default());
        let lanes = Lanes::new(&governance, Some(accounts.clone()));
        assert_eq!(lane(&lanes, &[("x-account", "7")], false), None);
        assert_eq!(accounts.0.load(Ordering::Relaxed), 0);
        let listed = "[[lanes.rules]]\nlane = 'a'\naccounts = [8]\n[[lanes.rules]]\nlane = 'b'\naccounts = [7]";
        governance.put_in_force(rules(listed));
        assert_eq!(lane(&lanes, &[("x-account", "7")], false).as_deref(), Some("b"));
        assert_eq!(accounts.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn who_is_not_known_is_not_among_any_percentage_but_all() {
        let governance = Governance::new(rules("[[lanes.rules]]\nlane = 'half'\npercent = 99.9"));
        let lanes = Lanes::new(&governance, Some(Arc::new(Accounts::default())));
        assert_eq!(lane(&lanes, &[], false), None);
        assert_eq!(lane(&lanes, &[("x-account", "7")], false).as_deref(), Some("half"));
        governance.put_in_force(rules("[[lanes.rules]]\nlane = 'all'\npercent = 100"));
        assert_eq!(lane(&lanes, &[], false).as_deref(), Some("all"));
    }
}
