//! Which class of routes a path belongs to, by the head of the request alone: for limits that stand before the router.

use govern::priority::Class;

use super::Routes;

/// The classes of a table of routes.
#[derive(Clone, Debug, Default)]
pub struct RouteClasses(Vec<(Vec<Segment>, Class)>);

/// A part of a path between slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    This(&'static str),
    /// `{name}`.
    Any,
}

impl RouteClasses {
    /// Those of `routes`. Where the methods of a path differ, the first one that has a class counts.
    pub fn of(routes: &Routes) -> Self {
        let classed =
            routes.classes().filter_map(|(path, classes)| Some((path, classes.iter().find_map(|class| *class)?)));
        Self(classed.map(|(path, class)| (segments(path), class)).collect())
    }

    /// The class of a path; `None` for those that have none, such as the documentation, and for those that are none.
    pub(super) fn class_of(&self, path: &str) -> Option<Class> {
        let found = self.0.iter().find(|(pattern, _)| matches(pattern, path));
        found.map(|(_, class)| *class)
    }
}

fn segments(pattern: &'static str) -> Vec<Segment> {
    let segment = |text: &'static str| if text.starts_with('{') { Segment::Any } else { Segment::This(text) };
    pattern.split('/').map(segment).collect()
}

fn matches(pattern: &[Segment], path: &str) -> bool {
    let mut parts = path.split('/');
    let all = pattern.iter().all(|segment| {
        let part = parts.next();
        match segment {
            Segment::This(text) => part == Some(text),
            Segment::Any => part.is_some_and(|part| !part.is_empty()),
        }
    });
    all && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_the_class_of_its_route() {
        let classes = RouteClasses(vec![
            (segments("/v1/sdk/login"), Class::Login),
            (segments("/v1/sdk/sessions/{session_id}"), Class::Refresh),
            (segments("/v1/partner/{partner}/events"), Class::Ingest),
        ]);
        for (path, class) in [
            ("/v1/sdk/login", Some(Class::Login)),
            ("/v1/sdk/login/", None),
            ("/v1/sdk/logins", None),
            ("/v1/sdk/sessions/7", Some(Class::Refresh)),
            ("/v1/sdk/sessions/", None),
            ("/v1/sdk/sessions", None),
            ("/v1/partner/ads/events", Some(Class::Ingest)),
            ("/v1/partner/ads/clicks", None),
            ("/", None),
        ] {
            assert_eq!(classes.class_of(path), class, "{path}");
        }
    }
}
