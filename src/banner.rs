//! What `playgate serve` prints once it is ready: what is listening, and what to try next.

use std::{fmt::Write, path::Path};

use crate::first_run::DemoApp;

/// One listener of this process.
#[derive(Clone, Debug)]
pub(crate) struct Listening {
    /// What answers there.
    pub(crate) what: &'static str,
    /// Where.
    pub(crate) address: String,
}

/// The text for a process with these listeners. `demo` is there when this process has the demo app to show, and the file
/// of the admin token when nobody chose one: its path is shown, never what is in it.
pub(crate) fn banner(
    role: &str,
    listeners: &[Listening],
    admin_token_file: Option<&Path>,
    demo: Option<&DemoApp>,
) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "playgate {} is ready: {role}", env!("CARGO_PKG_VERSION"));
    for Listening { what, address } in listeners {
        let _ = writeln!(text, "  {what:<10} {address}");
    }
    if let Some(file) = admin_token_file {
        let _ = writeln!(text, "  {:<10} {}", "admin", format_args!("the token is in {}", file.display()));
    }
    let gateway = listeners.iter().find(|listening| listening.what == "gateway");
    if let (Some(demo), Some(gateway)) = (demo, gateway) {
        let _ = write!(text, "\n{}", commands(&gateway.address, demo));
    }
    text
}

/// Three commands that work as they are printed, in any POSIX shell with curl and openssl.
fn commands(gateway: &str, demo: &DemoApp) -> String {
    let (curl, gateway) = match gateway.strip_prefix("unix:") {
        Some(path) => (format!("curl -s --unix-socket '{path}'"), "http://localhost"),
        None => ("curl -s".to_owned(), gateway),
    };
    let DemoApp { app_id, app_secret, username, password } = demo;
    let login = format!(
        "{curl} {gateway}/v1/sdk/login -H 'Content-Type: application/json' \
         -d '{{\"app_id\":{app_id},\"kind\":\"password\",\"username\":\"{username}\",\"password\":\"{password}\"}}'"
    );
    format!(
        "# A player logs in (demo app {app_id}):\n{login}\n\n\
         # A game server asks whether the player's token is good:\n\
         TOKEN=$({login} | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/'); \
         BODY=\"{{\\\"token\\\":\\\"$TOKEN\\\"}}\"; TIME=$(date +%s)000; NONCE=$(openssl rand -hex 16); \
         DIGEST=$(printf %s \"$BODY\" | openssl dgst -sha256 -r | cut -d' ' -f1); \
         SIGNATURE=$(printf 'POST\\n/v1/server/tokens/verify\\n\\n%s\\n%s\\n%s' \"$TIME\" \"$NONCE\" \"$DIGEST\" \
         | openssl dgst -sha256 -hmac '{app_secret}' -r | cut -d' ' -f1); \
         {curl} {gateway}/v1/server/tokens/verify -H 'Content-Type: application/json' -H 'X-App-Id: {app_id}' \
         -H \"X-Timestamp: $TIME\" -H \"X-Nonce: $NONCE\" -H \"X-Signature: $SIGNATURE\" -d \"$BODY\"\n\n\
         # The app's settings:\n\
         {curl} '{gateway}/v1/sdk/settings?app_id={app_id}'\n\n\
         The API is described at {gateway}/docs. `playgate demo` walks through it.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_without_the_demo_app_prints_its_listeners_only() {
        let listeners = [Listening { what: "account", address: "127.0.0.1:9081".to_owned() }];
        let text = banner("account", &listeners, None, None);
        assert!(text.contains("account    127.0.0.1:9081"), "{text}");
        assert!(!text.contains("curl"));
    }

    #[test]
    fn the_commands_go_to_the_socket_when_there_is_no_port() {
        let demo = DemoApp::new(1001, "secret".to_owned());
        let commands_for = |address: &str| {
            banner("all", &[Listening { what: "gateway", address: address.to_owned() }], None, Some(&demo))
        };
        let text = commands_for("unix:/run/playgate.sock");
        let curl = "curl -s --unix-socket '/run/playgate.sock' ";
        assert_eq!(text.matches("curl -s").count(), text.matches(curl).count(), "{text}");
        assert!(text.contains(&format!("{curl}http://localhost/v1/sdk/login")), "{text}");
        assert!(commands_for("http://127.0.0.1:8080").contains("curl -s http://127.0.0.1:8080/v1/sdk/login"));
    }
}
