namespace rs setting

/// Versioned settings, read by game clients through the gateway.

struct GetSettingsRequest {
    1: required i64 app_id,
    /// Absent means "official".
    2: optional string channel,
    3: optional string package_name,
    4: optional string version,
    5: optional i64 account_id,
    /// The entity tag the caller already has; if it still holds, the answer has no document.
    6: optional string if_none_match,
}

struct GetSettingsResponse {
    /// Changes whenever the evaluated settings may have changed. Strong: equal tags mean equal documents.
    1: required string entity_tag,
    /// The revision the settings came from; 0 when the app has published none.
    2: required i64 revision,
    /// A JSON object, name -> value. Absent when `if_none_match` still holds.
    3: optional string settings_json,
}

service SettingService {
    /// The settings of one app as its players on one channel see them. Read only.
    /// An app without settings has an empty object: a missing document is never an error.
    GetSettingsResponse GetSettings(1: GetSettingsRequest req),
}
