//! The registry of a fleet as an operator reaches it: over Nacos's HTTP interface, in the group of one platform.

use serde_json::Value;

/// A Nacos server, and the group in which the platform under test keeps its services and documents.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    http: reqwest::Client,
    server: String,
    group: String,
}

impl Registry {
    pub(super) fn new(server: &str, group: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { http, server: server.to_owned(), group: group.to_owned() }
    }

    /// Publishes a document, as an operator does.
    pub(crate) async fn publish(&self, document: &str, content: &str) {
        let fields = [("dataId", document), ("group", self.group.as_str()), ("content", content)];
        let body: String = fields.iter().map(|(name, value)| format!("{name}={}&", percent_encoded(value))).collect();
        let request = self
            .http
            .post(format!("http://{}/nacos/v1/cs/configs", self.server))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.trim_end_matches('&').to_owned());
        let answer = request.send().await.expect("Nacos answers");
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (200, "true"));
    }

    /// Where the instances of a service are, as whoever asks Nacos is told: `127.0.0.1:PORT`.
    pub(crate) async fn instances(&self, service: &str) -> Vec<String> {
        let (server, group) = (&self.server, &self.group);
        let url = format!(
            "http://{server}/nacos/v1/ns/instance/list?serviceName=playgate-{service}&groupName={group}&healthyOnly=true"
        );
        let answer = self.http.get(url).send().await.expect("Nacos answers").text().await.unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
        let hosts = answer["hosts"].as_array().unwrap_or_else(|| panic!("no instances: {answer}"));
        hosts.iter().map(|host| format!("{}:{}", host["ip"].as_str().unwrap(), host["port"])).collect()
    }
}

/// Everything but letters and digits as `%XX`.
fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(encode).collect()
}
