//! The command line from outside: what it prints, where, and with which exit status.
#![expect(clippy::expect_used, reason = "a panic in a test's helper is a failed test")]

use std::{
    fs,
    io::Write,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

/// A working directory of its own, and nothing in the environment but what a test puts there.
struct Shell {
    directory: TempDir,
    environment: Vec<(&'static str, &'static str)>,
}

impl Shell {
    fn new(environment: &[(&'static str, &'static str)]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self { directory, environment: environment.to_vec() }
    }

    fn with_file(self, name: &str, text: &str) -> Self {
        fs::write(self.directory.path().join(name), text).expect("a file");
        self
    }

    fn run(&self, arguments: &[&str]) -> Answer {
        Answer::from(self.command(arguments).output().expect("playgate starts"))
    }

    /// With `input` on standard input.
    fn run_reading(&self, arguments: &[&str], input: &[u8]) -> Answer {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("playgate starts");
        process.stdin.take().expect("it is piped").write_all(input).expect("it reads");
        Answer::from(process.wait_with_output().expect("playgate ends"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_playgate"));
        command.args(arguments).current_dir(&self.directory).env_clear().envs(self.environment.iter().copied());
        command
    }
}

struct Answer {
    status: Option<i32>,
    output: String,
    complaint: String,
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            output: String::from_utf8(output.stdout).expect("UTF-8"),
            complaint: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

impl Answer {
    /// Refused with exactly this line, and nothing on standard output.
    #[track_caller]
    fn is_refused_with(&self, line: &str) {
        assert_eq!((self.status, self.complaint.as_str(), self.output.as_str()), (Some(64), &*format!("{line}\n"), ""));
    }

    #[track_caller]
    fn succeeded(&self) -> &str {
        assert_eq!((self.status, self.complaint.as_str()), (Some(0), ""));
        &self.output
    }
}

#[test]
fn the_embedded_defaults_are_a_valid_configuration() {
    assert_eq!(Shell::new(&[]).run(&["config", "check"]).succeeded(), "the configuration is valid\n");
}

#[test]
fn a_mistyped_key_in_the_usual_file_is_refused_with_the_file_and_a_suggestion() {
    let shell = Shell::new(&[]).with_file("playgate.toml", "[log]\nlevle = 'debug'\n");
    let line = "playgate: log.levle: there is no such key, did you mean `level`? (from playgate.toml)";
    for command in ["check", "print"] {
        shell.run(&["config", command]).is_refused_with(line);
    }
}

#[test]
fn a_variable_that_matches_no_key_is_refused_and_other_variables_are_not_ours() {
    let shell = Shell::new(&[("PLAYGATE_TEST", "x"), ("PLAYGATE__LOG__COLOUR", "red")]);
    let line = "playgate: log.colour: there is no such key (from environment variable PLAYGATE__LOG__COLOUR)";
    shell.run(&["config", "check"]).is_refused_with(line);
}

#[test]
fn a_wrong_value_is_refused_with_its_key_reason_and_origin() {
    let shell = Shell::new(&[]).with_file("mine.toml", "[lifecycle]\ndrain_timeout = '2h'\n");
    shell
        .run(&["--config", "mine.toml", "config", "check"])
        .is_refused_with("playgate: lifecycle.drain_timeout: at most 1h (from mine.toml)");
    shell
        .run(&["config", "check", "--set", "lifecycle.drain_delay=soon"])
        .is_refused_with("playgate: lifecycle.drain_delay: expected a duration (from command line)");
    shell
        .run(&["config", "check", "--set", "environment=staging"])
        .is_refused_with("playgate: environment: expected one of: development, production (from command line)");
}

#[test]
fn rules_of_traffic_are_checked_before_anybody_goes_by_them_and_all_their_problems_are_said() {
    let wrong = "switches.limts = true\n[callee.breaker]\nk = 0.5\n[[lanes.rules]]\nlane = 'canary'\n";
    let shell = Shell::new(&[]).with_file("good.toml", "[switches]\nshedding = false\n").with_file("bad.toml", wrong);
    let said = shell.run(&["config", "check", "--rules", "good.toml"]);
    assert!(said.succeeded().starts_with("the rules are valid, their digest is "), "{}", said.output);
    for command in ["check", "print"] {
        let answer = shell.run(&["config", command, "--rules", "bad.toml"]);
        assert_eq!((answer.status, answer.output.as_str()), (Some(64), ""));
        let lines: Vec<_> = answer.complaint.lines().collect();
        let expected = [
            "switches.limts: unknown field",
            "callee.breaker.k: 0.5 is not within",
            "lanes.rules[0]: has no condition",
        ];
        assert_eq!(lines.len(), expected.len(), "{lines:?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(&format!("playgate: bad.toml: {expected}")), "{line}");
        }
        let absent = shell.run(&["config", command, "--rules", "absent.toml"]);
        assert_eq!((absent.status, absent.output.as_str()), (Some(64), ""));
        assert!(absent.complaint.starts_with("playgate: absent.toml: "), "{}", absent.complaint);
    }
}

#[test]
fn printed_rules_have_every_default_and_are_the_same_rules() {
    let shell = Shell::new(&[]).with_file("rules.toml", "[switches]\nshedding = false\n");
    let printed = shell.run(&["config", "print", "--rules", "rules.toml"]).succeeded().to_owned();
    assert!(printed.contains("shedding = false") && printed.contains("[callee.retry]"), "{printed}");
    let shell = shell.with_file("printed.toml", &printed);
    let digest = |file: &str| shell.run(&["config", "check", "--rules", file]).succeeded().to_owned();
    assert_eq!(digest("printed.toml"), digest("rules.toml"));
}

#[test]
fn a_gateway_may_serve_its_socket_alone_but_not_nothing() {
    let shell = Shell::new(&[("PLAYGATE__GATEWAY__LISTEN", "")]);
    shell.run(&["config", "check", "--set", "gateway.unix_socket=/tmp/playgate.sock"]).succeeded();
    let answer = shell.run(&["config", "check"]);
    assert_eq!(answer.status, Some(64));
    assert!(answer.complaint.starts_with("playgate: gateway.listen: neither"), "{}", answer.complaint);
}

#[test]
fn a_database_url_that_cannot_be_read_is_refused_without_being_shown() {
    for url in ["mysql://root:hunter2@db:port/playgate", "mysql://root:hunter2@db:3306", "postgres://u:hunter2@db/p"] {
        let answer = Shell::new(&[("PLAYGATE__SQL__URL", url)]).run(&["config", "check"]);
        assert_eq!((answer.status, answer.output.as_str()), (Some(64), ""), "{url}");
        assert!(answer.complaint.starts_with("playgate: sql.url: "), "{}", answer.complaint);
        assert!(!answer.complaint.contains("hunter2"), "{}", answer.complaint);
    }
}

#[test]
fn a_single_role_that_looks_for_the_others_inside_itself_is_refused() {
    let shell = Shell::new(&[("PLAYGATE__DISCOVERY__KIND", "in-process")]);
    for arguments in [&["config", "check", "account"][..], &["serve", "account"]] {
        let answer = shell.run(arguments);
        assert_eq!((answer.status, answer.output.as_str()), (Some(64), ""), "{arguments:?}");
        assert!(answer.complaint.starts_with("playgate: discovery.kind: "), "{}", answer.complaint);
    }
    shell.run(&["config", "check", "all"]).succeeded();
}

#[test]
fn an_app_that_cannot_be_is_a_usage_error() {
    let shell = Shell::new(&[]);
    for arguments in [
        &["app", "create", "--name", ""][..],
        &["app", "create", "--name", "x", "--app-id", "0"],
        &["app", "create", "--name", "x", "--app-id", "9007199254740992"],
        &["app", "rotate-secret", "--app-id", "-1"],
    ] {
        let answer = shell.run(arguments);
        assert_eq!((answer.status, answer.output.as_str()), (Some(64), ""), "{arguments:?}");
    }
}

#[test]
fn a_rotation_of_a_kind_there_is_not_is_a_usage_error_and_one_before_the_first_start_makes_a_key() {
    let shell = Shell::new(&[]);
    let answer = shell.run(&["key", "rotate", "--kind", "refresh"]);
    assert_eq!((answer.status, answer.output.as_str()), (Some(64), ""));
    for (kind, arguments) in [("access", &["key", "rotate"][..]), ("id", &["key", "rotate", "--kind", "id"])] {
        let printed: serde_json::Value = serde_json::from_str(shell.run(arguments).succeeded()).expect("JSON");
        assert_eq!((&printed["kind"], &printed["removed"]), (&kind.into(), &serde_json::json!([])), "{printed}");
        assert!(printed["signs_from"].is_u64() && printed["key_id"].is_string(), "{printed}");
    }
}

#[test]
fn a_named_file_that_is_not_there_is_refused() {
    let answer = Shell::new(&[]).run(&["config", "check", "--config", "absent.toml"]);
    assert_eq!(answer.status, Some(64));
    assert!(answer.complaint.starts_with("playgate: absent.toml: "), "{}", answer.complaint);
    assert_eq!(answer.complaint.lines().count(), 1, "{}", answer.complaint);
}

#[test]
fn production_refuses_a_gateway_without_a_chosen_admin_token() {
    let shell = Shell::new(&[("PLAYGATE__ENVIRONMENT", "production")]);
    let answer = shell.run(&["config", "check", "gateway"]);
    assert_eq!(answer.status, Some(64));
    assert!(answer.complaint.starts_with("playgate: operator.admin_token: production needs"), "{}", answer.complaint);
    shell.run(&["config", "check", "gateway", "--set", "operator.admin_token=hunter2"]).succeeded();
}

#[test]
fn the_print_can_be_loaded_again_says_where_values_came_from_and_hides_secrets() {
    let shell = Shell::new(&[("PLAYGATE__OPERATOR__ADMIN_TOKEN", "hunter2"), ("PLAYGATE__LOG__FORMAT", "json")])
        .with_file("playgate.toml", "data_dir = '/srv/playgate'\n");
    let answer = shell.run(&["config", "print", "--set", "log.access=false"]);
    let printed = answer.succeeded();
    for line in [
        "data_dir = \"/srv/playgate\"  # from playgate.toml",
        "environment = \"development\"  # from default",
        "[log]",
        "access = false  # from command line",
        "format = \"json\"  # from environment variable PLAYGATE__LOG__FORMAT",
        "admin_token = \"<redacted>\"  # from environment variable PLAYGATE__OPERATOR__ADMIN_TOKEN",
        "drain_timeout = \"25s\"  # from default",
        "# drain_delay is not set",
    ] {
        assert!(printed.lines().any(|found| found == line), "{line}\nis not in\n{printed}");
    }
    assert!(!printed.contains("hunter2"), "{printed}");
    let again = Shell::new(&[]).with_file("playgate.toml", printed);
    let line = "playgate: operator.admin_token: this is the redaction of a secret, not the secret (from playgate.toml)";
    again.run(&["config", "check"]).is_refused_with(line);
    again.run(&["config", "check", "--set", "operator.admin_token=hunter2"]).succeeded();
}

#[test]
fn what_cannot_be_understood_exits_64_and_help_exits_0() {
    let shell = Shell::new(&[]);
    for arguments in [&["no-such-command"][..], &["config", "check", "--no-such-flag"], &["config", "check", "nobody"]]
    {
        let answer = shell.run(arguments);
        assert_eq!((answer.status, answer.output.as_str()), (Some(64), ""), "{arguments:?}");
        assert!(answer.complaint.starts_with("error: "), "{}", answer.complaint);
    }
    assert!(shell.run(&["--help"]).succeeded().contains("Usage: playgate"));
    assert!(shell.run(&["--version"]).succeeded().starts_with("playgate "));
}

#[test]
fn accounts_come_from_standard_input_too() {
    let shell = Shell::new(&[]);
    let line = br#"{"username":"ann","password_hash":"$P$984478476IagS59wHZvyQMArzfx58u."}"#;
    for (imported, skipped) in [(1, 0), (0, 1)] {
        let answer = shell.run_reading(&["account", "import", "-"], line);
        let summary = format!(
            "{{\"lines\":1,\"imported\":{imported},\"skipped\":{skipped},\"rejected\":0,\"resumed_after_line\":0,\
             \"rejects\":null}}\n"
        );
        assert_eq!(answer.succeeded(), summary);
    }
    let answer = shell.run_reading(&["account", "import", "-"], b"ann,secret-hash\n");
    assert_eq!(answer.status, Some(65));
    let rejects = fs::read_to_string(shell.directory.path().join("import.rejects.ndjson")).expect("written");
    assert_eq!(rejects, "{\"line\":1,\"reason\":\"not a JSON object\"}\n");
}

#[test]
fn a_file_of_accounts_that_is_not_there_is_a_failure() {
    let answer = Shell::new(&[]).run(&["account", "import", "nowhere.ndjson"]);
    assert_eq!((answer.status, answer.output.as_str()), (Some(70), ""));
    assert!(answer.complaint.starts_with("playgate: the accounts can't be read: "), "{}", answer.complaint);
}

#[test]
fn a_bill_that_differs_exits_1_one_that_does_not_0_and_one_that_can_not_be_used_65() {
    let header = "channel_order_id,amount,currency,kind\n";
    let shell = Shell::new(&[])
        .with_file("empty.csv", header)
        .with_file("stranger.csv", &format!("{header}C1,6.00,CNY,payment\nC2,0.06,CNY,fee\n"))
        .with_file("other.csv", "a,b\n");
    let reconcile = |bill: &str, more: &[&str]| {
        let arguments = ["pay", "reconcile", "--channel", "store", "--app-id", "1001", "--day", "2026-11-29"];
        shell.run(&[&arguments[..], &["--bill", bill], more].concat())
    };
    assert_eq!(reconcile("empty.csv", &[]).succeeded(), "store, app 1001, 2026-11-29: 0 lines in the bill\n");

    let differs = reconcile("stranger.csv", &["--json"]);
    assert_eq!((differs.status, differs.complaint.as_str()), (Some(1), ""));
    let report: serde_json::Value = serde_json::from_str(&differs.output).expect("JSON");
    assert_eq!(report["bill"], serde_json::json!({ "missing_here": 1, "other": 1 }));
    assert_eq!(report["differences"][0]["reason"], "no_such_payment");
    assert_eq!((&report["lines"], &report["totals"]["CNY"]["paid_there"]), (&2.into(), &600.into()));
    let for_people = reconcile("stranger.csv", &[]);
    assert_eq!(for_people.status, Some(1));
    assert!(for_people.output.contains("missing_here (no_such_payment) line 2 payment C1 there 600 CNY"));

    for (bill, more) in [("other.csv", &[][..]), ("nowhere.csv", &[]), ("empty.csv", &["--format", "wechat_pay"])] {
        let refused = reconcile(bill, more);
        assert_eq!((refused.status, refused.output.as_str()), (Some(65), ""), "{bill}");
        assert!(refused.complaint.starts_with("playgate: the bill "), "{}", refused.complaint);
    }
    for more in [&["--zone", "China"][..], &["--columns", "number=a"], &["--format", "alipay", "--columns", "kind=a"]] {
        let refused = reconcile("empty.csv", more);
        assert_eq!((refused.status, refused.output.as_str()), (Some(64), ""), "{more:?}");
        assert!(refused.complaint.starts_with("playgate: --"), "{}", refused.complaint);
    }
}

#[test]
fn orders_that_are_not_there_are_neither_replayed_nor_sent_again() {
    let shell = Shell::new(&[]);
    let replayed = shell.run(&["pay", "replay", "--order", "01JXT21Q00C5Z0E8T3Y6A9B2DK"]);
    assert_eq!((replayed.status, replayed.complaint.as_str()), (Some(70), "playgate: there is no such order\n"));
    assert_eq!(shell.run(&["pay", "dead-letters"]).succeeded(), "");
    let redelivered = shell.run(&["pay", "redeliver", "--app-id", "1001", "--dead"]);
    assert_eq!(redelivered.succeeded(), "{\"redelivered\":0,\"refused\":[]}\n");
    let refused = shell.run(&["pay", "redeliver", "--app-id", "1001", "--order", "A", "B"]);
    assert_eq!(refused.status, Some(65));
    assert!(refused.output.starts_with("{\"redelivered\":0,\"refused\":[{\"order_id\":\"A\""), "{}", refused.output);
    for wrong in [&["--app-id", "1001"][..], &["--dead"], &["--app-id", "1001", "--dead", "--order", "A"]] {
        assert_eq!(shell.run(&[&["pay", "redeliver"], wrong].concat()).status, Some(64), "{wrong:?}");
    }
}
