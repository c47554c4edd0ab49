//! Whose a request is, by the copy of the key ring: for rules that send accounts to lanes.
//!
//! Decides nothing about the token: an expired or revoked one still says whose it is, and is refused where it is judged.

use std::sync::Arc;

use common::{
    clock::SharedClock,
    http::{AccountOfRequest, bearer_token},
};
use http::HeaderMap;

use super::held::TokenCopy;

/// Opens access tokens with the copy. Less than a microsecond, and no questions asked.
#[derive(Debug)]
pub struct AccountsByToken {
    pub(super) copy: Arc<TokenCopy>,
    pub(super) clock: SharedClock,
}

impl AccountOfRequest for AccountsByToken {
    fn account(&self, headers: &HeaderMap) -> Option<i64> {
        self.copy.account(bearer_token(headers)?, self.clock.now())
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header::AUTHORIZATION};

    use super::*;
    use crate::token_copy::{
        testing::{NOW, token},
        tokens::tests::{tokens, tokens_at},
    };

    fn bearing(token: &str) -> HeaderMap {
        let value = HeaderValue::from_str(&format!("Bearer {token}")).expect("a header");
        HeaderMap::from_iter([(AUTHORIZATION, value)])
    }

    #[tokio::test]
    async fn a_genuine_token_says_whose_it_is_whether_it_is_still_good_or_not_and_a_forged_one_says_nothing() {
        let accounts = tokens().accounts().expect("a copy");
        let later = tokens_at(NOW + std::time::Duration::from_secs(30 * 24 * 3600)).accounts().expect("a copy");
        let genuine = token(1);
        assert_eq!(accounts.account(&bearing(&genuine)), Some(1));
        assert_eq!(later.account(&bearing(&genuine)), Some(1));
        let mut forged = genuine;
        let last = forged.pop().expect("not empty");
        forged.push(if last == 'A' { 'B' } else { 'A' });
        for stranger in [bearing(&forged), bearing("garbage"), HeaderMap::new()] {
            assert_eq!(accounts.account(&stranger), None);
        }
    }
}
