//! JSON that came from outside, read with the name of the field that is wrong.

use serde::de::DeserializeOwned;

use super::callback::CallbackRefusal;

/// Reads a JSON document; `whole` is its own name. A field that comes twice is refused. Say which field, and never what
/// stands in it.
pub(super) fn read<T: DeserializeOwned>(whole: &'static str, json: &[u8]) -> Result<T, CallbackRefusal> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let read = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let message = error.into_inner().to_string();
        let quoted = || message.split('`').nth(1).unwrap_or_default().to_owned();
        // serde names the field of these two in its text only, between backticks; such names are ours.
        if message.starts_with("missing field") {
            return CallbackRefusal::malformed(joined(&path, &quoted()), "is required");
        }
        if message.starts_with("duplicate field") {
            return CallbackRefusal::malformed(joined(&path, &quoted()), "must not come twice");
        }
        match path.as_str() {
            "." => CallbackRefusal::malformed(whole, "is not the JSON object that is documented"),
            _ => CallbackRefusal::malformed(path, "is not of the documented type"),
        }
    })?;
    deserializer.end().map_err(|_| CallbackRefusal::malformed(whole, "goes on after its JSON"))?;
    Ok(read)
}

/// serde_path_to_error knows where a struct is, and not always which of its fields was missing or came twice.
pub(super) fn joined(path: &str, field: &str) -> String {
    match path {
        "." => field.to_owned(),
        _ if path == field || path.ends_with(&format!(".{field}")) => path.to_owned(),
        _ => format!("{path}.{field}"),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Outer {
        inner: Inner,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        number: i64,
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        let good: Outer = read("body", br#"{"inner":{"number":7}} "#).expect("good");
        assert_eq!(good.inner.number, 7);
        for (json, field) in [
            (r#"{"inner":{"number":"s3cret"}}"#, "inner.number"),
            (r#"{"inner":{}}"#, "inner.number"),
            (r#"{"inner":{"number":1,"number":2}}"#, "inner.number"),
            (r"{}", "inner"),
            (r"[]", "body"),
            (r#""s3cret""#, "body"),
            (r#"{"inner":{"number":7}}{}"#, "body"),
            ("", "body"),
        ] {
            let refused = read::<Outer>("body", json.as_bytes()).expect_err("refused");
            let CallbackRefusal::Malformed { field: named, .. } = &refused else { panic!("{refused:?}") };
            assert_eq!(named, field, "{json}");
            assert!(!refused.to_string().contains("s3cret"));
        }
    }
}
