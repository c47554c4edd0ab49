//! What an app declares: each setting's type and schema, and whether values have them.

use std::collections::BTreeMap;

use pilota::FastStr;
use serde_json::Value;

use crate::domain::{
    document::{Kind, Layer, Section, description},
    limits::DocumentLimits,
    members,
    problem::{Collector, Path, Shown},
    reserved::{self, Reserved},
    schema::Schema,
};

/// Steps that one document's schemas may take, to make them ready and to check its values: about a second.
const SCHEMA_WORK_MAX: usize = 50_000_000;

/// The settings of one document.
#[derive(Debug)]
pub(super) struct Declarations {
    /// `None` for one whose declaration is wrong: what is said of it can't be judged.
    by_name: BTreeMap<FastStr, Option<Declaration>>,
    schema_work_left: usize,
}

#[derive(Debug)]
struct Declaration {
    kind: Kind,
    schema: Option<Schema>,
    reserved: Option<Reserved>,
}

impl Declarations {
    /// Reads the section `settings`: the declarations, and the app's own values.
    pub(super) fn read(section: &Section<'_>, limits: &DocumentLimits, problems: &mut Collector) -> (Self, Layer) {
        let parent = Path::Root.member("settings");
        let mut declarations = Self { by_name: BTreeMap::new(), schema_work_left: SCHEMA_WORK_MAX };
        let mut values = Layer::new();
        for (name, value) in section {
            let path = parent.member(name);
            let declaration = declaration(name, value, limits, &mut declarations.schema_work_left, &path, problems);
            let declared = declaration.is_some();
            declarations.by_name.insert(FastStr::new(name), declaration);
            if let (true, Some(value)) = (declared, value.get("value")) {
                declarations.check(name, value, &path.member("value"), problems);
                values.insert(FastStr::new(name), value.clone());
            }
        }
        (declarations, values)
    }

    /// Whether `name` is declared, rightly or not.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Says that `name` is not declared.
    pub(super) fn complain(&self, name: &str, path: &Path<'_>, problems: &mut Collector) {
        problems.add(path, format!("names no setting: {:?} is not declared", Shown(name).to_string()));
    }

    /// Reads the values of a channel or a package.
    pub(super) fn layer(&mut self, value: &Value, path: &Path<'_>, problems: &mut Collector) -> Layer {
        let Some(members) = members::any_object(value, path, problems) else { return Layer::new() };
        let mut layer = Layer::new();
        for (name, value) in members {
            let path = path.member(name);
            if self.knows(name) {
                self.check(name, value, &path, problems);
                layer.insert(FastStr::new(name), value.clone());
            } else {
                self.complain(name, &path, problems);
            }
        }
        layer
    }

    /// Says what is wrong with a value of `name`.
    pub(super) fn check(&mut self, name: &str, value: &Value, path: &Path<'_>, problems: &mut Collector) {
        let Some(Some(declaration)) = self.by_name.get(name) else { return };
        if !declaration.kind.admits(value) {
            problems.add(path, format!("is {} and not a {}", members::kind_of(value), declaration.kind));
            return;
        }
        if let Some(schema) = &declaration.schema {
            match self.schema_work_left.checked_sub(schema.work(value)) {
                None => {
                    problems.add(path, "is too large for its schema: checking the document would take too long");
                    return;
                }
                Some(left) => self.schema_work_left = left,
            }
            if let Err(reason) = schema.check(value) {
                problems.add(path, reason);
            }
        }
        if let Some(reserved) = declaration.reserved {
            reserved.read(value, path, problems);
        }
    }
}

fn declaration(
    name: &str,
    value: &Value,
    limits: &DocumentLimits,
    schema_work_left: &mut usize,
    path: &Path<'_>,
    problems: &mut Collector,
) -> Option<Declaration> {
    members::name_is_good(name, limits.name_bytes_max, path, problems);
    let reserved = Reserved::of(name);
    if reserved.is_none() && name.starts_with(reserved::PREFIX) {
        let names = Reserved::ALL.map(|(name, _)| name).join(", ");
        problems.add(path, format!("is not known here: of {}* there are {names}", reserved::PREFIX));
    }
    let members = members::object(value, &["type", "value", "schema", "description"], path, problems)?;
    description(members, path, problems);
    for required in ["type", "value"] {
        if !members.contains_key(required) {
            problems.add(path, format!("has no {required}"));
        }
    }
    let schema = members.get("schema").map(|schema| Schema::compile(schema, schema_work_left)).transpose();
    let schema = schema.map_err(|reason| problems.add(&path.member("schema"), reason));
    let kind = members::text(members, "type", path, problems)?;
    let Some(kind) = Kind::parse(kind) else {
        problems.add(&path.member("type"), "must be bool, number, string or json");
        return None;
    };
    if let Some(reserved) = reserved.filter(|reserved| reserved.kind() != kind) {
        problems.add(&path.member("type"), format!("must be {} for this name", reserved.kind()));
        return None;
    }
    // A schema that can't be used leaves the type to be checked.
    Some(Declaration { kind, schema: schema.unwrap_or_default(), reserved })
}
