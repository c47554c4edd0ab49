//! What `kubectl apply -k deploy/k8s/…` sends, held against Kubernetes' schemas and against the configuration it runs with.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a panic in a test is a failed test")]

use std::{collections::BTreeMap, fs, process::Command, time::Duration};

use serde_json::Value;
use xtask::manifests;

/// The first that has everything the manifests use, and the newest that the schemas know by now; and some between.
const KUBERNETES: [&str; 4] = ["1.25", "1.29", "1.33", "1.37"];

/// What kubectl, the endpoints and the process need besides.
const SECONDS_FOR_THE_REST: u64 = 5;

/// A container with what its pod says about it.
struct Container {
    name: String,
    container: Value,
    pod: Value,
}

fn containers(overlay: &str) -> Vec<Container> {
    let yaml = manifests::built(overlay).expect("kubectl builds it");
    let documents = manifests::documents(&yaml).expect("YAML");
    let pods = documents.iter().filter(|document| !document["spec"]["template"]["spec"].is_null());
    pods.map(|document| {
        let pod = document["spec"]["template"]["spec"].clone();
        let name = document["metadata"]["name"].as_str().unwrap().to_owned();
        Container { name, container: pod["containers"][0].clone(), pod }
    })
    .collect()
}

impl Container {
    fn arguments(&self) -> Vec<String> {
        let arguments = self.container["args"].as_array().unwrap();
        arguments.iter().map(|argument| argument.as_str().unwrap().to_owned()).collect()
    }

    fn has_master_key(&self) -> bool {
        let volumes = self.pod["volumes"].as_array().unwrap();
        volumes.iter().any(|volume| volume["name"] == "master-key")
    }

    fn serves(&self) -> bool {
        self.arguments()[0] == "serve"
    }

    /// The configuration of this container as the program prints it.
    fn configuration(&self, overlay: &str) -> BTreeMap<String, String> {
        let scratch = tempfile::tempdir().unwrap();
        let key = scratch.path().join("master-key");
        fs::write(&key, "5a".repeat(32)).unwrap();
        let file = manifests::configuration(overlay).unwrap();
        let playgate = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_playgate"));
            command.env_clear().current_dir(scratch.path()).args(arguments).arg("--config").arg(&file);
            for variable in self.container["env"].as_array().into_iter().flatten() {
                let name = variable["name"].as_str().unwrap();
                command.env(name, variable["value"].as_str().unwrap_or_else(|| secret(name)));
            }
            // Whoever mounts the key finds it here, where the tests have one.
            for section in ["account", "gateway.fallback"].iter().filter(|_| self.has_master_key()) {
                command.arg("--set").arg(format!("{section}.master_key_file={}", key.display()));
            }
            let output = command.output().unwrap();
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{} {arguments:?}: {complaint}", self.name);
            String::from_utf8(output.stdout).unwrap()
        };
        if self.serves() {
            playgate(&["config", "check", &self.arguments()[1]]);
        }
        let printed: toml::Table = playgate(&["config", "print"]).parse().unwrap();
        let mut keys = BTreeMap::new();
        flatten(&mut keys, "", &toml::Value::Table(printed));
        keys
    }
}

/// What stands in for a secret of that name.
fn secret(variable: &str) -> &'static str {
    match variable {
        "PLAYGATE__SQL__URL" => "mysql://playgate:password@mysql:3306/playgate",
        "PLAYGATE__REDIS__URL" => "redis://redis:6379",
        "PLAYGATE__PAY__MASTER_KEY" => "5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b",
        _ => "a-secret-of-visible-ascii-characters",
    }
}

fn flatten(keys: &mut BTreeMap<String, String>, path: &str, value: &toml::Value) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(keys, &path, value);
            }
        }
        toml::Value::String(text) => drop(keys.insert(path.to_owned(), text.clone())),
        other => drop(keys.insert(path.to_owned(), other.to_string())),
    }
}

fn duration(text: &str) -> Duration {
    humantime_serde::re::humantime::parse_duration(text).unwrap()
}

fn port_of(address: &str) -> u64 {
    address.rsplit_once(':').unwrap().1.parse().unwrap()
}

#[test]
fn every_version_of_kubernetes_understands_the_manifests() {
    for overlay in ["small", "production"] {
        let yaml = manifests::built(overlay).expect("kubectl builds it");
        for kubernetes in KUBERNETES {
            manifests::validate(&yaml, kubernetes).unwrap_or_else(|error| panic!("{overlay} on {kubernetes}: {error}"));
        }
        let misspelt = yaml.replace("readinessProbe", "readynessProbe");
        assert!(manifests::validate(&misspelt, KUBERNETES[0]).is_err(), "the schemas would take anything");
    }
    manifests::built("monitoring").expect("kubectl builds it");
}

#[test]
fn every_pod_accepts_its_configuration_and_its_ports_are_those_it_listens_on() {
    for overlay in ["small", "production"] {
        for container in containers(overlay) {
            let configured = container.configuration(overlay);
            if !container.serves() {
                continue;
            }
            let port = |name: &str| {
                let ports = container.container["ports"].as_array().unwrap();
                ports.iter().find(|port| port["name"] == name).and_then(|port| port["containerPort"].as_u64())
            };
            assert_eq!(port("operator"), Some(port_of(&configured["operator.listen"])), "{}", container.name);
            let role = &container.arguments()[1];
            let (name, key) = match role.as_str() {
                "all" | "gateway" => ("http", "gateway.listen".to_owned()),
                role => ("rpc", format!("{role}.listen")),
            };
            assert_eq!(port(name), Some(port_of(&configured[&key])), "{}", container.name);
            for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
                let asked = &container.container[probe]["httpGet"];
                let path = if probe == "readinessProbe" { "/readyz" } else { "/healthz" };
                assert_eq!((asked["path"].as_str(), asked["port"].as_str()), (Some(path), Some("operator")));
            }
        }
    }
}

#[test]
fn a_pod_has_the_time_it_needs_to_go_and_nobody_calls_it_any_more_by_then() {
    for overlay in ["small", "production"] {
        for container in containers(overlay).iter().filter(|container| container.serves()) {
            let configured = container.configuration(overlay);
            let time = |key: &str| duration(&configured[key]);
            let delay = configured.get("lifecycle.drain_delay").map_or(Duration::from_secs(5), |text| duration(text));
            let grace = container.pod["terminationGracePeriodSeconds"].as_u64().unwrap();
            let needed = delay + time("lifecycle.drain_timeout") + Duration::from_secs(SECONDS_FOR_THE_REST);
            assert!(Duration::from_secs(grace) >= needed, "{}: {grace} s, but it needs {needed:?}", container.name);
            if configured.get("discovery.kind").is_some_and(|kind| kind == "dns") {
                let readiness = &container.container["readinessProbe"];
                let noticed = Duration::from_secs(readiness["periodSeconds"].as_u64().unwrap());
                let forgotten = noticed + time("discovery.dns.max_ttl");
                assert!(delay > forgotten, "{}: called for {forgotten:?}, serves for {delay:?}", container.name);
            }
        }
    }
}

#[test]
fn no_pod_is_root_or_writes_to_its_image_and_secrets_are_only_referred_to() {
    for overlay in ["small", "production"] {
        for container in containers(overlay) {
            let (pod, of_container) = (&container.pod["securityContext"], &container.container["securityContext"]);
            assert_eq!(pod["runAsNonRoot"], true, "{}", container.name);
            assert_eq!(of_container["readOnlyRootFilesystem"], true, "{}", container.name);
            assert_eq!(of_container["allowPrivilegeEscalation"], false, "{}", container.name);
            for variable in container.container["env"].as_array().into_iter().flatten() {
                let is_plain = variable["value"].is_string();
                let is_no_secret =
                    ["PLAYGATE__GATEWAY__ROUTES", "PLAYGATE__GATEWAY__FALLBACK__MASTER_KEY_FILE"].map(Value::from);
                assert!(!is_plain || is_no_secret.contains(&variable["name"]), "{}: {variable}", container.name);
            }
        }
    }
}

#[test]
fn rpc_ports_are_reachable_only_from_the_roles_that_call_them() {
    let documents = manifests::documents(&manifests::built("production").expect("kubectl builds it")).expect("YAML");
    let policies: Vec<&Value> = documents.iter().filter(|document| document["kind"] == "NetworkPolicy").collect();
    let denies_all = |policy: &&&Value| policy["spec"]["ingress"].is_null();
    assert_eq!(policies.iter().filter(denies_all).count(), 1);
    for role in ["account", "setting", "pay"] {
        let selects =
            |policy: &&&Value| policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == role;
        let policy = policies.iter().find(selects).unwrap_or_else(|| panic!("{role} has no policy"));
        let from = policy["spec"]["ingress"][0]["from"].to_string();
        assert!(from.contains("gateway") && !from.contains("namespaceSelector"), "{from}");
        assert_eq!(policy["spec"]["ingress"][0]["ports"][0]["port"], "rpc");
    }
}
