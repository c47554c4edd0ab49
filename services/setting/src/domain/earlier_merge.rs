//! A channel's document laid over its app's.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::domain::earlier_document::{AppDocument, ChannelDocument, DocumentError, Override, Typed};

/// The settings of one app as one channel sees them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Settings {
    /// The higher of the two documents' revisions; 0 when neither has one.
    pub(crate) revision: i64,
    /// Name to value. Types have done their work by now.
    pub(crate) values: BTreeMap<String, Value>,
}

/// Lays `channel` over `app`: app first, channel on top.
///
/// A channel can't change the type of a setting its app declares. It may declare a setting of its own, with its type;
/// a bare value for a setting nobody declares is refused, because it is most likely a misspelt name.
pub(crate) fn merge(app: AppDocument, channel: ChannelDocument) -> Result<Settings, DocumentError> {
    let revision = app.revision.max(channel.revision);
    let mut merged = app.settings;
    for (name, said) in channel.settings {
        let declared = merged.get(&name).map(|typed| typed.kind);
        let typed = match (declared, said) {
            (None, Override::Plain(_)) => return Err(DocumentError::Undeclared { name }),
            (Some(declared), Override::Plain(value)) if !declared.admits(&value) => {
                return Err(DocumentError::WrongType { name, declared });
            }
            (Some(declared), Override::Typed(Typed { kind, .. })) if kind != declared => {
                return Err(DocumentError::Redeclared { name, declared, given: kind });
            }
            (Some(kind), Override::Plain(value)) => Typed { kind, value },
            (_, Override::Typed(typed)) => typed,
        };
        merged.insert(name, typed);
    }
    let values = merged.into_iter().map(|(name, typed)| (name, typed.value)).collect();
    Ok(Settings { revision, values })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn app(document: &Value) -> AppDocument {
        AppDocument::parse(document.to_string().as_bytes()).expect("an app document")
    }

    fn channel(document: &Value) -> ChannelDocument {
        ChannelDocument::parse(document.to_string().as_bytes()).expect("a channel document")
    }

    fn declared() -> AppDocument {
        app(&json!({"revision": 5, "settings": {
            "rate": {"type": "number", "value": 1},
            "motd": {"type": "string", "value": "hello"},
            "shop": {"type": "json", "value": {"open": true}},
        }}))
    }

    #[test]
    fn a_channel_overrides_what_it_names_and_inherits_the_rest() {
        let merged =
            merge(declared(), channel(&json!({"revision": 2, "settings": {"rate": 2, "shop": null}}))).expect("merges");
        assert_eq!(merged.revision, 5);
        assert_eq!(
            merged.values,
            BTreeMap::from([
                ("rate".to_owned(), json!(2)),
                ("motd".to_owned(), json!("hello")),
                ("shop".to_owned(), Value::Null)
            ])
        );
    }

    #[test]
    fn without_any_document_the_settings_are_empty() {
        assert_eq!(merge(AppDocument::default(), ChannelDocument::default()).expect("merges"), Settings::default());
    }

    #[test]
    fn a_channel_value_of_another_type_than_the_app_declared_is_refused() {
        for bad in
            [json!("2"), json!(null), json!({"type": "string", "value": "2"}), json!({"type": "json", "value": 2})]
        {
            let document = channel(&json!({"settings": {"rate": bad}}));
            assert!(merge(declared(), document).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_channel_may_declare_a_setting_of_its_own_but_not_name_one_without_a_type() {
        let own = channel(&json!({"settings": {"extra": {"type": "bool", "value": true}}}));
        assert_eq!(merge(declared(), own).expect("merges").values["extra"], json!(true));
        let misspelt = channel(&json!({"settings": {"raet": 2}}));
        assert!(matches!(merge(declared(), misspelt), Err(DocumentError::Undeclared { name }) if name == "raet"));
    }
}
