//! What may not be chosen as a password although it is long enough: what is guessed first.

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::{SHORTEST_CHARACTERS, common, wiped_buffer};
use crate::domain::username;

/// A name below this length is in too many passwords by chance.
const SHORTEST_NAME: usize = 3;

/// A group of up to this many characters, repeated, is as easily guessed as the group.
const LONGEST_REPEATED: usize = 4;

/// Nobody guesses how often something is repeated beyond this many characters.
const LONGEST_GUESSED: usize = 32;

/// What everybody who attacks one account knows about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'a> {
    /// Of the account.
    pub(crate) username: &'a str,
    /// The game.
    pub(crate) app_name: &'a str,
}

/// Takes a password after NFKC. The refusal is the reason, which never repeats the password.
pub(super) fn check(password: &str, surroundings: Surroundings<'_>) -> Result<(), &'static str> {
    if common::is_common(password) {
        return Err("one of the most common passwords");
    }
    let length = password.chars().count();
    if length <= LONGEST_GUESSED && (is_run(password) || is_repetition(password)) {
        return Err("repeats or counts through a few characters");
    }
    let folded = folded_without_spaces(password);
    if is_made_of(&folded, surroundings.username) {
        return Err("made of the username");
    }
    if is_made_of(&folded, surroundings.app_name) {
        return Err("made of the game's name");
    }
    Ok(())
}

/// `aaaaaaaa`, `abcdefgh`, `87654321`: every character is as far from the one before, by at most one.
fn is_run(password: &str) -> bool {
    let step = |(one, other): (char, char)| i64::from(u32::from(other)) - i64::from(u32::from(one));
    let mut steps = password.chars().zip(password.chars().skip(1)).map(step);
    let first = steps.next().unwrap_or(0);
    first.abs() <= 1 && steps.all(|step| step == first)
}

/// `abcabcabc`, `12121212`; the last repetition may be cut short.
fn is_repetition(password: &str) -> bool {
    (2..=LONGEST_REPEATED).any(|length| {
        let mut pairs = password.chars().zip(password.chars().skip(length));
        password.chars().count() >= 2 * length && pairs.all(|(one, other)| one == other)
    })
}

/// Is there too little left of the password without the name, forwards or backwards, to be a password by itself?
fn is_made_of(folded_password: &str, name: &str) -> bool {
    let name = folded_without_spaces(name);
    if name.chars().count() < SHORTEST_NAME {
        return false;
    }
    let backwards: Zeroizing<String> = Zeroizing::new(name.chars().rev().collect());
    [&name, &backwards].into_iter().any(|name| {
        let left: usize = folded_password.split(name.as_str()).map(|piece| piece.chars().count()).sum();
        folded_password.contains(name.as_str()) && left < SHORTEST_CHARACTERS
    })
}

/// As usernames are compared, and without spaces, so that "My Game" is found in `mygame2026`.
fn folded_without_spaces(text: &str) -> Zeroizing<String> {
    let mut folded = wiped_buffer(text.len());
    folded.extend(username::folded(text.nfkc()).filter(|c| !c.is_whitespace()));
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Surroundings<'_> = Surroundings { username: "Ann_Bee", app_name: "Star Game" };

    fn refused(password: &str) -> Option<&'static str> {
        check(password, ANN).err()
    }

    #[test]
    fn common_passwords_are_refused_as_such() {
        for common in
            ["password", "Password1!", "QWERTYUIOP", "12345678", "1q2w3e4r", "iloveyou", "5201314a", "woaini1314"]
        {
            assert!(refused(common).is_some(), "{common}");
        }
        assert_eq!(refused("Passw0rd"), Some("one of the most common passwords"));
    }

    #[test]
    fn runs_and_repetitions_of_a_length_that_is_guessed_are_refused() {
        for simple in [
            "zzzzzzzzzz",
            "mnopqrstuv",
            "zyxwvuts",
            "3456789:",
            "xy3xy3xy3",
            "9a9a9a9a9",
            "!!!!!!!!",
            "玩家玩家玩家玩家",
        ] {
            assert_eq!(refused(simple), Some("repeats or counts through a few characters"), "{simple}");
        }
        assert!(refused(&"z".repeat(32)).is_some());
        for fine in ["zzzzzzzzzy", "abcdefgi5", "horsehorse", "xy3xy4xy5", &"z".repeat(33)] {
            assert_eq!(refused(fine), None, "{fine}");
        }
    }

    #[test]
    fn the_username_and_the_game_are_refused_with_whatever_little_is_around_them() {
        for own in
            ["ann_bee1", "ANN_BEE-2026", "!!ann_bee!!", "ａｎｎ_ｂｅｅ99", "eeb_nna7", "ann_beeann_bee", "ann _bee 12"]
        {
            assert_eq!(refused(own), Some("made of the username"), "{own}");
        }
        for game in ["stargame", "Star Game 26", "STARGAME1234567", "emagrats", "star gamestargame!"] {
            assert_eq!(refused(game), Some("made of the game's name"), "{game}");
        }
        for fine in ["ann_bee likes horses", "a stargame of the north", "ann bee 77"] {
            assert_eq!(refused(fine), None, "{fine}");
        }
    }

    #[test]
    fn a_name_of_two_characters_is_no_reason() {
        let short = Surroundings { username: "xy", app_name: "原神" };
        assert_eq!(check("xylophon", short), Ok(()));
        assert_eq!(check("原神-galaxy", short), Ok(()));
    }
}
