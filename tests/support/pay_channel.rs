//! Payment channels as they are: each says in its own form that somebody has paid, signs that with its own keys, and reads
//! its own words. Written a second time, from what the channels publish.

use std::sync::Arc;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    digest::{SHA1_FOR_LEGACY_USE_ONLY, digest},
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use md5::{Digest, Md5};
use reqwest::{Method, RequestBuilder};
use rsa::{Pkcs1v15Sign, RsaPrivateKey, pkcs8::DecodePrivateKey};
use serde_json::{Value, json};

use super::{Client, now_ms};

/// The secret that a channel has given the studio, where it gives one.
const SECRET: &str = "a secret that the channel gave us";

/// WeChat Pay's `APIv3` key.
const API_V3_KEY: &str = "0123456789abcdef0123456789ABCDEF";

/// The name of the key that WeChat Pay signs with.
const SERIAL: &str = "PUB_KEY_ID_0000000000000024101100397200000006";

/// Who the studio is at every channel.
const MERCHANT: &str = "2088000000000001";

/// The names of all there are here; they are the names of the shipped manifests where one describes the channel.
pub(crate) const PAY_CHANNELS: [&str; 7] = ["alipay", "wechat_pay", "oppo", "vivo", "huawei", "xiaomi", "uc"];

/// One of them.
#[derive(Clone)]
pub(crate) struct PayChannel {
    pub(crate) name: &'static str,
    keys: Arc<Keys>,
}

/// What a channel signs with.
struct Keys {
    rsa: RsaKeyPair,
    /// The same key, for what is signed with SHA-1.
    rsa_with_sha1: RsaPrivateKey,
}

/// What a channel is to say: the truth, unless a story changes it.
#[derive(Clone)]
pub(crate) struct Said {
    pub(crate) order_id: String,
    /// The channel's own number of the payment.
    pub(crate) trade: String,
    /// Minor units.
    pub(crate) fen: u64,
    /// Who is to get the money.
    pub(crate) merchant: String,
}

/// A callback, ready to be sent.
#[derive(Clone)]
pub(crate) struct Notice {
    method: Method,
    query: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

/// What a channel is answered, to the letter: status, content type, body.
pub(crate) type Words = (u16, &'static str, &'static str);

impl PayChannel {
    /// All of them, with keys that were made for this run.
    pub(crate) fn all() -> [Self; 7] {
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let pkcs8: Pkcs8V1Der<'_> = rsa.as_der().unwrap();
        let rsa_with_sha1 = RsaPrivateKey::from_pkcs8_der(pkcs8.as_ref()).unwrap();
        let keys = Arc::new(Keys { rsa, rsa_with_sha1 });
        PAY_CHANNELS.map(|name| Self { name, keys: Arc::clone(&keys) })
    }

    /// What an operator configures.
    pub(crate) fn config(&self) -> Value {
        let der: PublicKeyX509Der<'_> = self.keys.rsa.public_key().as_der().unwrap();
        let public_key = BASE64_STANDARD.encode(der.as_ref());
        let manifest = |further: Value| {
            let mut config = json!({ "kind": "manifest", "manifest": self.name });
            config.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
            config
        };
        let secrets = json!({ "key": SECRET });
        match self.name {
            "alipay" => json!({
                "kind": "alipay", "app_id": MERCHANT, "seller_id": MERCHANT, "alipay_public_key": public_key,
            }),
            "wechat_pay" => json!({
                "kind": "wechat_pay", "mch_id": MERCHANT, "app_id": MERCHANT, "platform_keys": { SERIAL: public_key },
                "secrets": { "api_v3_key": API_V3_KEY },
            }),
            "oppo" => manifest(json!({ "public_key": public_key })),
            "huawei" => manifest(json!({ "public_key": public_key, "merchant": { "user_name": MERCHANT } })),
            "vivo" => manifest(json!({ "merchant": { "app_id": MERCHANT, "cp_id": MERCHANT }, "secrets": secrets })),
            "xiaomi" => manifest(json!({ "merchant": { "app_id": MERCHANT }, "secrets": secrets })),
            "uc" => manifest(json!({ "merchant": { "game_id": MERCHANT }, "secrets": secrets })),
            other => panic!("{other}"),
        }
    }

    /// What it is answered when all is well, and when it is not believed.
    pub(crate) fn words(&self) -> (Words, Words) {
        let (text, form, json) = ("text/plain", "text/plain", "application/json");
        match self.name {
            "alipay" => ((200, text, "success"), (400, text, "failure")),
            "wechat_pay" => ((204, "", ""), (400, json, r#"{"code":"FAIL""#)),
            "oppo" => ((200, form, "result=OK&resultMsg="), (200, form, "result=FAIL&resultMsg=refused")),
            "vivo" => ((200, text, "success"), (400, text, "fail")),
            "huawei" => ((200, json, r#"{"result":0}"#), (200, json, r#"{"result":1}"#)),
            "xiaomi" => ((200, json, r#"{"errcode":200}"#), (200, json, r#"{"errcode":1525}"#)),
            "uc" => ((200, text, "SUCCESS"), (200, text, "FAILURE")),
            other => panic!("{other}"),
        }
    }

    /// Whether it says in its callback whom the money is for.
    pub(crate) fn names_the_merchant(&self) -> bool {
        self.name != "oppo"
    }

    /// Says something, signed as the channel signs.
    pub(crate) fn notice(&self, said: &Said) -> Notice {
        let Said { order_id, trade, fen, merchant } = said;
        let (fen_text, yuan) = (fen.to_string(), format!("{}.{:02}", fen / 100, fen % 100));
        let of = |pairs: &[(&str, &str)]| -> Pairs {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        match self.name {
            "alipay" => {
                let pairs = of(&[
                    ("app_id", merchant),
                    ("gmt_payment", "2026-11-30 10:34:56"),
                    ("out_trade_no", order_id),
                    ("seller_id", merchant),
                    ("subject", "60 金币"),
                    ("total_amount", &yuan),
                    ("trade_no", trade),
                    ("trade_status", "TRADE_SUCCESS"),
                ]);
                let sign = self.rsa_sha256(&joined(&sorted(&pairs), "&"));
                Notice::form(with(pairs, &[("sign", &sign), ("sign_type", "RSA2")]))
            }
            "wechat_pay" => self.wechat(said),
            "oppo" => {
                // In this order, whatever is in them.
                let pairs = of(&[
                    ("notifyId", trade),
                    ("partnerOrder", order_id),
                    ("productName", "60 金币"),
                    ("productDesc", "60 金币 & more"),
                    ("price", &fen_text),
                    ("count", "1"),
                    ("attach", ""),
                ]);
                let sign = self.rsa_sha1(&joined(&pairs, "&"));
                Notice::form(with(pairs, &[("sign", &sign)]))
            }
            "vivo" => {
                let pairs = of(&[
                    ("appId", merchant),
                    ("cpId", merchant),
                    ("cpOrderNumber", order_id),
                    ("extInfo", ""),
                    ("orderAmount", &fen_text),
                    ("orderNumber", trade),
                    ("payTime", "20261130103456"),
                    ("respCode", "200"),
                    ("tradeStatus", "0000"),
                ]);
                let secret = md5_hex(SECRET);
                let sign = md5_hex(&format!("{}&{secret}", joined(&sorted(&without_empty(&pairs)), "&")));
                Notice::form(with(pairs, &[("signMethod", "MD5"), ("signature", &sign)]))
            }
            "huawei" => {
                let pairs = of(&[
                    ("amount", &yuan),
                    ("extReserved", ""),
                    ("orderId", trade),
                    ("payType", "4"),
                    ("productName", "60 金币"),
                    ("requestId", order_id),
                    ("result", "0"),
                    ("tradeTime", "2026-11-30 10:34:56"),
                    ("userName", merchant),
                ]);
                let sign = self.rsa_sha256(&joined(&sorted(&pairs), "&"));
                Notice::form(with(pairs, &[("signType", "RSA256"), ("sign", &sign)]))
            }
            "xiaomi" => {
                let pairs = of(&[
                    ("appId", merchant),
                    ("cpOrderId", order_id),
                    ("cpUserInfo", ""),
                    ("orderId", trade),
                    ("orderStatus", "TRADE_SUCCESS"),
                    ("payFee", &fen_text),
                    ("payTime", "2026-11-30 10:34:56"),
                    ("productName", "60 金币"),
                ]);
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes());
                let text = joined(&sorted(&without_empty(&pairs)), "&");
                let sign = hex::encode(hmac::sign(&key, text.as_bytes()));
                Notice::query(with(pairs, &[("signature", &sign)]))
            }
            "uc" => {
                let pairs = of(&[
                    ("amount", &yuan),
                    ("callbackInfo", order_id),
                    ("failedDesc", ""),
                    ("gameId", merchant),
                    ("orderId", trade),
                    ("orderStatus", "S"),
                ]);
                let sign = md5_hex(&format!("{}{SECRET}", joined(&sorted(&pairs), "")));
                let data: Value = pairs
                    .into_iter()
                    .map(|(name, value)| (name, value.into()))
                    .collect::<serde_json::Map<_, _>>()
                    .into();
                Notice::json(Vec::new(), json!({ "ver": "2.0", "sign": sign, "data": data }).to_string())
            }
            other => panic!("{other}"),
        }
    }

    fn wechat(&self, said: &Said) -> Notice {
        let transaction = json!({
            "mchid": said.merchant, "appid": said.merchant, "out_trade_no": said.order_id, "transaction_id": said.trade,
            "trade_state": "SUCCESS", "success_time": "2026-11-30T10:34:56+08:00",
            "amount": { "total": said.fen, "payer_total": said.fen, "currency": "CNY" },
        });
        let (seal_nonce, mut sealed) = (*b"0123456789ab", transaction.to_string().into_bytes());
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, API_V3_KEY.as_bytes()).unwrap());
        let nonce = Nonce::assume_unique_for_key(seal_nonce);
        key.seal_in_place_append_tag(nonce, Aad::from("transaction"), &mut sealed).unwrap();
        let body = json!({ "id": "EV-1", "event_type": "TRANSACTION.SUCCESS", "resource": {
            "algorithm": "AEAD_AES_256_GCM", "ciphertext": BASE64_STANDARD.encode(sealed),
            "associated_data": "transaction", "nonce": str::from_utf8(&seal_nonce).unwrap(),
        } });
        let (body, timestamp) = (body.to_string(), (now_ms() / 1000).to_string());
        let signature = self.rsa_sha256(&format!("{timestamp}\nabcdef\n{body}\n"));
        let headers = vec![
            ("wechatpay-timestamp", timestamp),
            ("wechatpay-nonce", "abcdef".to_owned()),
            ("wechatpay-serial", SERIAL.to_owned()),
            ("wechatpay-signature", signature),
        ];
        Notice::json(headers, body)
    }

    fn rsa_sha256(&self, text: &str) -> String {
        let mut signature = vec![0; self.keys.rsa.public_modulus_len()];
        self.keys.rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
        BASE64_STANDARD.encode(signature)
    }

    fn rsa_sha1(&self, text: &str) -> String {
        /// `DigestInfo` of SHA-1, in front of the digest (RFC 8017, 9.2).
        const DIGEST_INFO: [u8; 15] = *b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14";
        let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        let content = [&DIGEST_INFO, digest.as_ref()].concat();
        BASE64_STANDARD.encode(self.keys.rsa_with_sha1.sign(Pkcs1v15Sign::new_unprefixed(), &content).unwrap())
    }
}

impl Said {
    /// `gems60` was paid for as it should be.
    pub(crate) fn of(order_id: &str) -> Self {
        let (trade, merchant) = (format!("T{order_id}"), MERCHANT.to_owned());
        Self { order_id: order_id.to_owned(), trade, fen: 600, merchant }
    }
}

impl Notice {
    fn form(pairs: Pairs) -> Self {
        let headers = vec![("content-type", "application/x-www-form-urlencoded".to_owned())];
        Self { method: Method::POST, query: String::new(), headers, body: encoded(pairs) }
    }

    fn query(pairs: Pairs) -> Self {
        Self { method: Method::GET, query: encoded(pairs), headers: Vec::new(), body: String::new() }
    }

    fn json(mut headers: Vec<(&'static str, String)>, body: String) -> Self {
        headers.push(("content-type", "application/json".to_owned()));
        Self { method: Method::POST, query: String::new(), headers, body }
    }

    /// Puts `to` where `from` is, which has to be there; the signature stays as it is.
    pub(crate) fn altered(&self, from: &str, to: &str) -> Self {
        let is_there = |text: &str| text.contains(from);
        let in_headers = self.headers.iter().any(|(_, value)| is_there(value));
        assert!(is_there(&self.query) || is_there(&self.body) || in_headers, "{from} is nowhere");
        let headers = self.headers.iter().map(|(name, value)| (*name, value.replace(from, to))).collect();
        let (query, body) = (self.query.replace(from, to), self.body.replace(from, to));
        Self { method: self.method.clone(), query, headers, body }
    }

    /// Its signature in letters of the other case.
    pub(crate) fn with_signature_in_other_case(&self) -> Self {
        let names = ["sign=", "signature=", "\"sign\":\""];
        let text = [self.query.as_str(), &self.body].concat();
        let in_header = self.headers.iter().find(|(name, _)| *name == "wechatpay-signature");
        let signature = in_header.map(|(_, signature)| signature.clone()).unwrap_or_else(|| {
            let at = names.iter().find_map(|name| Some(text.rfind(name)? + name.len())).unwrap();
            text[at..].split(['&', '"']).next().unwrap().to_owned()
        });
        let other = |letter: char| if letter.is_lowercase() { letter.to_ascii_uppercase() } else { letter };
        // An escape in a form is the same in either case, and stays as it is.
        let other_case =
            signature.split('%').enumerate().map(|(place, part)| match (place, part.split_at_checked(2)) {
                (1.., Some((escape, rest))) => [escape, &rest.chars().map(other).collect::<String>()].concat(),
                _ => part.chars().map(other).collect(),
            });
        self.altered(&signature, &other_case.collect::<Vec<_>>().join("%"))
    }

    /// The request to this path.
    pub(crate) fn request(&self, client: &Client, path: &str) -> RequestBuilder {
        let path = if self.query.is_empty() { path.to_owned() } else { format!("{path}?{}", self.query) };
        let request = client.request(self.method.clone(), &path).body(self.body.clone());
        self.headers.iter().fold(request, |request, (name, value)| request.header(*name, value))
    }

    /// One of its parameters once more, with this value.
    pub(crate) fn with_one_twice(&self, name: &str, value: &str) -> Self {
        let mut twice = self.clone();
        match (self.query.is_empty(), self.body.starts_with('{')) {
            (false, _) => twice.query.push_str(&format!("&{name}={value}")),
            (true, false) => twice.body.push_str(&format!("&{name}={value}")),
            (true, true) => twice.body = self.body.replacen('{', &format!("{{\"{name}\":{value},"), 1),
        }
        twice
    }
}

type Pairs = Vec<(String, String)>;

fn with(mut pairs: Pairs, further: &[(&str, &str)]) -> Pairs {
    pairs.extend(further.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    pairs
}

fn without_empty(pairs: &Pairs) -> Pairs {
    pairs.iter().filter(|(_, value)| !value.is_empty()).cloned().collect()
}

fn sorted(pairs: &Pairs) -> Pairs {
    let mut pairs = pairs.clone();
    pairs.sort();
    pairs
}

fn joined(pairs: &Pairs, by: &str) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(by)
}

fn encoded(pairs: Pairs) -> String {
    let mut address = reqwest::Url::parse("http://localhost/").unwrap();
    address.query_pairs_mut().extend_pairs(pairs);
    address.query().unwrap().to_owned()
}

fn md5_hex(text: &str) -> String {
    hex::encode(Md5::digest(text.as_bytes()))
}
