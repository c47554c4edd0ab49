//! What a role refuses although every key is valid by itself: a way to find the others that can't lead anywhere, and in
//! production whatever would be made up or kept on one machine because nobody chose it.

use account::PhoneSender;
use common::config::{Environment, Invalid, LoadError, Loaded, Provenance};

use super::{Configuration, master_key};
use crate::role::Role;

/// A key that somebody has to choose before real players come.
struct Requirement {
    key: &'static str,
    /// What may be chosen in its place.
    or: Option<&'static str>,
    /// The roles that use the key. The others may leave it out: a secret is best kept where it is needed.
    roles: &'static [Role],
    reason: &'static str,
}

const REQUIREMENTS: &[Requirement] = &[
    Requirement {
        key: "account.master_key",
        or: Some("account.master_key_file"),
        roles: &[Role::All, Role::Account],
        reason: "production needs a chosen key, here or in `account.master_key_file`: a generated one differs between replicas and is lost with its disk",
    },
    Requirement {
        key: "operator.admin_token",
        or: None,
        roles: &[Role::All, Role::Gateway],
        reason: "production needs a chosen token: a generated one is known to nobody but this machine",
    },
    Requirement {
        key: "sql.url",
        or: None,
        roles: &[Role::All, Role::Account, Role::Pay],
        reason: "production needs a chosen database: the embedded one lives and dies with one machine",
    },
];

/// Refuses a configuration that is valid by itself but not for `role` where it is to run.
pub(crate) fn check_for_role(loaded: &Loaded<Configuration>, role: Role) -> Result<(), LoadError> {
    check_discovery(&loaded.value, role)
        .and_then(|()| check_master_keys(&loaded.value, role))
        .and_then(|()| check_overlap(&loaded.value, role))
        .and_then(|()| match loaded.value.environment {
            Environment::Development => Ok(()),
            Environment::Production => {
                let checked = check_production(&loaded.provenance, role).and_then(|()| check_issuer(loaded, role));
                checked.and_then(|()| check_phone_codes(&loaded.value, role))
            }
        })
        .map_err(|invalid| loaded.provenance.complaint(invalid))
}

/// Refuses a configuration whose master key can't be used, for a command that uses it.
pub(crate) fn check_master_key(loaded: &Loaded<Configuration>) -> Result<(), LoadError> {
    let key = master_key::of_account(&loaded.value);
    key.map(drop).map_err(|invalid| loaded.provenance.complaint(invalid))
}

fn check_discovery(configuration: &Configuration, role: Role) -> Result<(), Invalid> {
    match configuration.discovery.kind_for(role == Role::All) {
        Ok(_) => Ok(()),
        Err(Invalid { key, reason }) => Err(Invalid::new(format!("discovery.{key}"), reason)),
    }
}

/// Files that hold a key are read by whom they are for: the others need not be able to.
fn check_master_keys(configuration: &Configuration, role: Role) -> Result<(), Invalid> {
    if matches!(role, Role::All | Role::Account) {
        master_key::of_account(configuration)?;
    }
    if matches!(role, Role::All | Role::Gateway) {
        master_key::of_fallback(configuration)?;
    }
    if matches!(role, Role::All | Role::Pay) {
        master_key::of_pay(configuration)?;
    }
    Ok(())
}

/// A revocation becomes visible when its transaction ends. One that took longer than the overlap would lie behind what every
/// follower has read already, and the token it revokes would stay good.
fn check_overlap(configuration: &Configuration, role: Role) -> Result<(), Invalid> {
    let follows = matches!(role, Role::All | Role::Account);
    if follows && configuration.account.follow.revocations_overlap <= configuration.sql.statement_timeout {
        return Err(Invalid::new(
            "account.follow.revocations_overlap",
            "must be longer than `sql.statement_timeout`, or a revocation that is slow to be written is never read",
        ));
    }
    Ok(())
}

fn check_production(provenance: &Provenance, role: Role) -> Result<(), Invalid> {
    let missing = REQUIREMENTS.iter().filter(|requirement| requirement.roles.contains(&role)).find(
        |Requirement { key, or, .. }| ![Some(*key), *or].into_iter().flatten().any(|key| provenance.is_chosen(key)),
    );
    match missing {
        Some(requirement) => Err(Invalid::new(requirement.key, requirement.reason)),
        None => Ok(()),
    }
}

/// A code that a log shows signs in whoever reads the log.
fn check_phone_codes(configuration: &Configuration, role: Role) -> Result<(), Invalid> {
    let logs_codes = configuration.account.phone.sender == Some(PhoneSender::Log);
    if logs_codes && matches!(role, Role::All | Role::Account) {
        return Err(Invalid::new(
            "account.phone.sender",
            "`log` shows phone codes to whoever reads the log: development only",
        ));
    }
    Ok(())
}

/// Verifiers compare the issuer letter by letter: one that nobody chose can't be changed any more once players have
/// tokens that say it.
fn check_issuer(loaded: &Loaded<Configuration>, role: Role) -> Result<(), Invalid> {
    const KEY: &str = "account.id_token.issuer";
    let issues = loaded.value.account.id_token.for_every_app && [Role::All, Role::Account].contains(&role);
    match issues && !loaded.provenance.is_chosen(KEY) {
        true => Err(Invalid::new(KEY, "production needs a chosen issuer: the URL under which the public knows it")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use clap::ValueEnum;
    use common::config::{ConfigFile, LoadOptions, Root, load};
    use serde::{Deserialize, Serialize};

    use super::*;

    /// The keys that production asks for, whatever else the real sections have.
    #[derive(Clone, Debug, Default, Serialize, Deserialize)]
    #[serde(default)]
    struct Keys {
        account: Account,
        operator: Operator,
        sql: Sql,
    }

    #[derive(Clone, Debug, Default, Serialize, Deserialize)]
    #[serde(default)]
    struct Account {
        master_key: Option<String>,
        master_key_file: Option<String>,
    }

    #[derive(Clone, Debug, Default, Serialize, Deserialize)]
    #[serde(default)]
    struct Operator {
        admin_token: Option<String>,
    }

    #[derive(Clone, Debug, Default, Serialize, Deserialize)]
    #[serde(default)]
    struct Sql {
        url: Option<String>,
    }

    impl Root for Keys {
        fn validate(&self) -> Result<(), Invalid> {
            Ok(())
        }
    }

    /// What production says when exactly `chosen` are set.
    fn production(chosen: &[&str], role: Role) -> Result<(), String> {
        let options = LoadOptions {
            file: ConfigFile::IfPresent("/nonexistent".into()),
            environment: Vec::new(),
            overrides: chosen.iter().map(|key| format!("{key}=x")).collect(),
        };
        let provenance = load::<Keys>(options).expect("valid").provenance;
        check_production(&provenance, role).map_err(|invalid| invalid.key)
    }

    #[test]
    fn a_role_that_is_missing_one_of_its_keys_is_refused_by_that_key() {
        for requirement in REQUIREMENTS {
            let others: Vec<_> =
                REQUIREMENTS.iter().map(|other| other.key).filter(|key| *key != requirement.key).collect();
            for role in Role::value_variants() {
                let expected = match requirement.roles.contains(role) {
                    true => Err(requirement.key.to_owned()),
                    false => Ok(()),
                };
                assert_eq!(production(&others, *role), expected, "{role:?} without {}", requirement.key);
            }
        }
    }

    #[test]
    fn a_role_with_all_its_keys_may_run_and_needs_none_of_the_others() {
        assert_eq!(production(&["operator.admin_token"], Role::Gateway), Ok(()));
        assert_eq!(production(&["account.master_key", "sql.url"], Role::Account), Ok(()));
        assert_eq!(production(&["account.master_key_file", "sql.url"], Role::Account), Ok(()));
        assert_eq!(production(&["sql.url"], Role::Pay), Ok(()));
        assert_eq!(production(&[], Role::Setting), Ok(()));
        assert_eq!(production(&["account.master_key", "operator.admin_token", "sql.url"], Role::All), Ok(()));
    }

    #[test]
    fn development_needs_nothing_and_production_says_which_key_and_why() {
        let check = |environment: &str| {
            let options = LoadOptions {
                file: ConfigFile::IfPresent("/nonexistent".into()),
                environment: Vec::new(),
                overrides: vec![format!("environment={environment}")],
            };
            let loaded = load::<Configuration>(options).expect("valid by itself");
            check_for_role(&loaded, Role::Gateway).map_err(|error| error.to_string())
        };
        assert_eq!(check("development"), Ok(()));
        let mut expected = String::new();
        write!(expected, "operator.admin_token: {} (from default)", REQUIREMENTS[1].reason).expect("a string");
        assert_eq!(check("production"), Err(expected));
    }

    #[test]
    fn what_holds_between_sections_is_checked_for_the_roles_it_concerns() {
        let check = |set: &str, role| {
            let options = LoadOptions {
                file: ConfigFile::IfPresent("/nonexistent".into()),
                environment: Vec::new(),
                overrides: vec![set.to_owned()],
            };
            let loaded = load::<Configuration>(options).expect("valid by itself");
            check_for_role(&loaded, role).map_err(|error| error.to_string())
        };
        let concerned = [
            ("sql.statement_timeout=15s", "account.follow.revocations_overlap", [Role::All, Role::Account], Role::Pay),
            ("account.master_key_file=/nonexistent", "account.master_key_file", [Role::All, Role::Account], Role::Pay),
            (
                "gateway.fallback.master_key_file=/nonexistent",
                "gateway.fallback.master_key_file",
                [Role::All, Role::Gateway],
                Role::Account,
            ),
        ];
        for (set, key, roles, other) in concerned {
            for role in roles {
                let refused = check(set, role).expect_err("refused");
                assert!(refused.starts_with(&format!("{key}: ")), "{refused}");
            }
            assert_eq!(check(set, other), Ok(()), "{set}");
        }
        assert_eq!(check("sql.statement_timeout=14s", Role::Account), Ok(()));
    }

    #[test]
    fn production_never_logs_phone_codes() {
        let check = |sender: &str, role| {
            let options = LoadOptions {
                file: ConfigFile::IfPresent("/nonexistent".into()),
                environment: Vec::new(),
                overrides: [
                    "environment=production",
                    "sql.url=mysql://db/playgate",
                    "operator.admin_token=t",
                    &format!("account.master_key={}", "ab".repeat(32)),
                    &format!("account.phone.sender={sender}"),
                ]
                .map(str::to_owned)
                .to_vec(),
            };
            let loaded = load::<Configuration>(options).expect("valid by itself");
            check_for_role(&loaded, role).map_err(|error| error.to_string())
        };
        assert_eq!(check("none", Role::Account), Ok(()));
        assert_eq!(check("log", Role::Gateway), Ok(()));
        for role in [Role::All, Role::Account] {
            let refused = check("log", role).expect_err("refused");
            assert!(refused.starts_with("account.phone.sender: "), "{refused}");
        }
    }

    #[test]
    fn production_gives_no_id_tokens_in_the_name_of_an_issuer_nobody_chose() {
        let check = |further: &[&str]| {
            let chosen = ["account.id_token.for_every_app=true"];
            let options = LoadOptions {
                file: ConfigFile::IfPresent("/nonexistent".into()),
                environment: Vec::new(),
                overrides: chosen.iter().chain(further).map(|key| (*key).to_owned()).collect(),
            };
            let loaded = load::<Configuration>(options).expect("valid by itself");
            [Role::All, Role::Account, Role::Gateway].map(|role| check_issuer(&loaded, role).is_ok())
        };
        assert_eq!(check(&[]), [false, false, true]);
        assert_eq!(check(&["account.id_token.issuer=https://login.example"]), [true; 3]);
        assert_eq!(check(&["account.id_token.for_every_app=false"]), [true; 3]);
    }

    #[test]
    fn the_required_keys_exist() {
        let defaults = serde_json::to_value(Configuration::default()).expect("serialisable");
        for Requirement { key, .. } in REQUIREMENTS {
            let (section, name) = key.split_once('.').expect("a key of a section");
            if let Some(section) = defaults.get(section) {
                assert!(section.get(name).is_some(), "{key}");
            }
        }
    }
}
