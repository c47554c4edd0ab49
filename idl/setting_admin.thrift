namespace rs setting_admin

/// What operators ask of the setting service. The methods are in setting.thrift, named `Admin…`; only the admin API of a
/// gateway calls them, after it has seen the operator's token.
///
/// A version is immutable and says who published it, when and why: the list of versions is the record of every change.
/// Revision and version are one number, counted per app from 1.

struct PublishRequest {
    1: required i64 app_id,
    /// The revision the document was made from; 0 for an app's first.
    2: required i64 base_revision,
    /// A settings document (docs/settings.md).
    3: required string document_json,
    4: required string note,
    5: required string author,
}

struct Published {
    1: required i64 revision,
    2: required i64 published_at,
}

struct ValidateRequest {
    1: required i64 app_id,
    2: required string document_json,
}

/// Something that keeps a document from being published.
struct Problem {
    /// Where, such as `rules[3].when.percent`.
    1: required string path,
    2: required string reason,
}

struct ValidateResponse {
    /// Empty: it can be published. At most 100.
    1: required list<Problem> problems,
    /// Against the current revision; empty if there are problems.
    2: required list<Change> changes,
    3: required i64 current_revision,
}

struct GetRevisionRequest {
    1: required i64 app_id,
    /// Absent: the current one.
    2: optional i64 revision,
}

/// Who published a version, when and why.
struct VersionInfo {
    1: required i64 version,
    2: required i64 published_at,
    3: required string author,
    4: required string note,
    /// The version it repeats, if it was a roll-back.
    5: optional i64 rolled_back_to,
    /// Size of the document.
    6: required i64 bytes,
}

struct Revision {
    /// 0 if the app has published none.
    1: required i64 revision,
    2: required string document_json,
    /// Absent for revision 0.
    3: optional VersionInfo info,
    /// How long ago the store confirmed that this is the current revision; absent for an earlier one that was asked for.
    4: optional i64 age_ms,
}

struct ListVersionsRequest {
    1: required i64 app_id,
    /// Only versions below this one; absent: from the newest on.
    2: optional i64 before,
    /// 1-100.
    3: required i32 limit,
}

struct ListVersionsResponse {
    1: required list<VersionInfo> versions,
    /// Give it as `before` to read on; absent at the end.
    2: optional i64 next_before,
}

struct DiffRequest {
    1: required i64 app_id,
    2: required i64 from_version,
    3: required i64 to_version,
}

struct Change {
    /// Where, such as `settings.drop_rate.value`.
    1: required string path,
    /// "added", "removed" or "changed".
    2: required string kind,
    3: optional string before_json,
    4: optional string after_json,
}

struct DiffResponse {
    /// At most 1000.
    1: required list<Change> changes,
    2: required bool truncated,
}

struct RollbackRequest {
    1: required i64 app_id,
    2: required i64 to_version,
    3: required string note,
    4: required string author,
    /// If given: only if this is the current revision.
    5: optional i64 base_revision,
}

/// A caller as it may come one day. See GetSettingsRequest.
struct ExplainRequest {
    1: required i64 app_id,
    2: optional string channel,
    3: optional string package_name,
    4: optional string version,
    5: optional i64 account_id,
    6: optional string device_id,
    /// Unix milliseconds; absent: now.
    7: optional i64 at,
    /// Absent: the current one.
    8: optional i64 revision,
    /// Instead of a revision: a document that is not published yet.
    9: optional string document_json,
}

/// One layer or rule that has a value for a setting.
struct Candidate {
    /// "default", "channels.official", "packages.com.example", "rules[3]".
    1: required string source,
    2: required string value_json,
    /// Whether its conditions hold for this caller.
    3: required bool applies,
    /// The first condition that does not hold, such as "percent 10: this caller is at 37.204".
    4: optional string why_not,
}

struct ExplainedSetting {
    1: required string name,
    2: required string value_json,
    /// The source whose value it is.
    3: required string source,
    /// Lowest layer first; the last one that applies has won.
    4: required list<Candidate> candidates,
}

struct ExplainResponse {
    1: required i64 revision,
    2: required list<ExplainedSetting> settings,
    3: optional i64 valid_until,
}
