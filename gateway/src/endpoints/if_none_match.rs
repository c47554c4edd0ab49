//! The `If-None-Match` header, for answers with an entity tag.

use std::convert::Infallible;

use http::{HeaderMap, HeaderValue, header, request::Parts};
use volo::FastStr;
use volo_http::{context::ServerContext, server::extract::FromContext};

/// A longer header is treated as absent: the client gets the whole answer.
const LIMIT: usize = 1024;

/// The header as it came, if it is one that can be compared.
#[derive(Debug)]
pub(crate) struct IfNoneMatch(pub(crate) Option<FastStr>);

impl IfNoneMatch {
    /// Whether the client has the answer of this tag already (RFC 9110 section 13.1.2; the comparison is the weak one).
    pub(crate) fn matches(&self, entity_tag: &HeaderValue) -> bool {
        let Some(listed) = &self.0 else { return false };
        let mut tags = listed.split(',').map(|tag| tag.trim().trim_start_matches("W/"));
        tags.any(|tag| tag == "*" || tag.as_bytes() == entity_tag.as_bytes())
    }
}

impl FromContext for IfNoneMatch {
    type Rejection = Infallible;

    async fn from_context(_: &mut ServerContext, parts: &mut Parts) -> Result<Self, Self::Rejection> {
        Ok(Self(if_none_match(&parts.headers)))
    }
}

fn if_none_match(headers: &HeaderMap) -> Option<FastStr> {
    let text = headers.get(header::IF_NONE_MATCH)?.to_str().ok()?;
    (text.len() <= LIMIT).then(|| FastStr::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_matches_whether_it_is_weak_or_one_of_several_and_a_star_matches_all() {
        let tag = HeaderValue::from_static("\"a.b\"");
        let matches = |text: &'static str| IfNoneMatch(Some(FastStr::from_static_str(text))).matches(&tag);
        for same in ["\"a.b\"", "W/\"a.b\"", "\"x\", \"a.b\"", "*"] {
            assert!(matches(same), "{same}");
        }
        for other in ["", "a.b", "\"a\"", "\"A.B\""] {
            assert!(!matches(other), "{other}");
        }
        assert!(!IfNoneMatch(None).matches(&tag));
    }

    #[test]
    fn an_over_long_header_is_as_good_as_none() {
        let long = HeaderValue::from_str(&"x".repeat(LIMIT + 1)).expect("visible");
        assert_eq!(if_none_match(&HeaderMap::from_iter([(header::IF_NONE_MATCH, long)])), None);
    }
}
