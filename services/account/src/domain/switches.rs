//! What an operator has switched for sign-ins at this moment, on top of the app's policy.
//!
//! Switches only take away: a kind of sign-in, new accounts, or, in maintenance, everybody but a few. They decide about
//! sign-ins and nothing else: sessions that live go on.
//!
//! In maintenance whoever has not *proven* to be on the list is refused in one way, whatever is wrong besides: an answer
//! that told a wrong password would tell that the account is on the list.

use std::collections::BTreeSet;

use common::clock::Timestamp;

use super::{
    ids::AccountId,
    policy::{AppPolicy, LoginKind},
};

/// What is switched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Switches {
    /// It has begun and is not over.
    pub(crate) maintenance: Option<Maintenance>,
    /// `Some(false)`: a sign-in makes no account.
    pub(crate) registration_open: Option<bool>,
    /// The kinds that may be used, of those that the policy allows.
    pub(crate) login_kinds: Option<BTreeSet<LoginKind>>,
}

/// A window in which only those on the list may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Maintenance {
    /// Shown to players.
    pub(crate) message: String,
    /// When it is to be over, if that is known.
    pub(crate) until: Option<Timestamp>,
    /// Who may sign in all the same. A thousand at most, so they are simply looked through.
    pub(crate) allowed: Vec<AccountId>,
}

/// Why a sign-in is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed<'s> {
    Kind,
    NewAccounts,
    Maintenance(&'s Maintenance),
}

impl Switches {
    /// Refuses a kind of sign-in that is off in the policy or switched off.
    pub(crate) fn allow_kind(&self, policy: &AppPolicy, kind: LoginKind) -> Result<(), Closed<'_>> {
        let switched_on = self.login_kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind));
        match &self.maintenance {
            _ if switched_on && policy.login_kinds.contains(&kind) => Ok(()),
            // Not even those on the list get in this way, and the operator's text says more.
            Some(maintenance) => Err(Closed::Maintenance(maintenance)),
            None => Err(Closed::Kind),
        }
    }

    /// Refuses a sign-in that would make an account while none are taken. A new account is on no list.
    pub(crate) fn allow_new_account(&self, policy: &AppPolicy) -> Result<(), Closed<'_>> {
        self.let_in(None)?;
        if policy.registration_open && self.registration_open.unwrap_or(true) {
            Ok(())
        } else {
            Err(Closed::NewAccounts)
        }
    }

    /// Refuses, in maintenance, everybody who is not on the list; `None` is an account that does not exist.
    pub(crate) fn let_in(&self, account_id: Option<AccountId>) -> Result<(), Closed<'_>> {
        match &self.maintenance {
            Some(maintenance) if account_id.is_none_or(|id| !maintenance.allowed.contains(&id)) => {
                Err(Closed::Maintenance(maintenance))
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: i64) -> AccountId {
        AccountId::parse(id).expect("in range")
    }

    fn in_maintenance(allowed: &[i64]) -> Switches {
        let allowed = allowed.iter().copied().map(account).collect();
        let maintenance = Maintenance { message: "soon".to_owned(), until: None, allowed };
        Switches { maintenance: Some(maintenance), ..Switches::default() }
    }

    #[test]
    fn in_maintenance_only_those_on_the_list_get_in_and_nobody_new() {
        let (switches, policy) = (in_maintenance(&[7, 9]), AppPolicy::default());
        let maintenance = switches.maintenance.as_ref().expect("it is on");
        assert_eq!(switches.let_in(Some(account(9))), Ok(()));
        for other in [Some(account(8)), None] {
            assert_eq!(switches.let_in(other), Err(Closed::Maintenance(maintenance)));
        }
        assert_eq!(switches.allow_new_account(&policy), Err(Closed::Maintenance(maintenance)));
        assert_eq!(Switches::default().let_in(None), Ok(()));
    }

    #[test]
    fn a_kind_needs_the_policy_and_the_switch() {
        let only = |kind| Some(BTreeSet::from([kind]));
        let switches = Switches { login_kinds: only(LoginKind::Phone), ..Switches::default() };
        let policy = AppPolicy::default();
        assert_eq!(switches.allow_kind(&policy, LoginKind::Phone), Ok(()));
        assert_eq!(switches.allow_kind(&policy, LoginKind::Password), Err(Closed::Kind));
        let policy = AppPolicy { login_kinds: BTreeSet::from([LoginKind::Password]), ..policy };
        for kind in LoginKind::ALL {
            assert_eq!(switches.allow_kind(&policy, kind), Err(Closed::Kind), "{kind:?}");
        }
        let switches = Switches { login_kinds: only(LoginKind::Phone), ..in_maintenance(&[7]) };
        assert!(matches!(switches.allow_kind(&policy, LoginKind::Password), Err(Closed::Maintenance(_))));
    }

    #[test]
    fn a_switch_can_close_registration_and_never_open_it() {
        let closed = AppPolicy { registration_open: false, ..AppPolicy::default() };
        for (switch, policy, expected) in [
            (None, &AppPolicy::default(), Ok(())),
            (Some(true), &AppPolicy::default(), Ok(())),
            (Some(false), &AppPolicy::default(), Err(Closed::NewAccounts)),
            (Some(true), &closed, Err(Closed::NewAccounts)),
            (None, &closed, Err(Closed::NewAccounts)),
        ] {
            let switches = Switches { registration_open: switch, ..Switches::default() };
            assert_eq!(switches.allow_new_account(policy), expected, "{switch:?}");
        }
    }
}
