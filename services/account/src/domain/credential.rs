//! What a player signs in with, apart from the secret.

/// A kind of credential. Its text is stored and answered, so it never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CredentialKind {
    Password,
    Device,
    Phone,
    Channel,
}

impl CredentialKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Device => "device",
            Self::Phone => "phone",
            Self::Channel => "channel",
        }
    }
}

/// A name as its owner recognises it and nobody else can use it: the first and the last character.
pub(crate) fn masked(name: &str) -> String {
    let mut characters = name.chars();
    match (characters.next(), characters.next_back()) {
        (Some(first), Some(last)) => format!("{first}***{last}"),
        _ => "***".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_name_shows_its_ends_and_not_its_length() {
        for (name, shown) in [("ann", "a***n"), ("玩家一号", "玩***号"), ("x", "***"), ("", "***")] {
            assert_eq!(masked(name), shown);
        }
    }
}
