//! The manifests that come with the program. Each says in itself where its rules are from.

/// A manifest that a configuration can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShippedManifest {
    /// As it is named in `"manifest": "…"`.
    pub name: &'static str,
    /// The manifest, to start an own one from.
    pub json: &'static str,
}

/// All of them, by name.
pub const SHIPPED: [ShippedManifest; 5] = [
    ShippedManifest { name: "huawei", json: include_str!("shipped/huawei.json") },
    ShippedManifest { name: "oppo", json: include_str!("shipped/oppo.json") },
    ShippedManifest { name: "uc", json: include_str!("shipped/uc.json") },
    ShippedManifest { name: "vivo", json: include_str!("shipped/vivo.json") },
    ShippedManifest { name: "xiaomi", json: include_str!("shipped/xiaomi.json") },
];

/// The JSON of a shipped manifest.
pub(super) fn find(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|shipped| shipped.name == name).map(|shipped| shipped.json)
}

/// What to say about a name that is none of them.
pub(super) fn not_known() -> String {
    format!("is not shipped; there are {}", SHIPPED.map(|shipped| shipped.name).join(", "))
}

#[cfg(test)]
mod tests;
