//! What a span says: its name, its kind and its attributes.

use std::borrow::Cow;

use opentelemetry::{KeyValue, Value, trace::SpanKind};

/// What a span says. Names of attributes are those of OpenTelemetry's semantic conventions, our own begin with
/// `playgate.`. The name of a span has few values: a route and not a path, a statement's summary and not its values.
#[derive(Clone, Debug)]
pub struct Description {
    pub(super) name: Cow<'static, str>,
    pub(super) kind: SpanKind,
    pub(super) attributes: Vec<KeyValue>,
}

impl Description {
    /// Work inside this process: a wait, a computation.
    pub fn internal(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(name, SpanKind::Internal)
    }

    /// A question to something outside this process, seen from here.
    pub fn client(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(name, SpanKind::Client)
    }

    /// The answer to a question from outside.
    pub fn server(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(name, SpanKind::Server)
    }

    /// Adds an attribute: text, a number or a boolean.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push(KeyValue::new(key, value));
        self
    }

    /// The same under a name that was not known at the beginning.
    #[must_use]
    pub fn renamed(self, name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), ..self }
    }

    fn new(name: impl Into<Cow<'static, str>>, kind: SpanKind) -> Self {
        Self { name: name.into(), kind, attributes: Vec::new() }
    }
}
