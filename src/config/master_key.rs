//! The master key as it is configured: the digits themselves, or a file that holds them.

use std::{fs::File, io::Read, path::Path};

use account::MasterKey;
use common::config::{Invalid, Secret};
use zeroize::Zeroizing;

use super::Configuration;

/// More than the digits and white space around them need. Protects from a path that leads to something else.
const LARGEST_FILE: u64 = 1024;

/// Account's key; `None` when nobody chose one.
pub(crate) fn of_account(configuration: &Configuration) -> Result<Option<MasterKey>, Invalid> {
    let account = &configuration.account;
    read("account.master_key", account.master_key.as_ref(), account.master_key_file.as_deref())
}

/// What pay seals the secrets of payment channels under; `None` when nobody chose one.
pub(crate) fn of_pay(configuration: &Configuration) -> Result<Option<MasterKey>, Invalid> {
    let pay = &configuration.pay;
    read("pay.master_key", pay.master_key.as_ref(), pay.master_key_file.as_deref())
}

/// What opens a gateway's copy of the key ring; `None` when it is given nothing for that.
pub(crate) fn of_fallback(configuration: &Configuration) -> Result<Option<MasterKey>, Invalid> {
    let fallback = &configuration.gateway.fallback;
    read("gateway.fallback.master_key", fallback.master_key.as_ref(), fallback.master_key_file.as_deref())
}

/// The key in a file that an argument names.
pub(crate) fn key_in(file: &Path) -> Result<MasterKey, Invalid> {
    let key = read("new_key", None, Some(file))?;
    key.ok_or_else(|| Invalid::new("new_key_file", "is not named"))
}

fn read(key: &str, digits: Option<&Secret>, file: Option<&Path>) -> Result<Option<MasterKey>, Invalid> {
    const EXPECTED: &str = "64 hexadecimal digits";
    if digits.is_some() && file.is_some() {
        return Err(Invalid::new(format!("{key}_file"), format!("is set beside `{key}`: set one of the two")));
    }
    if let Some(digits) = digits {
        let parsed = MasterKey::parse(digits.expose());
        return parsed.map(Some).map_err(|_| Invalid::new(key, format!("must be {EXPECTED}")));
    }
    let Some(path) = file else { return Ok(None) };
    let refuse = |reason| Invalid::new(format!("{key}_file"), format!("the file {}{reason}", path.display()));
    let mut text = Zeroizing::new(String::new());
    File::open(path)
        .and_then(|file| file.take(LARGEST_FILE).read_to_string(&mut text))
        .map_err(|error| refuse(format!(" can't be read: {error}")))?;
    MasterKey::parse(&text).map(Some).map_err(|_| refuse(format!(" must hold {EXPECTED} and nothing else")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(file: &Path) -> Configuration {
        let mut configuration = Configuration::default();
        configuration.account.master_key_file = Some(file.to_owned());
        configuration.gateway.fallback.master_key_file = Some(file.to_owned());
        configuration
    }

    #[test]
    fn a_file_with_the_digits_is_as_good_as_the_digits() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("master-key");
        std::fs::write(&file, format!("\n {}\r\n", "ab".repeat(32))).expect("written");
        let mut by_digits = Configuration::default();
        by_digits.account.master_key = Some(Secret::new("ab".repeat(32)));
        let expected = of_account(&by_digits).expect("valid").expect("chosen").reveal();
        let configuration = configured(&file);
        for key in [of_account(&configuration), of_fallback(&configuration)] {
            assert_eq!(key.expect("readable").expect("chosen").reveal(), expected);
        }
        assert!(of_account(&Configuration::default()).expect("valid").is_none());
    }

    #[test]
    fn of_digits_and_a_file_one_can_be_chosen() {
        let mut configuration = configured(Path::new("/nonexistent"));
        configuration.account.master_key = Some(Secret::new("ab".repeat(32)));
        configuration.gateway.fallback.master_key = Some(Secret::new("ab".repeat(32)));
        for (key, expected) in [
            (of_account(&configuration), "account.master_key_file"),
            (of_fallback(&configuration), "gateway.fallback.master_key_file"),
        ] {
            assert_eq!(key.map(drop).map_err(|invalid| invalid.key), Err(expected.to_owned()));
        }
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_by_its_own_key_and_never_shown() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("master-key");
        let refused = |path: &Path| {
            let configuration = configured(path);
            let [account, fallback] = [of_account(&configuration), of_fallback(&configuration)]
                .map(|key| key.map(drop).expect_err("refused"));
            assert_eq!(
                (account.key.as_str(), fallback.key.as_str()),
                ("account.master_key_file", "gateway.fallback.master_key_file")
            );
            account.reason
        };
        assert!(refused(&file).contains("can't be read"));
        assert!(refused(directory.path()).contains("can't be read"));
        for content in ["", "not-a-key", &"ab".repeat(31), &"ab".repeat(100_000)] {
            std::fs::write(&file, content).expect("written");
            let reason = refused(&file);
            assert!(reason.contains("64 hexadecimal digits") && !reason.contains("not-a-key"), "{reason}");
        }
    }
}
