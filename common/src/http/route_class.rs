//! Which class of routes a path belongs to, by the head of the request alone.

use govern::priority::Class;

/// The class of a path of the public contract; `None` for those that belong to none, such as the documentation, and for
/// those that are none.
pub(super) fn class_of(path: &str) -> Option<Class> {
    const BEGINNINGS: [(&str, Class); 7] = [
        ("/v1/server/", Class::Verify),
        ("/v1/sdk/refresh", Class::Refresh),
        ("/v1/sdk/settings", Class::Settings),
        ("/v1/sdk/", Class::Login),
        ("/v1/partner/", Class::Ingest),
        ("/v1/pay/callbacks/", Class::PayCallback),
        ("/oauth2/introspect", Class::Verify),
    ];
    BEGINNINGS.iter().find(|(beginning, _)| path.starts_with(beginning)).map(|(_, class)| *class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_the_class_of_what_it_is_for() {
        for (path, class) in [
            ("/v1/server/tokens/verify", Some(Class::Verify)),
            ("/v1/sdk/refresh", Some(Class::Refresh)),
            ("/v1/sdk/settings", Some(Class::Settings)),
            ("/v1/sdk/login", Some(Class::Login)),
            ("/v1/partner/ads/events", Some(Class::Ingest)),
            ("/v1/pay/callbacks/sandbox/7", Some(Class::PayCallback)),
            ("/oauth2/introspect", Some(Class::Verify)),
            ("/docs", None),
            ("/", None),
        ] {
            assert_eq!(class_of(path), class, "{path}");
        }
    }
}
