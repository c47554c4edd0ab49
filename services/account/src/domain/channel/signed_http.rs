//! Asking a channel over HTTP whether a credential is good, as data.
//!
//! The tests at the bottom are the forms that channels and aggregators really have.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::Deserialize;

use super::{
    answer::{AnswerRules, UidSource},
    request::{Question, RequestRules, is_header_name},
    signature::{SignaturePlace, SignatureRules},
    template::{Constants, MissingField, Scope},
};

/// How a channel is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignedHttpRules {
    /// Constants that everybody may see, such as the channel's id of the app.
    #[serde(default)]
    values: BTreeMap<String, String>,
    /// Constants that nobody may see, such as the key that the channel gave out.
    #[serde(default)]
    secrets: BTreeMap<String, SecretString>,
    request: RequestRules,
    signature: Option<SignatureRules>,
    pub(crate) answer: AnswerRules,
}

impl SignedHttpRules {
    /// The question for one credential.
    pub(crate) fn ask(&self, scope: Scope<'_>) -> Result<Question, MissingField> {
        self.request.ask(scope, self.signature.as_ref())
    }

    /// Checks the rules as a whole and fills in the constants. What is wrong is told with its place.
    pub(crate) fn prepare(&mut self) -> Result<(), (String, &'static str)> {
        self.request.validate().map_err(|(key, reason)| (format!("request.{key}"), reason))?;
        self.answer.validate().map_err(|(key, reason)| (format!("answer.{key}"), reason))?;
        if let UidSource::Credential(name) = &self.answer.uid
            && !self.request.asks_about(name)
        {
            return Err((
                "answer.uid.credential".to_owned(),
                "the channel is not asked about this field: anybody could claim it",
            ));
        }
        if let Some(signature) = &self.signature {
            if signature.algorithm.needs_key() != signature.key.is_some() {
                return Err(("signature.key".to_owned(), "is for hmac_sha1 and hmac_sha256, which need one"));
            }
            if signature.place == SignaturePlace::Header && !is_header_name(&signature.name) {
                return Err(("signature.name".to_owned(), "must be 1-64 of A-Z, a-z, 0-9 and -"));
            }
        }
        let constants =
            Constants { values: std::mem::take(&mut self.values), secrets: std::mem::take(&mut self.secrets) };
        let of_request =
            self.request.templates().into_iter().map(|(key, template)| (format!("request.{key}"), template));
        let of_signature = self.signature.iter_mut().flat_map(SignatureRules::templates);
        let of_signature = of_signature.map(|(key, template)| (format!("signature.{key}"), template));
        for (key, template) in of_request.chain(of_signature) {
            template.resolve(&constants).map_err(|_| (key, "names a value or a secret that is not there"))?;
        }
        let at_url = |reason| ("request.url".to_owned(), reason);
        check_url(self.request.url.prefix()).map_err(at_url)?;
        check_url(&self.request.url.outline()).map_err(at_url)
    }

    /// The host that is asked, as it is written.
    pub(crate) fn host(&self) -> &str {
        host(self.request.url.prefix()).unwrap_or_default()
    }
}

/// The beginning of a URL: a scheme, a host that nobody fills in, and a path that can be sent as it is.
pub(crate) fn check_url(prefix: &str) -> Result<(), &'static str> {
    let sendable = |byte: u8| {
        byte.is_ascii_graphic()
            && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | b'#' | b'@')
    };
    match host(prefix) {
        Some(host) if !host.is_empty() && prefix.len() <= 2048 && prefix.bytes().all(sendable) => Ok(()),
        _ => Err(
            "must be an http or https URL of at most 2048 bytes with a fixed host and a path, without user name and fragment",
        ),
    }
}

/// The host of a URL that has a path: a name, or an address (IPv6 in brackets).
pub(crate) fn host(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let (authority, _) = rest.split_once('/')?;
    match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(host, _)| host),
        None => authority.split(':').next(),
    }
}

#[cfg(test)]
mod tests {
    use common::clock::Timestamp;
    use md5::{Digest, Md5};
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::{
        channel::{Judgement, credential::ChannelCredential, identity::ChannelUid},
        ids::AppId,
    };

    fn rules(document: &Value) -> SignedHttpRules {
        let mut rules: SignedHttpRules = serde_json::from_value(document.clone()).expect("rules");
        rules.prepare().expect("valid");
        rules
    }

    fn ask(rules: &SignedHttpRules, credential: &Value) -> Question {
        let credential = ChannelCredential::parse(&credential.to_string()).expect("flat");
        let (app_id, now) = (AppId::parse(1001).expect("in range"), Timestamp::from_millis(1_700_000_000_000));
        rules.ask(Scope { credential: &credential, app_id, now, nonce: "nonce" }).expect("complete")
    }

    fn judge(rules: &SignedHttpRules, credential: &Value, body: &str) -> Judgement {
        let credential = ChannelCredential::parse(&credential.to_string()).expect("flat");
        rules.answer.judge(200, body.as_bytes(), &credential)
    }

    fn accepted(uid: &str) -> Judgement {
        Judgement::Accepted(ChannelUid::parse(uid).expect("valid"))
    }

    fn md5(text: &str) -> String {
        hex::encode(Md5::digest(text))
    }

    #[test]
    fn u8_server_verify_account() {
        let rules = rules(&json!({
            "secrets": { "app_secret": "S" },
            "request": {
                "method": "POST", "url": "https://u8.example/user/verifyAccount", "send_as": "form",
                "parameters": [
                    { "name": "userID", "value": "{credential.user_id}" },
                    { "name": "token", "value": "{credential.token}" },
                ],
            },
            "signature": {
                "name": "sign", "algorithm": "md5",
                "content": { "template": "userID={credential.user_id}token={credential.token}{secrets.app_secret}" },
            },
            "answer": {
                "success": { "pointer": "/state", "equals": [1] },
                "uid": { "pointer": "/data/userID" },
                "wrong_credential": [{ "pointer": "/state", "equals": [5, 6, 8, 9] }],
            },
        }));
        let credential = json!({ "user_id": 7, "token": "t&1" });
        let question = ask(&rules, &credential);
        assert_eq!(
            (question.method.as_str(), question.url.as_str()),
            ("POST", "https://u8.example/user/verifyAccount")
        );
        let sign = md5("userID=7token=t&1S");
        let body = format!("userID=7&token=t%261&sign={sign}");
        assert_eq!(question.body, Some(("application/x-www-form-urlencoded", body)));
        let yes = r#"{"state":1,"data":{"userID":7,"username":"ann","channelID":3}}"#;
        assert_eq!(judge(&rules, &credential, yes), accepted("7"));
        assert_eq!(judge(&rules, &credential, r#"{"state":8}"#), Judgement::WrongCredential);
        assert!(matches!(judge(&rules, &credential, r#"{"state":12}"#), Judgement::Unclear(_)), "our own mistake");
    }

    #[test]
    fn quicksdk_check_user_info() {
        let rules = rules(&json!({
            "values": { "product_code": "P1" },
            "request": {
                "url": "http://checkuser.quickapi.example/v2/checkUserInfo",
                "parameters": [
                    { "name": "token", "value": "{credential.token}" },
                    { "name": "uid", "value": "{credential.uid}" },
                    { "name": "product_code", "value": "{values.product_code}" },
                ],
            },
            "answer": {
                "success": { "text": ["1"] },
                "uid": { "credential": "uid" },
                "wrong_credential": [{ "status": [200] }],
            },
        }));
        let credential = json!({ "uid": "u 1", "token": "t" });
        let question = ask(&rules, &credential);
        assert_eq!(question.url, "http://checkuser.quickapi.example/v2/checkUserInfo?token=t&uid=u+1&product_code=P1");
        assert!(question.method.as_str() == "GET" && question.body.is_none());
        assert_eq!(judge(&rules, &credential, "1"), accepted("u 1"));
        assert_eq!(judge(&rules, &credential, "failed"), Judgement::WrongCredential);
    }

    #[test]
    fn uc_verify_session() {
        let rules = rules(&json!({
            "values": { "game_id": "556" },
            "secrets": { "api_key": "K" },
            "request": {
                "method": "POST", "url": "https://sdk.uc.example/cp/account.verifySession", "send_as": "json",
                "parameters": [
                    { "name": "id", "value": "{timestamp_ms}", "number": true },
                    { "name": "data.sid", "value": "{credential.sid}" },
                    { "name": "game.gameId", "value": "{values.game_id}", "number": true },
                ],
            },
            "signature": {
                "name": "sign", "algorithm": "md5", "content": { "template": "sid={credential.sid}{secrets.api_key}" },
            },
            "answer": {
                "success": { "pointer": "/state/code", "equals": [1] },
                "uid": { "pointer": "/data/accountId" },
                "wrong_credential": [{ "pointer": "/state/code", "equals": [11] }],
            },
        }));
        let credential = json!({ "sid": "s1" });
        let (content_type, body) = ask(&rules, &credential).body.expect("a body");
        let expected = json!({
            "id": 1_700_000_000_000_i64, "data": { "sid": "s1" }, "game": { "gameId": 556 }, "sign": md5("sid=s1K"),
        });
        assert_eq!((content_type, serde_json::from_str::<Value>(&body).expect("JSON")), ("application/json", expected));
        let yes = r#"{"id":1,"state":{"code":1,"msg":"ok"},"data":{"accountId":"uc-9","creator":"JY"}}"#;
        assert_eq!(judge(&rules, &credential, yes), accepted("uc-9"));
        assert_eq!(judge(&rules, &credential, r#"{"state":{"code":11}}"#), Judgement::WrongCredential);
    }

    #[test]
    fn xiaomi_verify_session() {
        let rules = rules(&json!({
            "values": { "app_id": "2882" },
            "secrets": { "app_secret": "Jefe" },
            "request": {
                "url": "https://mis.migc.example/api/biz/service/loginvalidate",
                "parameters": [
                    { "name": "appId", "value": "{values.app_id}" },
                    { "name": "session", "value": "{credential.session}" },
                    { "name": "uid", "value": "{credential.uid}" },
                ],
            },
            "signature": {
                "name": "signature", "algorithm": "hmac_sha1", "key": "{secrets.app_secret}",
                "content": { "sorted": {} },
            },
            "answer": {
                "success": { "pointer": "/errcode", "equals": [200] },
                "uid": { "credential": "uid" },
                "wrong_credential": [{ "pointer": "/errcode", "equals": [1520, 4002] }],
            },
        }));
        let credential = json!({ "session": "abc", "uid": "100" });
        let url = ask(&rules, &credential).url;
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"Jefe");
        let signature = hex::encode(aws_lc_rs::hmac::sign(&key, b"appId=2882&session=abc&uid=100"));
        assert_eq!(
            url,
            format!(
                "https://mis.migc.example/api/biz/service/loginvalidate?appId=2882&session=abc&uid=100&signature={signature}"
            )
        );
        assert_eq!(judge(&rules, &credential, r#"{"errcode":200,"adult":408}"#), accepted("100"));
        assert_eq!(judge(&rules, &credential, r#"{"errcode":1520}"#), Judgement::WrongCredential);
        assert!(matches!(judge(&rules, &credential, r#"{"errcode":1525}"#), Judgement::Unclear(_)), "our signature");
    }

    #[test]
    fn vivo_auth_token() {
        let rules = rules(&json!({
            "request": {
                "method": "POST", "url": "https://joint-account.vivo.example/cp/user/auth", "send_as": "form",
                "parameters": [{ "name": "opentoken", "value": "{credential.auth_token}" }],
            },
            "answer": {
                "success": { "pointer": "/retcode", "equals": [0] },
                "uid": { "pointer": "/data/openid" },
                "wrong_credential": [{ "pointer": "/retcode", "equals": [20000] }],
            },
        }));
        let credential = json!({ "auth_token": "t" });
        assert_eq!(ask(&rules, &credential).body.expect("a body").1, "opentoken=t");
        assert_eq!(
            judge(&rules, &credential, r#"{"retcode":0,"data":{"success":true,"openid":"o1"}}"#),
            accepted("o1")
        );
        assert_eq!(judge(&rules, &credential, r#"{"retcode":20000}"#), Judgement::WrongCredential);
    }

    #[test]
    fn a_field_that_the_client_left_out_is_named() {
        let rules = rules(&json!({
            "request": { "url": "https://a.example/", "parameters": [{ "name": "t", "value": "{credential.token}" }] },
            "answer": { "success": { "status": [200] }, "uid": { "pointer": "/uid" } },
        }));
        let credential = ChannelCredential::parse("{}").expect("flat");
        let (app_id, now) = (AppId::parse(1).expect("in range"), Timestamp::from_millis(0));
        let missing = rules.ask(Scope { credential: &credential, app_id, now, nonce: "" }).err();
        assert_eq!(missing, Some(MissingField("token".to_owned())));
    }

    #[test]
    fn rules_that_could_not_work_or_would_not_be_safe_are_refused_by_their_place() {
        let answer = json!({ "success": { "status": [200] }, "uid": { "pointer": "/uid" } });
        let with = |request: Value, signature: Value, answer: &Value| {
            let document = json!({ "request": request, "signature": signature, "answer": answer });
            let mut rules: SignedHttpRules = serde_json::from_value(document).expect("rules");
            rules.prepare().expect_err("refused").0
        };
        let plain = json!({ "url": "https://a.example/" });
        for url in [
            "ftp://a.example/",
            "https://a.example",
            "https:///x",
            "https://{app_id}.example/",
            "https://u@a.example/",
            "https://a.example/ x",
            "https://a.example/#x",
            "https://a.example/{credential.path}",
            "https://a.example/{nonce}",
            "https://a.example/{values.none}",
        ] {
            assert_eq!(with(json!({ "url": url }), Value::Null, &answer), "request.url", "{url}");
        }
        let json_get = json!({ "url": "https://a.example/", "send_as": "json" });
        assert_eq!(with(json_get, Value::Null, &answer), "request.send_as");
        let line_feed = json!({ "url": "https://a.example/", "headers": [{ "name": "a\nb", "value": "" }] });
        assert_eq!(with(line_feed, Value::Null, &answer), "request.headers[0].name");
        let claimed = json!({ "success": { "status": [200] }, "uid": { "credential": "uid" } });
        assert_eq!(with(plain.clone(), Value::Null, &claimed), "answer.uid.credential");
        let keyless = json!({ "name": "s", "algorithm": "hmac_sha1", "content": { "sorted": {} } });
        assert_eq!(with(plain.clone(), keyless, &answer), "signature.key");
        let unknown = json!({ "name": "s", "algorithm": "md5", "content": { "sorted": { "suffix": "{secrets.k}" } } });
        assert_eq!(with(plain, unknown, &answer), "signature.content.sorted.suffix");
    }

    #[test]
    fn the_host_is_what_stands_before_port_and_path() {
        for (url, expected) in [
            ("https://a.example/x", Some("a.example")),
            ("http://127.0.0.1:80/", Some("127.0.0.1")),
            ("https://[::1]:8443/a", Some("::1")),
            ("https://a.example", None),
        ] {
            assert_eq!(host(url), expected, "{url}");
        }
    }
}
