//! Which part of the platform a process is.

use clap::ValueEnum;

/// What `playgate serve` runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// The whole platform in one process, with RPC turned into function calls.
    #[default]
    All,
    /// The HTTP edge.
    Gateway,
    /// Identities, sessions and tokens.
    Account,
    /// Versioned settings.
    Setting,
    /// The wallet ledger.
    Pay,
}

impl Role {
    /// As it is written on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Role::All => "all",
            Role::Gateway => "gateway",
            Role::Account => "account",
            Role::Setting => "setting",
            Role::Pay => "pay",
        }
    }
}
