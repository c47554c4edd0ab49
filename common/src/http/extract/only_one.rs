//! A header that says who asks has to be there once. Of two, a proxy in front and this process may each believe another.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header's value; `None` when it is missing or given more than once.
pub fn only_one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value)
}
