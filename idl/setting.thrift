namespace rs setting

include "common.thrift"
include "setting_admin.thrift"

/// Versioned settings, read by game clients through the gateway, published by operators through its admin API.

/// Who asks. Every field may choose among an app's settings.
struct GetSettingsRequest {
    1: required i64 app_id,
    /// Absent means "official".
    2: optional string channel,
    3: optional string package_name,
    /// Version of the SDK, such as "1.12.0".
    4: optional string version,
    5: optional i64 account_id,
    /// The entity tag the caller already has; if it still holds, the answer has no document.
    6: optional string if_none_match,
    /// Stands in for the account in a rollout while nobody has signed in.
    7: optional string device_id,
    /// A revision the caller has seen: a replica that knows an older one looks into the store first. It answers what it
    /// has when that takes too long.
    8: optional i64 min_revision,
}

struct GetSettingsResponse {
    /// Strong: equal tags mean equal settings and revisions.
    1: required string entity_tag,
    /// The revision the settings came from; 0 when the app has published none.
    2: required i64 revision,
    /// A JSON object, name -> value. Absent when `if_none_match` still holds.
    3: optional string settings_json,
    /// When a time window begins or ends, in Unix milliseconds: until then, and while the revision is the app's, the same
    /// caller is answered the same. Absent: no window lies ahead.
    4: optional i64 valid_until,
    /// How long ago the store last confirmed this revision, in milliseconds.
    5: required i64 age_ms,
    /// Which of the caller's fields choose among this revision's settings, beside the channel. Callers that differ in no other
    /// field are answered the same.
    6: required DependsOn depends_on,
    /// What an operator has switched for sign-ins, for this caller.
    7: required common.SignInSwitches switches,
    /// A JSON array of messages to show at a sign-in; always there, `[]` if there are none.
    8: required string notices_json,
}

struct DependsOn {
    1: required bool package_name,
    2: required bool version,
    3: required bool account_id,
    4: required bool device_id,
}

struct GetRevisionsRequest {
    /// At most 1000.
    1: required list<i64> app_ids,
}

struct GetRevisionsResponse {
    /// App -> revision, for the apps this replica has a copy of; it begins to read the others.
    1: required map<i64, i64> revisions,
}

service SettingService {
    /// The settings of one app as this caller sees them. Read only.
    /// An app without settings has an empty object: a missing document is never an error.
    GetSettingsResponse GetSettings(1: GetSettingsRequest req),

    /// Which revision each app is at, from memory. Read only.
    GetRevisionsResponse GetRevisions(1: GetRevisionsRequest req),

    /// Publishes a document as the next revision. Compare-and-set: SETTINGS_CHANGED unless base_revision is the current one. A
    /// repeat of the same document on the same base, because the answer was lost, is answered the same.
    setting_admin.Published AdminPublish(1: setting_admin.PublishRequest req),

    /// Says what is wrong with a document, and what publishing it would change. Read only.
    setting_admin.ValidateResponse AdminValidate(1: setting_admin.ValidateRequest req),

    /// A document as it was published. Read only.
    setting_admin.Revision AdminGetRevision(1: setting_admin.GetRevisionRequest req),

    /// Who published what and why, newest first. Read only.
    setting_admin.ListVersionsResponse AdminListVersions(1: setting_admin.ListVersionsRequest req),

    /// What is different between two versions. Read only.
    setting_admin.DiffResponse AdminDiff(1: setting_admin.DiffRequest req),

    /// Publishes an earlier version again, as the next revision.
    setting_admin.Published AdminRollback(1: setting_admin.RollbackRequest req),

    /// Which layer or rule gives a caller each value, and why the others do not. Read only.
    setting_admin.ExplainResponse AdminExplain(1: setting_admin.ExplainRequest req),
}
