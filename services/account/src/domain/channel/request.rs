//! The question to a channel, as data: where to, which parameters, and in which form.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    signature::{SignaturePlace, SignatureRules, url_encoded},
    template::{MissingField, Place, Scope, Template},
};

/// How a question is put.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestRules {
    #[serde(default)]
    pub(crate) method: Method,
    /// `http` or `https`. Behind the host it may have `{app_id}` and `{values.…}`.
    pub(crate) url: Template,
    /// In the order they are sent.
    #[serde(default)]
    pub(crate) parameters: Vec<Parameter>,
    /// The form in which they are sent.
    #[serde(default)]
    pub(crate) send_as: SendAs,
    #[serde(default)]
    pub(crate) headers: Vec<Header>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Method {
    #[default]
    Get,
    Post,
}

/// The form of the parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SendAs {
    /// In the URL.
    #[default]
    Query,
    /// As the body of a form.
    Form,
    /// As a JSON object; a name with dots is a place within: `data.sid`.
    Json,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) value: Template,
    /// In a JSON object it is a whole number instead of a text.
    #[serde(default)]
    pub(crate) number: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    pub(crate) name: String,
    pub(crate) value: Template,
}

/// A question that is ready to be sent. Not printed: it is what the player proves their identity with.
pub(crate) struct Question {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    /// With its content type.
    pub(crate) body: Option<(&'static str, String)>,
}

impl RequestRules {
    /// The question for one credential.
    pub(crate) fn ask(&self, scope: Scope<'_>, signature: Option<&SignatureRules>) -> Result<Question, MissingField> {
        let mut parameters = self
            .parameters
            .iter()
            .map(|parameter| Ok((parameter.name.clone(), parameter.value.render(scope)?)))
            .collect::<Result<Vec<_>, MissingField>>()?;
        let mut headers = self
            .headers
            .iter()
            .map(|header| Ok((header.name.clone(), header.value.render(scope)?)))
            .collect::<Result<Vec<_>, MissingField>>()?;
        if let Some(rules) = signature {
            let signature = rules.sign(&parameters, scope)?;
            match rules.place {
                SignaturePlace::Parameter => parameters.push((rules.name.clone(), signature)),
                SignaturePlace::Header => headers.push((rules.name.clone(), signature)),
            }
        }
        let mut url = self.url.render_with(scope, url_encoded)?;
        let body = match self.send_as {
            SendAs::Query => {
                if !parameters.is_empty() {
                    url.push(if url.contains('?') { '&' } else { '?' });
                    url.push_str(&form_encoded(&parameters));
                }
                None
            }
            SendAs::Form => Some(("application/x-www-form-urlencoded", form_encoded(&parameters))),
            SendAs::Json => Some(("application/json", self.json(&parameters)?)),
        };
        Ok(Question { method: self.method, url, headers, body })
    }

    fn json(&self, parameters: &[(String, String)]) -> Result<String, MissingField> {
        let mut document = Map::new();
        for (name, text) in parameters {
            let is_number = self.parameters.iter().any(|parameter| parameter.number && parameter.name == *name);
            let value = match text.parse::<i64>() {
                Ok(number) if is_number => Value::from(number),
                Err(_) if is_number => return Err(MissingField(name.clone())),
                Ok(_) | Err(_) => Value::from(text.as_str()),
            };
            insert(&mut document, name, value);
        }
        Ok(Value::Object(document).to_string())
    }

    /// Every template, with its place.
    pub(crate) fn templates(&mut self) -> Vec<(String, &mut Template)> {
        let mut templates = vec![("url".to_owned(), &mut self.url)];
        for (place, parameter) in self.parameters.iter_mut().enumerate() {
            templates.push((format!("parameters[{place}].value"), &mut parameter.value));
        }
        for (place, header) in self.headers.iter_mut().enumerate() {
            templates.push((format!("headers[{place}].value"), &mut header.value));
        }
        templates
    }

    /// Whether the client's field of that name is part of the question.
    pub(crate) fn asks_about(&self, credential: &str) -> bool {
        let values = self.parameters.iter().map(|parameter| &parameter.value);
        values.chain(self.headers.iter().map(|header| &header.value)).any(|value| value.uses_credential(credential))
    }

    /// What can't be sent, with its place.
    pub(crate) fn validate(&self) -> Result<(), (String, &'static str)> {
        let in_url = |place: &Place| matches!(place, Place::AppId | Place::Value(_));
        if !self.url.places().all(in_url) {
            return Err(("url".to_owned(), "may fill in app_id and values only: URLs are written down on their way"));
        }
        if self.send_as != SendAs::Query && self.method == Method::Get {
            return Err(("send_as".to_owned(), "needs the method POST"));
        }
        if self.parameters.len() > 64 || self.headers.len() > 16 {
            return Err(("parameters".to_owned(), "are more than 64, or there are more than 16 headers"));
        }
        if let Some(place) = self.headers.iter().position(|header| !is_header_name(&header.name)) {
            return Err((format!("headers[{place}].name"), "must be 1-64 of A-Z, a-z, 0-9 and -"));
        }
        let empty = self.parameters.iter().position(|parameter| parameter.name.is_empty());
        empty.map_or(Ok(()), |place| Err((format!("parameters[{place}].name"), "must not be empty")))
    }
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Question").field("method", &self.method).finish_non_exhaustive()
    }
}

impl Method {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// A name that any server takes, and that can't end the line it stands in.
pub(crate) fn is_header_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn form_encoded(parameters: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// Puts a value where its name says; of two that want one place the later one stays.
fn insert(document: &mut Map<String, Value>, name: &str, value: Value) {
    match name.split_once('.') {
        None => {
            document.insert(name.to_owned(), value);
        }
        Some((outer, inner)) => {
            let within = document.entry(outer).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(within) = within {
                insert(within, inner, value);
            }
        }
    }
}
