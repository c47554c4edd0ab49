//! A partner's server: signs what it pushes, from the documentation and not from the product.

use std::{collections::HashMap, fs, path::Path};

use aws_lc_rs::{digest, hmac};
use md5::{Digest, Md5};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{Answer, Client, Platform, now_ms};

/// Pushes under one name.
#[derive(Clone)]
pub(crate) struct Partner {
    client: Client,
    pub(crate) name: String,
    signing: String,
    secret: String,
}

impl Partner {
    /// A new partner of the platform, made by an operator.
    pub(crate) async fn join(platform: &Platform, name: &str, signing: &str) -> Self {
        let wish = json!({ "partner": name, "signing": signing });
        let made = platform.admin().post("/admin/v1/partners", &wish).await.ok();
        assert_eq!(made.get("secret").is_some(), signing != "none", "{made}");
        let secret = made["secret"].as_str().unwrap_or_default().to_owned();
        Self { client: platform.client().clone(), name: name.to_owned(), signing: signing.to_owned(), secret }
    }

    /// The same, speaking to others.
    pub(crate) fn at(&self, client: Client) -> Self {
        Self { client, ..self.clone() }
    }

    /// The same, signing with another secret.
    pub(crate) fn signing_with(&self, secret: &str) -> Self {
        Self { secret: secret.to_owned(), ..self.clone() }
    }

    /// The same, under another name.
    pub(crate) fn named(&self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self.clone() }
    }

    /// The same, signing in another way.
    pub(crate) fn signing_as(&self, signing: &str) -> Self {
        Self { signing: signing.to_owned(), ..self.clone() }
    }

    pub(crate) fn events_path(&self) -> String {
        format!("/v1/partner/{}/events", self.name)
    }

    pub(crate) fn clicks_path(&self) -> String {
        format!("/v1/partner/{}/clicks", self.name)
    }

    /// Pushes JSON.
    pub(crate) async fn push(&self, events: &Value) -> Answer {
        self.send("application/json", None, events.to_string().into_bytes()).await
    }

    /// Pushes whatever it is.
    pub(crate) async fn send(&self, content_type: &str, encoding: Option<&str>, body: Vec<u8>) -> Answer {
        self.client.send(self.request(content_type, encoding, body)).await
    }

    /// The same, to a door that may be closed.
    pub(crate) async fn try_push(&self, events: &Value) -> Option<Answer> {
        let request = self.request("application/json", None, events.to_string().into_bytes());
        self.client.try_send(request).await.ok()
    }

    pub(crate) fn request(&self, content_type: &str, encoding: Option<&str>, body: Vec<u8>) -> RequestBuilder {
        let request = self.client.request(Method::POST, &self.events_path()).header("content-type", content_type);
        let request = self.signed(request, "POST", &self.events_path(), "", &body);
        match encoding {
            Some(encoding) => request.header("content-encoding", encoding).body(body),
            None => request.body(body),
        }
    }

    /// Tells of a click by `GET`; these parameters are not encoded.
    pub(crate) async fn click(&self, parameters: &[(&str, &str)]) -> Answer {
        let query = self.parameters(parameters);
        let path = self.clicks_path();
        let request = self.client.request(Method::GET, &format!("{path}?{query}"));
        self.client.send(self.signed_click(request, "GET", &query, b"")).await
    }

    /// The same as a form.
    pub(crate) async fn click_by_form(&self, parameters: &[(&str, &str)]) -> Answer {
        let form = self.parameters(parameters);
        let request = self.client.request(Method::POST, &self.clicks_path());
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.client.send(self.signed_click(request, "POST", "", form.as_bytes()).body(form)).await
    }

    fn signed_click(&self, request: RequestBuilder, method: &str, query: &str, body: &[u8]) -> RequestBuilder {
        // An MD5 over parameters is one of them.
        if self.signing == "md5-sorted" {
            request
        } else {
            self.signed(request, method, &self.clicks_path(), query, body)
        }
    }

    fn parameters(&self, parameters: &[(&str, &str)]) -> String {
        let mut all = parameters.to_vec();
        all.sort_unstable();
        let text: Vec<_> = all.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let sign = hex::encode(Md5::digest(format!("{}&key={}", text.join("&"), self.secret)));
        if self.signing == "md5-sorted" {
            all.push(("sign", &sign));
        }
        all.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }

    fn signed(&self, request: RequestBuilder, method: &str, path: &str, query: &str, body: &[u8]) -> RequestBuilder {
        match self.signing.as_str() {
            "hmac" => {
                let (stamp, nonce) = (now_ms().to_string(), format!("nonce-{}", now_ms()));
                let digest = hex::encode(digest::digest(&digest::SHA256, body));
                let text = format!("{method}\n{path}\n{query}\n{stamp}\n{nonce}\n{digest}");
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes());
                let signature = hex::encode(hmac::sign(&key, text.as_bytes()));
                let request = request.header("x-partner-id", &self.name).header("x-timestamp", stamp);
                request.header("x-nonce", nonce).header("x-signature", signature)
            }
            "md5-sorted" => {
                let signature = hex::encode(Md5::digest([body, self.secret.as_bytes()].concat()));
                request.header("x-signature", signature)
            }
            _ => request,
        }
    }
}

/// The lines of every segment in a data directory, the open one's included.
pub(crate) fn stored_lines(data_dir: &Path) -> Vec<Value> {
    let mut files: Vec<_> =
        fs::read_dir(data_dir.join("segments")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
    texts
        .flat_map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>())
        .collect()
}

/// How often each event of a partner is stored.
pub(crate) fn times_stored(data_dir: &Path, partner: &str) -> HashMap<String, usize> {
    let mut times = HashMap::new();
    for line in stored_lines(data_dir).iter().filter(|line| line["partner"] == partner) {
        *times.entry(line["event_id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    times
}
