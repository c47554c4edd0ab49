//! The rules of `docs/ARCHITECTURE.md` that the compiler does not know, held by reading the checkout.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use xtask::workspace;

/// Services never import each other or the gateway; the gateway imports only the contract and what all roles share.
/// Crate → the crates of this workspace it may depend on. The root package may depend on all of them, and the tests of
/// every crate may start servers with `xtask`.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("idl", &[]),
    ("common", &["idl", "govern"]),
    ("common/govern", &[]),
    ("gateway", &["idl", "common", "ingest"]),
    // Knows neither HTTP nor RPC: what it stores comes to it parsed.
    ("gateway/ingest", &["common"]),
    // Reads segments as any tool does; the store does not know who ships.
    ("gateway/ingest/shipper", &["common", "ingest"]),
    ("services/account", &["idl", "common"]),
    ("services/setting", &["idl", "common"]),
    ("services/pay", &["idl", "common"]),
    // It loads the product from outside, as a client does, and only its wire contract is shared.
    ("bench", &["idl", "xtask"]),
    ("xtask", &[]),
];

/// `domain/` is decisions on values: nothing there reaches for a runtime, a wire or a store. Neither does what services
/// and gateways share of it.
const FORBIDDEN_IN_DOMAIN: &[&str] =
    &["tokio", "volo", "volo_http", "volo_thrift", "motore", "sqlx", "redis", "http", "hyper", "reqwest"];

/// The rules that account and gateways both judge tokens by, and those that keep a process standing in a flood.
const SHARED_DOMAINS: &[&str] = &["common/src/token", "common/govern/src"];

/// The feature with which a program can be told where to die (`common/src/crash_point.rs`).
const CRASH_POINTS: &str = "crash-points";

/// The longest `src/main.rs` that can still be taken in at a glance.
const MAIN_LINES: usize = 40;

/// Where a name says nothing, anything is put.
const DRAWERS: &[&str] = &["util", "utils", "helper", "helpers", "misc", "stuff"];

/// Left over from editors and merges, key material, databases, archives: never part of a checkout.
const FOREIGN_EXTENSIONS: &[&str] = &[
    "orig", "rej", "bak", "tmp", "swp", "log", "pem", "key", "p12", "db", "sqlite", "sqlite3", "zip", "gz", "tgz",
    "exe", "so", "o", "pyc",
];

/// Not part of the checkout: what is built, what a local run leaves behind, and git's own.
const NOT_OURS: &[&str] = &["target", "data", ".git"];

/// Checks every invariant and reports all that are broken.
pub(crate) fn check() -> Result<()> {
    let root = workspace::root();
    let files = files_below(&root)?;
    let mut broken = Vec::new();
    for (member, allowed) in MAY_DEPEND_ON {
        let manifest = fs::read_to_string(root.join(member).join("Cargo.toml"))?;
        broken.extend(
            forbidden_dependencies(member, &manifest, allowed).with_context(|| format!("{member}/Cargo.toml"))?,
        );
        broken.extend(shipped_crash_points(member, &manifest)?);
    }
    let workspace = fs::read_to_string(root.join("Cargo.toml"))?;
    broken.extend(unlisted_members(&workspace)?);
    broken.extend(shipped_crash_points("the root", &workspace)?);
    let main = fs::read_to_string(root.join("src/main.rs"))?.lines().count();
    if main > MAIN_LINES {
        broken.push(format!("src/main.rs has {main} lines, more than {MAIN_LINES}"));
    }
    for file in &files {
        let shown = file.strip_prefix(&root).unwrap_or(file);
        broken.extend(forbidden_name(shown));
        if is_domain(shown) {
            broken.extend(forbidden_imports(shown, &fs::read_to_string(file)?));
        }
    }
    if !broken.is_empty() {
        bail!("{} broken:\n  {}", broken.len(), broken.join("\n  "));
    }
    Ok(())
}

fn forbidden_dependencies(member: &str, manifest: &str, allowed: &[&str]) -> Result<Vec<String>> {
    let manifest: toml::Table = manifest.parse()?;
    let tables = ["dependencies", "build-dependencies", "dev-dependencies"];
    let named = tables.into_iter().flat_map(|table| {
        let names = manifest.get(table).and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys);
        names.map(move |name| (table, name))
    });
    Ok(named
        .filter(|(table, name)| !(*table == "dev-dependencies" && *name == "xtask"))
        .map(|(_, name)| name)
        .filter(|name| is_ours(name) && !allowed.contains(&name.as_str()))
        .filter(|name| !is_own_name(member, name))
        .map(|name| format!("{member} depends on {name}; it may depend on {allowed:?}"))
        .collect())
}

/// Whether anything but tests asks for crash points: what is shipped must have none.
fn shipped_crash_points(member: &str, manifest: &str) -> Result<Option<String>> {
    let mut manifest: toml::Table = manifest.parse()?;
    manifest.remove("dev-dependencies");
    if let Some(features) = manifest.get_mut("features").and_then(toml::Value::as_table_mut) {
        features.remove(CRASH_POINTS);
    }
    let asked_for = format!("{manifest:?}").contains(CRASH_POINTS);
    Ok(asked_for.then(|| format!("{member} asks for `{CRASH_POINTS}` outside its dev-dependencies")))
}

fn is_ours(dependency: &str) -> bool {
    dependency == "playgate" || MAY_DEPEND_ON.iter().any(|(member, _)| is_own_name(member, dependency))
}

fn is_own_name(member: &str, name: &str) -> bool {
    Path::new(member).file_name().is_some_and(|last| last == name)
}

/// A new crate has to say here what it may depend on.
fn unlisted_members(manifest: &str) -> Result<Vec<String>> {
    let manifest: toml::Table = manifest.parse()?;
    let members = manifest["workspace"].get("members").and_then(toml::Value::as_array).context("workspace.members")?;
    Ok(members
        .iter()
        .filter_map(toml::Value::as_str)
        .filter(|member| !MAY_DEPEND_ON.iter().any(|(listed, _)| listed == member))
        .map(|member| format!("{member} is not listed in xtask/src/invariants.rs"))
        .collect())
}

fn is_domain(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "rs")
        && (file.components().any(|part| part.as_os_str() == "domain")
            || file.ends_with("domain.rs")
            || SHARED_DOMAINS.iter().any(|domain| file.starts_with(domain)))
}

fn forbidden_imports(file: &Path, source: &str) -> Vec<String> {
    let code = source.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.flat_map(|(index, line)| {
        let found = FORBIDDEN_IN_DOMAIN.iter().filter(move |name| imports(line, name));
        found.map(move |name| format!("{}:{}: a domain module reaches for {name}", file.display(), index + 1))
    })
    .collect()
}

/// Whether a line of code names `krate` as a crate: as the first part of a path, or whole in a `use`.
fn imports(line: &str, krate: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(krate).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + krate.len()..]);
        let begins_a_path = !before.ends_with(is_word)
            && (!before.ends_with("::") || before.ends_with(" ::") || before.trim_start() == "::");
        let imported_whole = before.trim_end().ends_with("use") && after.starts_with([';', ' ']);
        begins_a_path && (after.starts_with("::") || imported_whole)
    })
}

fn forbidden_name(file: &Path) -> Option<String> {
    let lower = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().to_lowercase());
    let (stem, extension) = (lower(file.file_stem())?, lower(file.extension()).unwrap_or_default());
    let parent = lower(file.parent().and_then(Path::file_name)).unwrap_or_default();
    let reason = if FOREIGN_EXTENSIONS.contains(&extension.as_str()) || stem.ends_with('~') {
        "a file of this kind does not belong into the checkout"
    } else if extension == "rs" && (DRAWERS.contains(&stem.as_str()) || DRAWERS.contains(&parent.as_str())) {
        "the name says nothing about what lives there"
    } else if stem == ".env" || stem.starts_with("id_rsa") || stem.starts_with("id_ed25519") {
        "secrets do not belong into the checkout"
    } else {
        return None;
    };
    Some(format!("{}: {reason}", file.display()))
}

fn files_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if NOT_OURS.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            files.extend(files_below(&entry.path())?);
        } else {
            files.push(entry.path());
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_checkout_keeps_every_invariant() {
        check().unwrap();
    }

    #[test]
    fn a_service_that_depends_on_another_is_refused() {
        let manifest = "[dependencies]\ncommon.workspace = true\nserde = \"1\"\npay = { path = \"../pay\" }";
        let broken = forbidden_dependencies("services/account", manifest, &["idl", "common"]).unwrap();
        assert_eq!(broken, [r#"services/account depends on pay; it may depend on ["idl", "common"]"#]);
    }

    #[test]
    fn a_dependency_hidden_among_the_test_dependencies_is_refused_too() {
        let manifest = "[dev-dependencies]\naccount.workspace = true";
        assert_eq!(forbidden_dependencies("gateway", manifest, &["idl", "common"]).unwrap().len(), 1);
    }

    #[test]
    fn servers_of_tests_are_for_tests_only() {
        let check = |table| forbidden_dependencies("common", &format!("[{table}]\nxtask.workspace = true"), &["idl"]);
        assert!(check("dev-dependencies").unwrap().is_empty());
        assert_eq!(check("dependencies").unwrap().len(), 1);
    }

    #[test]
    fn crash_points_are_for_tests_only() {
        let check = |manifest| shipped_crash_points("common", manifest).unwrap();
        assert_eq!(
            check("[features]\ncrash-points = []\n[dev-dependencies]\nx = { features = [\"crash-points\"] }"),
            None
        );
        for shipped in [
            "[dependencies]\ncommon = { workspace = true, features = [\"crash-points\"] }",
            "[workspace.dependencies]\ncommon = { path = \"common\", features = [\"crash-points\"] }",
            "[features]\ndefault = [\"crash-points\"]\ncrash-points = []",
            "[features]\nmore = [\"common/crash-points\"]",
        ] {
            assert!(check(shipped).is_some(), "{shipped}");
        }
    }

    #[test]
    fn a_service_may_name_itself_among_its_test_dependencies() {
        let manifest = "[dev-dependencies]\naccount = { path = \".\", features = [\"testing\"] }";
        assert!(forbidden_dependencies("services/account", manifest, &["idl", "common"]).unwrap().is_empty());
    }

    #[test]
    fn a_crate_nobody_listed_is_refused() {
        let manifest = "[workspace]\nmembers = [\"idl\", \"services/mail\"]";
        assert_eq!(unlisted_members(manifest).unwrap(), ["services/mail is not listed in xtask/src/invariants.rs"]);
    }

    #[test]
    fn a_domain_module_that_reaches_for_a_store_or_a_runtime_is_refused() {
        let file = Path::new("services/pay/src/domain/ledger.rs");
        assert!(is_domain(file) && is_domain(Path::new("common/src/token/verdict.rs")));
        for line in
            ["use sqlx::Row;", "let x = tokio::time::sleep(d);", "use http;", "use ::volo::FastStr;", "use volo as v;"]
        {
            assert_eq!(forbidden_imports(file, line).len(), 1, "{line}");
        }
        for line in ["//! Never sqlx::Row here.", "use crate::domain::http::X;", "use xhttp::Y;", "let http = 1;"] {
            assert!(forbidden_imports(file, line).is_empty(), "{line}");
        }
    }

    #[test]
    fn drawers_left_overs_and_secrets_are_refused_by_name() {
        for name in ["common/src/utils.rs", "common/src/helpers/mod.rs", "a.orig", "deploy/tls.key", ".env", "x.db"] {
            assert!(forbidden_name(Path::new(name)).is_some(), "{name}");
        }
        for name in ["common/src/clock.rs", "README.md", "Cargo.lock", ".gitignore", "deploy/docker/Dockerfile"] {
            assert!(forbidden_name(Path::new(name)).is_none(), "{name}");
        }
    }
}
