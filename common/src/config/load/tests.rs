//! What each layer does to the others, and every complaint.

use std::{fs, net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};

use super::*;
use crate::config::{Invalid, Secret, Section, validate_section};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Server {
    listen: SocketAddr,
    threads: std::num::NonZeroU16,
    routes: Vec<String>,
    quiet: bool,
    share: f64,
    #[serde(with = "humantime_serde")]
    timeout: Duration,
    #[serde(with = "humantime_serde")]
    pause: Option<Duration>,
    master_key: Option<Secret>,
    seed: Secret,
    edge: Edge,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Edge {
    body_limit: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Small,
    Large,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Whole {
    name: String,
    mode: Mode,
    server: Server,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 80)),
            threads: std::num::NonZeroU16::MIN,
            routes: Vec::new(),
            quiet: false,
            share: 0.5,
            timeout: Duration::from_secs(5),
            pause: None,
            master_key: None,
            seed: Secret::new("built in"),
            // Differs from the default of its own type: a partly set table must keep the rest of it.
            edge: Edge { body_limit: 1024 },
        }
    }
}

impl Section for Server {
    const NAME: &'static str = "server";

    fn validate(&self) -> Result<(), Invalid> {
        if self.edge.body_limit == 13 {
            return Err(Invalid::new("edge.body_limit", "13 brings bad luck"));
        }
        Ok(())
    }
}

impl Root for Whole {
    fn validate(&self) -> Result<(), Invalid> {
        validate_section(&self.server)
    }
}

/// A file with this text, these variables and these `--set`s.
fn loaded(file: &str, environment: &[(&str, &str)], overrides: &[&str]) -> Result<Loaded<Whole>, String> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("p.toml");
    fs::write(&path, file).expect("a file");
    load(LoadOptions {
        file: ConfigFile::Required(path.clone()),
        environment: environment.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        overrides: overrides.iter().map(|set| (*set).to_owned()).collect(),
    })
    .map_err(|error| error.to_string().replace(&path.display().to_string(), "FILE"))
}

#[test]
fn each_layer_wins_over_the_one_below_and_is_remembered_as_the_origin() {
    let file = "name = 'file'\n[server]\nthreads = 2\nquiet = true\ntimeout = '1s'";
    let environment = [("PLAYGATE__NAME", "environment"), ("PLAYGATE__SERVER__THREADS", "3"), ("HOME", "/x")];
    let whole = loaded(file, &environment, &["server.threads=4", "server.threads=5"]).expect("valid");
    assert_eq!(whole.value.name, "environment");
    assert_eq!(whole.value.server.threads.get(), 5);
    assert!(whole.value.server.quiet);
    assert_eq!(whole.provenance.of("name"), Origin::Environment("PLAYGATE__NAME".into()));
    assert_eq!(whole.provenance.of("server.threads"), Origin::CommandLine);
    assert!(matches!(whole.provenance.of("server.quiet"), Origin::File(_)));
    assert_eq!(whole.provenance.of("server.listen"), Origin::Default);
    assert!(whole.provenance.is_chosen("server.timeout") && !whole.provenance.is_chosen("server.edge.body_limit"));
}

#[test]
fn text_takes_the_type_of_its_field() {
    let environment = [
        ("PLAYGATE__MODE", "large"),
        ("PLAYGATE__SERVER__LISTEN", "[::1]:9"),
        ("PLAYGATE__SERVER__ROUTES", r#"["a", "b"]"#),
        ("PLAYGATE__SERVER__QUIET", "true"),
        ("PLAYGATE__SERVER__SHARE", "1"),
        ("PLAYGATE__SERVER__TIMEOUT", "250ms"),
        ("PLAYGATE__SERVER__PAUSE", "2m"),
        ("PLAYGATE__SERVER__EDGE__BODY_LIMIT", "1_000"),
    ];
    let whole = loaded("", &environment, &[]).expect("valid").value;
    assert_eq!(whole.mode, Mode::Large);
    let server = whole.server;
    assert_eq!(server.listen, "[::1]:9".parse::<SocketAddr>().expect("an address"));
    assert_eq!(server.routes, ["a", "b"]);
    assert!(server.quiet);
    assert_eq!(server.share, 1.0);
    assert_eq!((server.timeout, server.pause), (Duration::from_millis(250), Some(Duration::from_secs(120))));
    assert_eq!(server.edge.body_limit, 1000);
}

#[test]
fn text_for_a_text_field_stays_as_it_is() {
    let digits = "0123456789".repeat(7)[..64].to_owned();
    for text in [digits.as_str(), "true", "[1]", " spaced ", "\"quoted\"", ""] {
        let environment = [("PLAYGATE__NAME", text), ("PLAYGATE__SERVER__MASTER_KEY", text)];
        let whole = loaded("", &environment, &[]).expect("valid").value;
        assert_eq!(whole.name, text);
        assert_eq!(whole.server.master_key.expect("set").expose(), text);
    }
}

#[test]
fn a_default_inside_a_partly_set_table_and_the_default_of_a_secret_survive() {
    let server = loaded("[server]\nquiet = true", &[], &[]).expect("valid").value.server;
    assert_eq!(server.edge.body_limit, 1024);
    assert_eq!(server.seed.expose(), "built in");
}

#[test]
fn a_complaint_names_key_reason_and_origin_in_one_line() {
    let variable = |name: &'static str, value: &'static str| loaded("", &[(name, value)], &[]);
    for (outcome, expected) in [
        (
            loaded("[server]\nlisen = 'x'", &[], &[]),
            "server.lisen: there is no such key, did you mean `listen`? (from FILE)",
        ),
        (loaded("colour = 1", &[], &[]), "colour: there is no such key (from FILE)"),
        (
            loaded("[server]\ntimeout = 5", &[], &[]),
            "server.timeout: expected a duration, found a whole number (from FILE)",
        ),
        (loaded("[server]\nthreads = '2'", &[], &[]), "server.threads: expected a nonzero u16, found text (from FILE)"),
        (
            loaded("[server]\nthreads = 70000", &[], &[]),
            "server.threads: expected a nonzero u16, found integer `70000` (from FILE)",
        ),
        (loaded("mode = 'huge'", &[], &[]), "mode: expected one of: small, large (from FILE)"),
        (loaded("server = 1", &[], &[]), "server: this is a table: set its keys one by one (from FILE)"),
        (
            loaded("[server]\nroutes = ['a', 1]", &[], &[]),
            "server.routes[1]: expected a string, found a whole number (from FILE)",
        ),
        (
            loaded("[server]\nseed = '<redacted>'", &[], &[]),
            "server.seed: this is the redaction of a secret, not the secret (from FILE)",
        ),
        (loaded("a = 1\nb = = 2", &[], &[]), "FILE, line 2: extra `=`, expected nothing"),
        (
            variable("PLAYGATE__SERVER__LISTEN", "nowhere"),
            "server.listen: invalid socket address syntax (from environment variable PLAYGATE__SERVER__LISTEN)",
        ),
        (
            variable("PLAYGATE__SERVER__LISEN", "x"),
            "server.lisen: there is no such key, did you mean `listen`? (from environment variable PLAYGATE__SERVER__LISEN)",
        ),
        (
            variable("PLAYGATE__SERVER__THREADS", "many"),
            "server.threads: expected a nonzero u16, found text (from environment variable PLAYGATE__SERVER__THREADS)",
        ),
        (
            variable("PLAYGATE__SERVER", "x"),
            "server: this is a table: set its keys one by one (from environment variable PLAYGATE__SERVER)",
        ),
        (
            variable("PLAYGATE__SERVER__", "x"),
            "server.: a part of the key is empty (from environment variable PLAYGATE__SERVER__)",
        ),
        (
            loaded("", &[], &["server.edge.body_limit=13"]),
            "server.edge.body_limit: 13 brings bad luck (from command line)",
        ),
        (loaded("", &[], &["server.quiet"]), "--set: write it as key=value (from command line)"),
    ] {
        assert_eq!(outcome.map(|_| ()).expect_err(expected), expected);
    }
}

#[test]
fn a_complaint_never_shows_a_value_that_could_be_a_secret() {
    for outcome in [
        loaded("[server]\nmaster_key = 31415926", &[], &[]),
        loaded("[server]\nmaster_key = ['hunter2']", &[], &[]),
        loaded("[server]\nmaster_key = hunter2", &[], &[]),
        loaded("", &[("PLAYGATE__SERVER__THREADS", "hunter2")], &[]),
        loaded("", &[("PLAYGATE__SERVER__ROUTES", "[hunter2")], &[]),
    ] {
        let complaint = outcome.map(|_| ()).expect_err("refused");
        assert!(!complaint.contains("hunter2") && !complaint.contains("31415926"), "{complaint}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
    }
}

#[test]
fn a_named_file_has_to_exist_and_the_usual_one_does_not() {
    let path = PathBuf::from("/nonexistent/playgate.toml");
    let named = LoadOptions { file: ConfigFile::Required(path.clone()), ..LoadOptions::default() };
    let refusal = load::<Whole>(named).map(|_| ()).expect_err("it is not there").to_string();
    assert!(refusal.starts_with("/nonexistent/playgate.toml: "), "{refusal}");
    load::<Whole>(LoadOptions { file: ConfigFile::IfPresent(path), ..LoadOptions::default() }).expect("defaults");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf8_is_refused_only_if_it_is_ours() {
    use std::os::unix::ffi::OsStringExt;

    let bytes = || OsString::from_vec(vec![0xff]);
    let with = |name: OsString| {
        let options = LoadOptions {
            file: ConfigFile::IfPresent("/nonexistent".into()),
            environment: vec![(name, bytes())],
            overrides: Vec::new(),
        };
        load::<Whole>(options).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(with("OTHER".into()), Ok(()));
    assert_eq!(with(bytes()), Ok(()));
    let refusal = with("PLAYGATE__NAME".into()).expect_err("ours");
    assert_eq!(refusal, "name: the value is not UTF-8 (from environment variable PLAYGATE__NAME)");
}

#[test]
fn the_print_redacts_secrets_says_where_values_came_from_and_is_toml() {
    let file = "[server]\nmaster_key = 'hunter2'\nroutes = ['a b']";
    let whole = loaded(file, &[("PLAYGATE__NAME", "a\"b")], &["server.quiet=true"]).expect("valid");
    let printed = whole.to_toml();
    let origin = whole.provenance.of("server.routes");
    for line in [
        "name = 'a\"b'  # from environment variable PLAYGATE__NAME",
        "mode = \"small\"  # from default",
        "[server]",
        "quiet = true  # from command line",
        "# pause is not set",
        &format!("routes = [\"a b\"]  # from {origin}"),
        &format!("master_key = \"<redacted>\"  # from {origin}"),
        "[server.edge]",
        "body_limit = 1024  # from default",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line}\nis not in\n{printed}");
    }
    assert!(!printed.contains("hunter2") && !printed.contains("built in"), "{printed}");
    let table: toml::Table = printed.parse().expect("valid TOML");
    assert_eq!(table["server"]["edge"]["body_limit"].as_integer(), Some(1024));
}

#[test]
fn nothing_that_can_be_printed_for_debugging_holds_a_secret() {
    let whole = loaded("[server]\nmaster_key = 'hunter2'", &[], &[]).expect("valid");
    let options = LoadOptions {
        environment: vec![("PLAYGATE__SERVER__MASTER_KEY".into(), "hunter2".into())],
        overrides: vec!["server.master_key=hunter2".into()],
        ..LoadOptions::default()
    };
    let printed = format!("{whole:?} {options:?}");
    assert!(!printed.contains("hunter2") && !printed.contains("built in"), "{printed}");
}
