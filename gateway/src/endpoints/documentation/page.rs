//! `GET /docs`: the contract for people, rendered once at start from the OpenAPI document.
//!
//! One page without scripts or outside assets: it works behind any firewall and in print.

use std::{fmt::Write, sync::Arc};

use http::{HeaderValue, header};
use serde_json::{Map, Value};
use volo_http::{body::Body, response::Response, server::IntoResponse, utils::Extension};

use crate::state::Gateway;

const STYLE: &str = include_str!("page.css");
const INTRODUCTION: &str = include_str!("introduction.html");

/// This contract, as a page for people.
#[utoipa::path(get, path = "/docs", operation_id = "docs", tag = "Documentation", responses((status = 200, description = "The page.")))]
pub(crate) async fn page(Extension(gateway): Extension<Arc<Gateway>>) -> Response {
    let mut response = Body::from(gateway.docs_page.clone()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
    );
    response
}

/// Renders an OpenAPI document as one HTML page.
pub(crate) fn render(document: &Value) -> String {
    let mut html = String::with_capacity(64 * 1024);
    let version = text(&document["info"]["version"]);
    html.push_str("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    html.push_str(
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>playgate API</title>",
    );
    let _ = write!(html, "<style>{STYLE}</style></head><body><main><h1>playgate API <small>{version}</small></h1>");
    html.push_str(INTRODUCTION);
    contents(&mut html, document);
    for tag in array(&document["tags"]) {
        let name = tag["name"].as_str().unwrap_or_default();
        let _ = write!(html, "<h2>{}</h2><p>{}</p>", escape(name), prose(&tag["description"]));
        for (path, method, operation) in operations(document).filter(|(_, _, operation)| has_tag(operation, name)) {
            endpoint(&mut html, document, path, method, operation);
        }
    }
    error_codes(&mut html, document);
    html.push_str("</main></body></html>");
    html
}

fn contents(html: &mut String, document: &Value) {
    html.push_str("<nav>");
    for tag in array(&document["tags"]) {
        let name = tag["name"].as_str().unwrap_or_default();
        let _ = write!(html, "<h3>{}</h3><ul>", escape(name));
        for (path, method, operation) in operations(document).filter(|(_, _, operation)| has_tag(operation, name)) {
            let _ = write!(
                html,
                "<li><a href=\"#{}\"><code><b>{}</b> {}</code></a> {}</li>",
                anchor(method, path),
                method.to_uppercase(),
                escape(path),
                prose(&operation["summary"]),
            );
        }
        html.push_str("</ul>");
    }
    html.push_str("<ul><li><a href=\"#codes\">Error codes</a></li></ul></nav>");
}

fn endpoint(html: &mut String, document: &Value, path: &str, method: &str, operation: &Value) {
    let _ = write!(
        html,
        "<section id=\"{}\"><h3><code><b>{}</b> {}</code></h3>",
        anchor(method, path),
        method.to_uppercase(),
        escape(path),
    );
    for paragraph in [&operation["summary"], &operation["description"]] {
        if paragraph.as_str().is_some_and(|text| !text.is_empty()) {
            let _ = write!(html, "<p>{}</p>", prose(paragraph));
        }
    }
    let parameters = array(&operation["parameters"]);
    if !parameters.is_empty() {
        html.push_str("<h4>Query</h4><table>");
        for parameter in parameters {
            let required = parameter["required"].as_bool().unwrap_or(false);
            let name = text(&parameter["name"]);
            row(html, document, &name, &parameter["schema"], required, &parameter["description"]);
        }
        html.push_str("</table>");
    }
    if let Some(content) = operation["requestBody"]["content"].as_object() {
        for (content_type, body) in content {
            let _ = write!(html, "<h4>Body <small>{}</small></h4>", escape(content_type));
            fields(html, document, &body["schema"]);
        }
    }
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let schema = &response["content"]["application/json"]["schema"];
        let data = schema.pointer("/properties/data").unwrap_or(schema);
        if status.starts_with('2') && !data.is_null() {
            let place = if data == schema { "" } else { " <small>in <code>data</code></small>" };
            let _ = write!(html, "<h4>Answer {}{place}</h4>", escape(status));
            fields(html, document, data);
        } else {
            let _ = write!(html, "<p><b>{}</b> {}</p>", escape(status), prose(&response["description"]));
        }
    }
    html.push_str("</section>");
}

/// The fields of an object schema, as a table; parts of an `allOf` one after another.
fn fields(html: &mut String, document: &Value, schema: &Value) {
    let mut collected = Vec::new();
    collect_fields(document, schema, &mut collected, 0);
    if collected.is_empty() {
        html.push_str("<p>An empty object.</p>");
        return;
    }
    html.push_str("<table>");
    for (name, field, required) in collected {
        row(html, document, &escape(name), field, required, &field["description"]);
        for (inner, field, required) in item_fields(document, field) {
            let name = format!("{}[].{}", escape(name), escape(inner));
            row(html, document, &name, field, required, &field["description"]);
        }
    }
    html.push_str("</table>");
}

/// Deep enough for every schema of the contract; protects the renderer from a schema that contains itself.
const MAX_DEPTH: usize = 4;

fn collect_fields<'d>(
    document: &'d Value,
    schema: &'d Value,
    into: &mut Vec<(&'d str, &'d Value, bool)>,
    depth: usize,
) {
    if depth > MAX_DEPTH {
        return;
    }
    let schema = resolve(document, schema);
    for part in array(&schema["allOf"]).iter().chain(array(&schema["oneOf"])) {
        collect_fields(document, part, into, depth + 1);
    }
    let required = array(&schema["required"]);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        into.push((name, field, required.iter().any(|required| required == name)));
    }
}

fn item_fields<'d>(document: &'d Value, field: &'d Value) -> Vec<(&'d str, &'d Value, bool)> {
    let mut collected = Vec::new();
    collect_fields(document, &field["items"], &mut collected, 1);
    collected
}

fn row(html: &mut String, document: &Value, name: &str, schema: &Value, required: bool, description: &Value) {
    let optional = if required { "" } else { "?" };
    // What a reference points to says more than its name, unless the field has words of its own.
    let description = if description.is_null() { &resolve(document, schema)["description"] } else { description };
    let _ = write!(
        html,
        "<tr><td><code>{name}{optional}</code></td><td>{}</td><td>{}</td></tr>",
        type_name(document, schema),
        prose(description),
    );
}

fn type_name(document: &Value, schema: &Value) -> String {
    let values: Vec<_> = array(&resolve(document, schema)["enum"]).iter().map(text).collect();
    if !values.is_empty() {
        return values.iter().map(|value| format!("<code>{value}</code>")).collect::<Vec<_>>().join(" ");
    }
    if let Some(reference) = schema["$ref"].as_str() {
        return escape(reference.rsplit('/').next().unwrap_or_default());
    }
    match &schema["type"] {
        Value::String(name) if name == "array" => format!("array of {}", type_name(document, &schema["items"])),
        Value::String(name) => escape(name),
        Value::Array(names) => {
            let names: Vec<&str> = names.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect();
            escape(&names.join(" or "))
        }
        _ => {
            let choices = array(&schema["oneOf"]).iter().filter(|choice| choice["type"] != "null");
            choices.map(|choice| type_name(document, choice)).collect::<Vec<_>>().join(" or ")
        }
    }
}

fn error_codes(html: &mut String, document: &Value) {
    html.push_str("<h2 id=\"codes\">Error codes</h2><table>");
    let list = document["components"]["schemas"]["Error"]["properties"]["code"]["description"].as_str();
    for line in list.unwrap_or_default().lines() {
        let (code, meaning) = line.trim_start_matches("- ").split_once(' ').unwrap_or((line, ""));
        let _ = write!(
            html,
            "<tr><td><code>{}</code></td><td>{}</td></tr>",
            escape(code.trim_matches('`')),
            escape(meaning)
        );
    }
    html.push_str("</table>");
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths: Option<&Map<String, Value>> = document["paths"].as_object();
    paths.into_iter().flatten().flat_map(|(path, operations)| {
        let operations = operations.as_object().into_iter().flatten();
        operations.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

fn has_tag(operation: &Value, name: &str) -> bool {
    array(&operation["tags"]).iter().any(|tag| tag == name)
}

fn resolve<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap_or(schema),
        None => schema,
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn anchor(method: &str, path: &str) -> String {
    format!("{method}{}", path.replace(['/', '.', '{', '}'], "-"))
}

fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

/// Escaped text in which `back-ticked` words become code.
fn prose(value: &Value) -> String {
    let escaped = text(value);
    let mut html = String::with_capacity(escaped.len());
    for (index, part) in escaped.split('`').enumerate() {
        if index % 2 == 1 {
            let _ = write!(html, "<code>{part}</code>");
        } else {
            html.push_str(part);
        }
    }
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_every_endpoint_and_needs_nothing_from_outside() {
        let document = crate::openapi::document();
        let html = render(&document);
        for (path, method, _) in operations(&document) {
            assert!(html.contains(&format!("id=\"{}\"", anchor(method, path))), "{method} {path}");
        }
        for outside in ["<script", "src=", "@import", "url(", "<link"] {
            assert!(!html.contains(outside), "{outside}");
        }
        assert!(html.contains("refresh_expires_at"), "flattened fields are shown too");
        assert!(html.contains("<code>revoked</code> <code>banned</code>"), "the values of an enum are shown");
    }

    #[test]
    fn text_from_the_document_cannot_become_markup() {
        assert_eq!(prose(&Value::from("a <b> `c & d`")), "a &lt;b&gt; <code>c &amp; d</code>");
    }
}
