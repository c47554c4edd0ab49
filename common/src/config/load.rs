//! Reads the layers, merges them, and turns the result into the root struct.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use figment::{
    Figment, Profile, Provider,
    value::{Dict, Value},
};

use super::{
    error::LoadError,
    layer::Layer,
    origin::{Origin, Provenance},
    print,
    root::Root,
    value::Node,
};

/// The file that is read from the working directory when none is named.
pub const DEFAULT_FILE: &str = "playgate.toml";

/// Which file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigFile {
    /// Somebody named it: it has to be there.
    Required(PathBuf),
    /// The usual place: read if it is there.
    IfPresent(PathBuf),
}

impl Default for ConfigFile {
    fn default() -> Self {
        ConfigFile::IfPresent(PathBuf::from(DEFAULT_FILE))
    }
}

/// The layers above the defaults, lowest first.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The configuration file.
    pub file: ConfigFile,
    /// The environment: `std::env::vars_os()` in a process. Only names that start with `PLAYGATE__` count.
    pub environment: Vec<(OsString, OsString)>,
    /// `section.key=value` from the command line; later ones win.
    pub overrides: Vec<String>,
}

/// A configuration that passed every check, and where its values came from.
#[derive(Clone, Debug)]
pub struct Loaded<R> {
    /// The effective values.
    pub value: R,
    /// Where each came from.
    pub provenance: Provenance,
}

impl<R: Root> Loaded<R> {
    /// The effective configuration as TOML: secrets redacted, each value with its origin in a comment.
    pub fn to_toml(&self) -> String {
        print::to_toml(&self.value, &self.provenance)
    }
}

/// Merges defaults < file < environment < command line into `R` and validates it.
///
/// # Errors
/// The first problem found, as one line that names key, reason and origin.
pub fn load<R: Root>(options: LoadOptions) -> Result<Loaded<R>, LoadError> {
    let provenance = merge(Layer::defaults(&R::default())?, options)?;
    let root = Node { value: provenance.merged(), provenance: &provenance };
    let value = R::deserialize(root).map_err(|mismatch| LoadError::Key {
        key: mismatch.key(),
        origin: mismatch.tag.map_or(Origin::Default, |tag| provenance.of_tag(tag)),
        reason: mismatch.reason,
    })?;
    value.validate(&provenance).map_err(|invalid| LoadError::Key {
        origin: provenance.of(&invalid.key),
        key: invalid.key,
        reason: invalid.reason,
    })?;
    Ok(Loaded { value, provenance })
}

fn merge(defaults: Layer, options: LoadOptions) -> Result<Provenance, LoadError> {
    let known: Dict = defaults.values().clone();
    let mut layers = Figment::new().merge(defaults);
    if let Some(file) = read(&options.file)? {
        layers = layers.merge(file);
    }
    let mut environment = options.environment;
    // The order of an environment is arbitrary; sorted, the same environment gives the same complaint.
    environment.sort();
    for (name, value) in environment {
        if let Some(layer) = Layer::variable(&name, value) {
            layers = layers.merge(layer?.hides_no_table_of(&known)?);
        }
    }
    for assignment in &options.overrides {
        layers = layers.merge(Layer::assignment(assignment)?.hides_no_table_of(&known)?);
    }
    // Our layers can't fail to give their data, and all of them give it for figment's default profile.
    let merged = layers.data().ok().and_then(|mut data| data.remove(&Profile::Default)).unwrap_or_default();
    Ok(Provenance::new(layers, Value::from(merged)))
}

fn read(file: &ConfigFile) -> Result<Option<Layer>, LoadError> {
    let missing = |path: &Path| LoadError::Unreadable { path: path.to_owned(), cause: io::ErrorKind::NotFound.into() };
    match file {
        ConfigFile::Required(path) => Layer::file(path)?.ok_or_else(|| missing(path)).map(Some),
        ConfigFile::IfPresent(path) => Layer::file(path),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, net::SocketAddr, time::Duration};

    use serde::{Deserialize, Serialize};

    use super::{
        super::{Invalid, Secret, Section, validate_section},
        *,
    };

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
        fn validate(&self, _: &Provenance) -> Result<(), Invalid> {
            validate_section(&self.server)
        }
    }

    /// A file with this text, these variables and these `--set`s.
    fn layers(file: &str, environment: &[(&str, &str)], overrides: &[&str]) -> Result<Loaded<Whole>, String> {
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
        let loaded = layers(file, &environment, &["server.threads=4", "server.threads=5"]).expect("valid");
        assert_eq!(loaded.value.name, "environment");
        assert_eq!(loaded.value.server.threads.get(), 5);
        assert!(loaded.value.server.quiet);
        assert_eq!(loaded.provenance.of("name"), Origin::Environment("PLAYGATE__NAME".into()));
        assert_eq!(loaded.provenance.of("server.threads"), Origin::CommandLine);
        assert!(matches!(loaded.provenance.of("server.quiet"), Origin::File(_)));
        assert_eq!(loaded.provenance.of("server.listen"), Origin::Default);
        assert!(
            loaded.provenance.is_chosen("server.timeout") && !loaded.provenance.is_chosen("server.edge.body_limit")
        );
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
        let whole = layers("", &environment, &[]).expect("valid").value;
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
            let whole = layers("", &environment, &[]).expect("valid").value;
            assert_eq!(whole.name, text);
            assert_eq!(whole.server.master_key.expect("set").expose(), text);
        }
    }

    #[test]
    fn a_default_inside_a_partly_set_table_and_the_default_of_a_secret_survive() {
        let server = layers("[server]\nquiet = true", &[], &[]).expect("valid").value.server;
        assert_eq!(server.edge.body_limit, 1024);
        assert_eq!(server.seed.expose(), "built in");
    }

    #[test]
    fn a_complaint_names_key_reason_and_origin_in_one_line() {
        let variable = |name: &'static str, value: &'static str| layers("", &[(name, value)], &[]);
        for (outcome, expected) in [
            (
                layers("[server]\nlisen = 'x'", &[], &[]),
                "server.lisen: there is no such key, did you mean `listen`? (from FILE)",
            ),
            (layers("colour = 1", &[], &[]), "colour: there is no such key (from FILE)"),
            (
                layers("[server]\ntimeout = 5", &[], &[]),
                "server.timeout: expected a duration, found a whole number (from FILE)",
            ),
            (
                layers("[server]\nthreads = '2'", &[], &[]),
                "server.threads: expected a nonzero u16, found text (from FILE)",
            ),
            (
                layers("[server]\nthreads = 70000", &[], &[]),
                "server.threads: expected a nonzero u16, found integer `70000` (from FILE)",
            ),
            (layers("mode = 'huge'", &[], &[]), "mode: expected one of: small, large (from FILE)"),
            (layers("server = 1", &[], &[]), "server: this is a table: set its keys one by one (from FILE)"),
            (
                layers("[server]\nroutes = ['a', 1]", &[], &[]),
                "server.routes[1]: expected a string, found a whole number (from FILE)",
            ),
            (layers("a = 1\nb = = 2", &[], &[]), "FILE, line 2: extra `=`, expected nothing"),
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
                layers("", &[], &["server.edge.body_limit=13"]),
                "server.edge.body_limit: 13 brings bad luck (from command line)",
            ),
            (layers("", &[], &["server.quiet"]), "server.quiet: write it as key=value (from command line)"),
        ] {
            assert_eq!(outcome.map(|_| ()).expect_err(expected), expected);
        }
    }

    #[test]
    fn a_complaint_never_shows_a_value_that_could_be_a_secret() {
        for outcome in [
            layers("[server]\nmaster_key = 31415926", &[], &[]),
            layers("[server]\nmaster_key = ['hunter2']", &[], &[]),
            layers("[server]\nmaster_key = hunter2", &[], &[]),
            layers("", &[("PLAYGATE__SERVER__THREADS", "hunter2")], &[]),
            layers("", &[("PLAYGATE__SERVER__ROUTES", "[hunter2")], &[]),
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
        let loaded = layers(file, &[("PLAYGATE__NAME", "a\"b")], &["server.quiet=true"]).expect("valid");
        let printed = loaded.to_toml();
        let origin = loaded.provenance.of("server.routes");
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
}
