//! ID tokens of an OpenID provider (OpenID Connect Core 1.0, 3.1.3.7).

use serde::Deserialize;

use common::clock::Timestamp;

use super::{
    Judgement,
    credential::ChannelCredential,
    identity::ChannelUid,
    jwk::KeySet,
    jws::{Algorithm, Jws},
    signed_http::check_url,
    template::MissingField,
};

/// Whose ID tokens are good, and which.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OidcRules {
    /// Equal to the token's `iss`, to the letter.
    issuer: String,
    /// Where the issuer publishes its keys.
    pub(crate) jwks_uri: String,
    /// The client ids of this app: one of them has to be in the token's `aud`.
    audiences: Vec<String>,
    #[serde(default = "every_algorithm")]
    algorithms: Vec<Algorithm>,
    /// The field of the credential that holds the token.
    #[serde(default = "id_token")]
    token_field: String,
    #[serde(default)]
    nonce: Nonce,
    /// How far the issuer's clock may be off, in seconds: at most 300.
    #[serde(default = "one_minute")]
    clock_skew_s: u32,
    /// A token may be this old, in seconds, even if it is still good. Absent: as old as it likes.
    max_age_s: Option<u32>,
}

/// The nonce that the client gave the provider: the field `nonce` of the credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Nonce {
    /// If the client presents one, it has to be the token's.
    #[default]
    Optional,
    /// The client has to present one.
    Required,
}

/// A token that waits for the keys it may be signed with.
#[derive(Debug)]
pub(crate) struct Presented<'a> {
    jws: Jws<'a>,
    nonce: Option<&'a str>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: f64,
    iat: f64,
    nbf: Option<f64>,
    nonce: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

fn every_algorithm() -> Vec<Algorithm> {
    Algorithm::ALL.to_vec()
}

fn id_token() -> String {
    "id_token".to_owned()
}

fn one_minute() -> u32 {
    60
}

impl OidcRules {
    /// What can't work, with its place. Without `allow_http` the keys come over TLS only.
    pub(crate) fn validate(&self, allow_http: bool) -> Result<(), (&'static str, &'static str)> {
        let short = |text: &String| (1..=512).contains(&text.len());
        if !short(&self.issuer) {
            return Err(("issuer", "must be 1-512 bytes"));
        }
        check_url(&self.jwks_uri).map_err(|reason| ("jwks_uri", reason))?;
        if !allow_http && !self.jwks_uri.starts_with("https://") {
            return Err(("jwks_uri", "must be https: whoever changes the keys on their way is everybody"));
        }
        if !(1..=32).contains(&self.audiences.len()) || !self.audiences.iter().all(short) {
            return Err(("audiences", "must be 1-32 client ids of 1-512 bytes"));
        }
        if self.algorithms.is_empty() {
            return Err(("algorithms", "name at least one of RS256, ES256 and EdDSA"));
        }
        if self.token_field.is_empty() {
            return Err(("token_field", "must not be empty"));
        }
        if self.clock_skew_s > 300 {
            return Err(("clock_skew_s", "must be at most 300"));
        }
        Ok(())
    }

    /// The token of a credential. `Ok(None)`: what is there is no token that could be good.
    pub(crate) fn present<'a>(&self, credential: &'a ChannelCredential) -> Result<Option<Presented<'a>>, MissingField> {
        let token = credential.get(&self.token_field).ok_or_else(|| MissingField(self.token_field.clone()))?;
        let nonce = credential.get("nonce");
        if nonce.is_none() && self.nonce == Nonce::Required {
            return Err(MissingField("nonce".to_owned()));
        }
        let jws = Jws::parse(token).filter(|jws| self.algorithms.contains(&jws.algorithm));
        Ok(jws.map(|jws| Presented { jws, nonce }))
    }

    /// What a token is worth by these keys. Without a fitting key it is [`Judgement::Unclear`]: there may be newer keys.
    pub(crate) fn judge(&self, presented: &Presented<'_>, keys: &KeySet, now: Timestamp) -> Judgement {
        let jws = &presented.jws;
        let mut candidates = keys.candidates(jws.kid.as_deref(), jws.algorithm);
        let claims: Option<Claims> = candidates.find_map(|key| jws.claims(key));
        match claims {
            Some(claims) if self.accepts(&claims, presented.nonce, now) => match ChannelUid::parse(&claims.sub) {
                Some(uid) => Judgement::Accepted(uid),
                None => Judgement::WrongCredential,
            },
            Some(_) => Judgement::WrongCredential,
            // The key is there and has not signed this.
            None if jws.kid.as_deref().is_some_and(|kid| keys.has(kid)) => Judgement::WrongCredential,
            None => Judgement::Unclear("the token is signed with a key that the issuer had not published"),
        }
    }

    fn accepts(&self, claims: &Claims, nonce: Option<&str>, now: Timestamp) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of this age are far below 2^53")]
        let now = now.as_millis() as f64 / 1000.0;
        let skew = f64::from(self.clock_skew_s);
        let for_us = |audience: &String| self.audiences.contains(audience);
        let audience = match &claims.aud {
            Audience::One(audience) => for_us(audience),
            Audience::Many(audiences) => audiences.iter().any(for_us),
        };
        let young = self.max_age_s.is_none_or(|age| now - claims.iat <= f64::from(age) + skew);
        let in_time = now < claims.exp + skew
            && claims.iat <= now + skew
            && claims.nbf.is_none_or(|not_before| not_before <= now + skew);
        let same_nonce = nonce.is_none_or(|nonce| claims.nonce.as_deref() == Some(nonce));
        claims.iss == self.issuer && audience && in_time && young && same_nonce
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        rsa::KeySize,
        signature::{
            ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
        },
    };
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_700_000_000;

    enum Signer {
        Ed25519(Ed25519KeyPair),
        P256(EcdsaKeyPair),
        Rsa(RsaKeyPair),
    }

    fn encode(bytes: impl AsRef<[u8]>) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    impl Signer {
        fn ed25519() -> Self {
            Self::Ed25519(Ed25519KeyPair::generate().expect("a key"))
        }

        fn jwk(&self, kid: &str) -> Value {
            match self {
                Self::Ed25519(pair) => {
                    json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": encode(pair.public_key()) })
                }
                Self::P256(pair) => {
                    let point = pair.public_key().as_ref();
                    let (x, y) = (encode(&point[1..33]), encode(&point[33..]));
                    json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": x, "y": y, "use": "sig", "alg": "ES256" })
                }
                Self::Rsa(pair) => {
                    // RFC 8017, A.1.1, in DER: at these places for every key of 2048 bits. With a zero in front of n.
                    let der = pair.public_key().as_ref();
                    let (n, e) = (&der[8..265], &der[267..]);
                    json!({ "kty": "RSA", "kid": kid, "n": encode(n), "e": encode(e), "alg": "RS256" })
                }
            }
        }

        fn token(&self, header: &Value, claims: &Value) -> String {
            let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
            let signature = match self {
                Self::Ed25519(pair) => pair.sign(signed.as_bytes()).as_ref().to_vec(),
                Self::P256(pair) => {
                    pair.sign(&SystemRandom::new(), signed.as_bytes()).expect("signed").as_ref().to_vec()
                }
                Self::Rsa(pair) => {
                    let mut signature = vec![0; pair.public_modulus_len()];
                    let signing = pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature);
                    signing.expect("signed");
                    signature
                }
            };
            format!("{signed}.{}", encode(signature))
        }
    }

    fn claims() -> Value {
        json!({ "iss": "https://issuer.example", "sub": "player-1", "aud": "client", "exp": NOW + 600, "iat": NOW - 10 })
    }

    fn rules(changes: &Value) -> OidcRules {
        let mut document = json!({
            "issuer": "https://issuer.example", "jwks_uri": "https://issuer.example/jwks", "audiences": ["client", "web"],
        });
        document.as_object_mut().expect("an object").extend(changes.as_object().expect("an object").clone());
        let rules: OidcRules = serde_json::from_value(document).expect("rules");
        assert_eq!(rules.validate(false), Ok(()));
        rules
    }

    fn keys(keys: &[Value]) -> KeySet {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).expect("keys")
    }

    /// `None`: nothing that could be a good token.
    fn judge(rules: &OidcRules, token: &str, nonce: Option<&str>, keys: &KeySet) -> Option<Judgement> {
        let credential = json!({ "id_token": token, "nonce": nonce }).to_string();
        let credential = ChannelCredential::parse(&credential).expect("flat");
        let presented = rules.present(&credential).expect("a token")?;
        Some(rules.judge(&presented, keys, Timestamp::from_millis(NOW * 1000)))
    }

    fn accepted() -> Option<Judgement> {
        ChannelUid::parse("player-1").map(Judgement::Accepted)
    }

    #[test]
    fn each_algorithm_is_verified_with_its_own_kind_of_key() {
        let signers = [
            ("EdDSA", Signer::ed25519()),
            ("ES256", Signer::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"))),
            ("RS256", Signer::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"))),
        ];
        let set: Vec<Value> = signers.iter().map(|(alg, signer)| signer.jwk(alg)).collect();
        let set = keys(&set);
        for (alg, signer) in &signers {
            let token = signer.token(&json!({ "alg": alg, "kid": alg }), &claims());
            assert_eq!(judge(&rules(&json!({})), &token, None, &set), accepted(), "{alg}");
            let no_kid = signer.token(&json!({ "alg": alg }), &claims());
            assert_eq!(judge(&rules(&json!({})), &no_kid, None, &set), accepted(), "{alg} without a key id");
            let mut forged = token.clone();
            forged.replace_range(forged.len() - 6..forged.len() - 4, "AA");
            let forged = judge(&rules(&json!({})), &forged, None, &set);
            assert_eq!(forged, Some(Judgement::WrongCredential), "{alg}");
            // The key of another algorithm, by its id.
            for (other, _) in signers.iter().filter(|(other, _)| other != alg) {
                let confused = signer.token(&json!({ "alg": alg, "kid": other }), &claims());
                let judged = judge(&rules(&json!({})), &confused, None, &set);
                assert_eq!(judged, Some(Judgement::WrongCredential), "{alg} as {other}");
            }
        }
    }

    #[test]
    fn none_hmac_and_what_the_app_does_not_allow_are_no_algorithms() {
        let signer = Signer::ed25519();
        let set = keys(&[signer.jwk("one")]);
        for header in [
            json!({ "alg": "none", "kid": "one" }),
            json!({ "alg": "HS256", "kid": "one" }),
            json!({ "alg": "eddsa", "kid": "one" }),
            json!({ "alg": "EdDSA", "kid": "one", "crit": ["exp"] }),
            json!({ "kid": "one" }),
        ] {
            assert_eq!(judge(&rules(&json!({})), &signer.token(&header, &claims()), None, &set), None, "{header}");
        }
        let token = signer.token(&json!({ "alg": "EdDSA", "kid": "one" }), &claims());
        assert_eq!(judge(&rules(&json!({ "algorithms": ["RS256"] })), &token, None, &set), None);
        for text in ["x", "a.b", "a.b.c", "..", &token[1..]] {
            assert_eq!(judge(&rules(&json!({})), text, None, &set), None, "{text}");
        }
    }

    #[test]
    fn a_claim_that_does_not_fit_is_a_wrong_credential() {
        let signer = Signer::ed25519();
        let set = keys(&[signer.jwk("one")]);
        let judge = |rules: &OidcRules, change: Value| {
            let mut claims = claims();
            claims.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
            judge(rules, &signer.token(&json!({ "alg": "EdDSA", "kid": "one" }), &claims), Some("n-1"), &set)
        };
        let plain = rules(&json!({}));
        for good in [
            json!({ "nonce": "n-1" }),
            json!({ "nonce": "n-1", "aud": ["other", "web"] }),
            json!({ "nonce": "n-1", "exp": NOW - 59 }),
            json!({ "nonce": "n-1", "iat": NOW + 60, "nbf": NOW + 60 }),
            json!({ "nonce": "n-1", "exp": f64::from(1_700_000_100) + 0.5 }),
        ] {
            assert_eq!(judge(&plain, good.clone()), accepted(), "{good}");
        }
        for bad in [
            json!({}),
            json!({ "nonce": "n-2" }),
            json!({ "nonce": "n-1", "iss": "https://issuer.example/" }),
            json!({ "nonce": "n-1", "aud": "other" }),
            json!({ "nonce": "n-1", "aud": [] }),
            json!({ "nonce": "n-1", "exp": NOW - 60 }),
            json!({ "nonce": "n-1", "iat": NOW + 61 }),
            json!({ "nonce": "n-1", "nbf": NOW + 61 }),
            json!({ "nonce": "n-1", "sub": "" }),
            json!({ "nonce": "n-1", "exp": "soon" }),
        ] {
            assert_eq!(judge(&plain, bad.clone()), Some(Judgement::WrongCredential), "{bad}");
        }
        let strict = rules(&json!({ "max_age_s": 60, "clock_skew_s": 0 }));
        assert_eq!(judge(&strict, json!({ "nonce": "n-1", "iat": NOW - 60 })), accepted());
        assert_eq!(judge(&strict, json!({ "nonce": "n-1", "iat": NOW - 61 })), Some(Judgement::WrongCredential));
    }

    #[test]
    fn a_key_that_is_not_known_is_no_verdict() {
        let (known, unknown) = (Signer::ed25519(), Signer::ed25519());
        let set = keys(&[known.jwk("one")]);
        for header in [json!({ "alg": "EdDSA", "kid": "two" }), json!({ "alg": "EdDSA" })] {
            let judged = judge(&rules(&json!({})), &unknown.token(&header, &claims()), None, &set);
            assert!(matches!(judged, Some(Judgement::Unclear(_))), "{header}");
        }
    }

    #[test]
    fn keys_for_other_uses_are_left_out_and_an_empty_set_is_none() {
        let signer = Signer::ed25519();
        let mut other = signer.jwk("enc");
        other["use"] = "enc".into();
        let mut foreign = signer.jwk("alg");
        foreign["alg"] = "ES256".into();
        let set = keys(&[json!({ "kty": "oct", "k": "AA" }), json!(7), other, foreign, signer.jwk("one")]);
        assert!(set.has("one") && !set.has("enc") && !set.has("alg"));
        for document in ["", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","k":"AA"}]}"#] {
            assert!(KeySet::parse(document.as_bytes()).is_err(), "{document}");
        }
        let many: Vec<Value> = (0..100).map(|number| signer.jwk(&number.to_string())).collect();
        let set = keys(&many);
        assert!(set.has("31") && !set.has("32"));
    }

    #[test]
    fn a_required_nonce_has_to_be_presented() {
        let credential = ChannelCredential::parse(r#"{"id_token":"a.b.c"}"#).expect("flat");
        let required = rules(&json!({ "nonce": "required" })).present(&credential).err();
        assert_eq!(required, Some(MissingField("nonce".to_owned())));
        let empty = ChannelCredential::parse("{}").expect("flat");
        assert_eq!(rules(&json!({})).present(&empty).err(), Some(MissingField("id_token".to_owned())));
    }

    #[test]
    fn rules_that_could_not_work_are_refused_by_their_key() {
        for (change, key) in [
            (json!({ "issuer": "" }), "issuer"),
            (json!({ "jwks_uri": "http://issuer.example/jwks" }), "jwks_uri"),
            (json!({ "jwks_uri": "jwks" }), "jwks_uri"),
            (json!({ "audiences": [] }), "audiences"),
            (json!({ "algorithms": [] }), "algorithms"),
            (json!({ "clock_skew_s": 301 }), "clock_skew_s"),
        ] {
            let mut document = json!({
                "issuer": "https://issuer.example", "jwks_uri": "https://issuer.example/jwks", "audiences": ["client"],
            });
            document.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
            let rules: OidcRules = serde_json::from_value(document).expect("rules");
            assert_eq!(rules.validate(false).map_err(|(key, _)| key), Err(key), "{change}");
        }
    }
}
