//! What is switched for sign-ins, from the wire, and how a sign-in is refused because of it.

use common::{clock::Timestamp, rpc::Refusal};
use idl::common::SignInSwitches;

use crate::{
    domain::{
        app::App,
        ids::AccountId,
        policy::LoginKind,
        switches::{Closed, Maintenance, Switches},
    },
    error::AccountError,
};

/// What every sign-in of one call has to pass: the app's policy and what is switched on top of it.
pub(super) struct Gate {
    switches: Switches,
    /// When the call came.
    now: Timestamp,
}

impl Gate {
    /// Reads the switches as they are at `now`: a maintenance that is over is none. Absent: nothing is switched.
    ///
    /// A kind that this version does not know can't be used here; an account that can't exist is on no list.
    pub(super) fn new(switches: Option<SignInSwitches>, now: Timestamp) -> Self {
        let SignInSwitches { maintenance, registration_open, login_kinds } = switches.unwrap_or_default();
        let maintenance = maintenance.map(|is| Maintenance {
            message: is.message.to_string(),
            until: is.until.map(Timestamp::from_millis),
            allowed: is.allowed_accounts.into_iter().filter_map(|id| AccountId::parse(id).ok()).collect(),
        });
        let login_kinds =
            login_kinds.map(|kinds| kinds.iter().filter_map(|kind| LoginKind::parse(kind).ok()).collect());
        let maintenance = maintenance.filter(|is| !common::maintenance::is_over(is.until, now));
        Self { switches: Switches { maintenance, registration_open, login_kinds }, now }
    }

    pub(super) fn allow_kind(&self, app: &App, kind: LoginKind) -> Result<(), AccountError> {
        self.switches.allow_kind(&app.policy, kind).map_err(|closed| self.refusal(closed))
    }

    pub(super) fn allow_new_account(&self, app: &App) -> Result<(), AccountError> {
        self.switches.allow_new_account(&app.policy).map_err(|closed| self.refusal(closed))
    }

    /// `None` is an account that does not exist.
    pub(super) fn let_in(&self, account_id: Option<AccountId>) -> Result<(), AccountError> {
        self.switches.let_in(account_id).map_err(|closed| self.refusal(closed))
    }

    /// Whether it matters who it is.
    pub(super) fn is_in_maintenance(&self) -> bool {
        self.switches.maintenance.is_some()
    }

    /// What is told whoever has not proven to be on the list, whatever it was that could not be proven. Only what says
    /// nothing about an account, because it could not be found out, stays what it is.
    pub(super) fn unproven(&self, error: AccountError) -> AccountError {
        match &self.switches.maintenance {
            Some(maintenance) if error.public().http_status() < 500 => self.refusal(Closed::Maintenance(maintenance)),
            Some(_) | None => error,
        }
    }

    fn refusal(&self, closed: Closed<'_>) -> AccountError {
        match closed {
            Closed::Kind => AccountError::LoginKindDisabled,
            Closed::NewAccounts => AccountError::RegistrationClosed,
            Closed::Maintenance(Maintenance { message, until, .. }) => {
                AccountError::Maintenance { message: message.clone(), until: *until, now: self.now }
            }
        }
    }
}
