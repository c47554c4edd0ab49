//! Parameters of a query or a form: decoded once, each name once.

use percent_encoding::percent_decode;

use super::callback::CallbackRefusal;

/// Parameters of one callback. Protects memory and time; channels send ten to thirty.
const MOST: usize = 256;

/// Names and their decoded values, in the order in which they came.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads `application/x-www-form-urlencoded`, as in a query. A name that comes twice is refused, whatever its values:
    /// the one that is signed and the one that is used must never be two. Escapes that are none are left as they are.
    pub(super) fn parse(whole: &'static str, raw: &[u8]) -> Result<Self, CallbackRefusal> {
        let mut parameters = Vec::new();
        for pair in raw.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let mut half = || decode(halves.next().unwrap_or_default());
            let (Some(name), Some(value)) = (half(), half()) else {
                return Err(CallbackRefusal::malformed(whole, "must be UTF-8"));
            };
            parameters.push((name, value));
        }
        Self::new(whole, parameters)
    }

    /// Checks that no name comes twice.
    pub(super) fn new(whole: &'static str, parameters: Vec<(String, String)>) -> Result<Self, CallbackRefusal> {
        if parameters.len() > MOST {
            return Err(CallbackRefusal::malformed(whole, "has more than 256 parameters"));
        }
        let mut names: Vec<_> = parameters.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        if names.windows(2).any(|two| two[0] == two[1]) {
            return Err(CallbackRefusal::malformed(whole, "has a parameter twice"));
        }
        Ok(Self(parameters))
    }

    /// The value of a parameter; an empty one is there.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(there, _)| there == name).map(|(_, value)| value.as_str())
    }

    /// A value that has to be there and must not be empty.
    pub(super) fn required(&self, name: &str) -> Result<&str, CallbackRefusal> {
        let missing = || CallbackRefusal::malformed(name.to_owned(), "is required");
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(missing)
    }

    /// Names and values in the order in which they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Values may be personal.
impl std::fmt::Debug for Parameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

fn decode(raw: &[u8]) -> Option<String> {
    let spaced: Vec<u8> = raw.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_decoded_once() {
        let parsed = Parameters::parse("body", b"a=1+2%2B3&b=%E9%87%91&&c&d=&e=%2525&f=50%&g=x=y").expect("good");
        let pairs: Vec<_> = parsed.iter().collect();
        let expected = [("a", "1 2+3"), ("b", "金"), ("c", ""), ("d", ""), ("e", "%25"), ("f", "50%"), ("g", "x=y")];
        assert_eq!(pairs, expected);
        assert_eq!((parsed.get("c"), parsed.get("z")), (Some(""), None));
        assert!(parsed.required("c").is_err() && parsed.required("z").is_err() && parsed.required("a").is_ok());
    }

    #[test]
    fn a_name_twice_or_bytes_that_are_no_text_are_refused() {
        let many = (0..257).map(|n| format!("p{n}=1")).collect::<Vec<_>>().join("&");
        for bad in [b"a=1&a=1".as_slice(), b"a=1&%61=2", b"a=%FF", b"a=\xff", many.as_bytes()] {
            assert!(Parameters::parse("body", bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_what_is_written_is_read_back(raw: Vec<u8>, pairs in prop::collection::btree_map(".*", ".*", 0..5)) {
            let _ = Parameters::parse("body", &raw);
            let written = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            let parsed = Parameters::parse("body", written.as_bytes()).expect("good");
            let expected: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            prop_assert_eq!(parsed.iter().collect::<Vec<_>>(), expected);
        }
    }
}
