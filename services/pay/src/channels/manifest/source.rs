//! The parameters of a callback, from wherever a channel puts them.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    super::{
        callback::{CallbackRefusal, RawCallback},
        parameters::Parameters,
    },
    rules::{Manifest, Source},
};

/// What a callback carries.
pub(super) struct Sent<'a> {
    pub(super) parameters: Parameters,
    /// What is signed if it is signed as it came.
    pub(super) raw: Vec<u8>,
    /// The form around a JSON document.
    pub(super) form: Option<Parameters>,
    /// The JSON document, whole.
    document: Option<std::borrow::Cow<'a, str>>,
}

/// The members of a JSON object in their order, values as they are written.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Sent<'a> {
    pub(super) fn read(manifest: &Manifest, callback: &RawCallback<'a>) -> Result<Self, CallbackRefusal> {
        let flat = |whole, raw: &[u8]| {
            let parameters = Parameters::parse(whole, raw)?;
            Ok(Self { parameters, raw: raw.to_vec(), form: None, document: None })
        };
        match &manifest.source {
            Source::Query => flat("query", callback.query.as_bytes()),
            Source::QueryOrForm if callback.method == "GET" => flat("query", callback.query.as_bytes()),
            Source::Form | Source::QueryOrForm => flat("body", callback.body),
            Source::Json => {
                let document = str::from_utf8(callback.body);
                let document = document.map_err(|_| CallbackRefusal::malformed("body", "must be UTF-8"))?;
                let parameters = parameters_in(document, manifest.parameters_at.as_deref())?;
                Ok(Self { parameters, raw: callback.body.to_vec(), form: None, document: Some(document.into()) })
            }
            Source::FormJson(field) => {
                let form = Parameters::parse("body", callback.body)?;
                let document = form.required(field)?.to_owned();
                let parameters = parameters_in(&document, manifest.parameters_at.as_deref())?;
                let raw = document.clone().into_bytes();
                Ok(Self { parameters, raw, form: Some(form), document: Some(document.into()) })
            }
        }
    }

    /// The text at a place of the document.
    pub(super) fn at_pointer(&self, pointer: &str) -> Result<Option<String>, CallbackRefusal> {
        let Some(document) = self.document.as_deref() else { return Ok(None) };
        let Some((parent, name)) = pointer.rsplit_once('/') else { return Ok(None) };
        let parameters = parameters_in(document, Some(parent))?;
        Ok(parameters.get(name).map(ToOwned::to_owned))
    }
}

/// The members of the object at `pointer`, each once: texts decoded, numbers and what is nested as they are written, so
/// that `6.00` is signed as `6.00`.
fn parameters_in(document: &str, pointer: Option<&str>) -> Result<Parameters, CallbackRefusal> {
    let refused = || CallbackRefusal::malformed("body", "is not the JSON object that is documented");
    let mut members: Members<'_> = serde_json::from_str(document).map_err(|_| refused())?;
    for name in pointer.unwrap_or_default().split('/').skip(1) {
        let mut named = members.0.iter().filter(|(there, _)| there == name);
        let (Some((_, inner)), None) = (named.next(), named.next()) else { return Err(refused()) };
        members = serde_json::from_str(inner.get()).map_err(|_| refused())?;
    }
    let texts: Result<Vec<_>, _> = members.0.into_iter().map(|(name, value)| Ok((name, text(value)?))).collect();
    Parameters::new("body", texts.map_err(|()| refused())?)
}

fn text(value: &RawValue) -> Result<String, ()> {
    match value.get() {
        quoted if quoted.starts_with('"') => serde_json::from_str(quoted).map_err(drop),
        "null" => Ok(String::new()),
        written => Ok(written.to_owned()),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}
