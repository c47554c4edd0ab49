//! Why a session ended before its time.
//!
//! The text is kept with the session. Its owner is told a reason out of this list and nothing else: what a game server or
//! an operator writes down may not be meant for the player.

/// A reason that the platform itself gives, as it is stored and told. Its text never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// The player signed this session out.
    Logout,
    /// The player signed out on every device.
    LogoutEverywhere,
    /// A refresh token came back after its grace.
    RefreshTokenReused,
    /// A later sign-in took the place.
    DeviceLimit,
    /// An operator signed the account out. Why, is in the audit.
    Operator,
    /// The player ended this session from another one.
    SignedOutElsewhere,
    /// The player asked for the account to be deleted, or it was.
    AccountDeletion,
    /// The player changed the password.
    PasswordChanged,
}

/// What the owner of a session is told whose reason is the game server's own text.
const GAME_SERVER: &str = "game_server";

impl EndReason {
    const ALL: [EndReason; 8] = [
        Self::Logout,
        Self::LogoutEverywhere,
        Self::RefreshTokenReused,
        Self::DeviceLimit,
        Self::Operator,
        Self::SignedOutElsewhere,
        Self::AccountDeletion,
        Self::PasswordChanged,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::LogoutEverywhere => "logout_everywhere",
            Self::RefreshTokenReused => "refresh_token_reused",
            Self::DeviceLimit => "device_limit",
            Self::Operator => "operator",
            Self::SignedOutElsewhere => "signed_out_elsewhere",
            Self::AccountDeletion => "account_deletion",
            Self::PasswordChanged => "password_changed",
        }
    }

    /// What is told of a reason that was stored.
    pub(crate) fn told(stored: &str) -> &'static str {
        Self::ALL.into_iter().map(Self::as_str).find(|known| *known == stored).unwrap_or(GAME_SERVER)
    }

    /// The player wanted it: asking for it again is no surprise.
    pub(crate) fn is_the_players_own(told: &str) -> bool {
        [Self::Logout, Self::LogoutEverywhere].into_iter().any(|own| own.as_str() == told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_player_is_told_a_reason_of_the_platform_and_never_somebodys_text() {
        for reason in EndReason::ALL {
            assert_eq!(EndReason::told(reason.as_str()), reason.as_str());
        }
        assert_eq!(EndReason::told("suspected of cheating, see ticket 7"), "game_server");
    }
}
