namespace rs account_admin

/// What operators ask of the account service. The methods are in account.thrift, named `Admin…`; only the admin API of a
/// gateway calls them, after it has seen the operator's token.
///
/// Every change names who made it and is written down in the audit in the same transaction. The request id of the record
/// is the trace id of the call.

/// So many live sessions of one device class.
struct DeviceLimit {
    /// At least 1.
    1: required i32 max,
    /// "kick_oldest" or "refuse_newest".
    2: required string on_excess,
}

/// What an app allows its players. An absent lifetime is the configured one.
struct Policy {
    /// Of "password", "device", "phone", "channel".
    1: required list<string> login_kinds,
    2: required bool registration_open,
    3: required bool id_token,
    4: optional i64 access_ttl_s,
    5: optional i64 refresh_ttl_s,
    6: optional i64 refresh_absolute_ttl_s,
    /// Device class -> limit; a class that is not here has none.
    7: required map<string, DeviceLimit> devices,
}

/// A lifetime that is to be changed. Without a value: back to the configured one.
struct LifetimeChange {
    1: optional i64 seconds,
}

/// The limit of a device class that is to be changed. Without a limit: there is none from now on.
struct DeviceLimitChange {
    1: optional DeviceLimit limit,
}

/// What is to be different. What is absent stays as it is.
struct PolicyChange {
    1: optional list<string> login_kinds,
    2: optional bool registration_open,
    3: optional bool id_token,
    4: optional LifetimeChange access_ttl,
    5: optional LifetimeChange refresh_ttl,
    6: optional LifetimeChange refresh_absolute_ttl,
    7: optional map<string, DeviceLimitChange> devices,
}

/// Where paid orders, or refunds, are told. Without a URL: nowhere from now on.
struct DeliveryUrlChange {
    1: optional string url,
}

/// An app as operators see it: without its secrets.
struct AppDetails {
    1: required i64 app_id,
    2: required string name,
    3: required bool enabled,
    4: optional string delivery_url,
    5: required Policy policy,
    6: required i64 created_at,
    7: optional string refund_url,
}

struct CreateAppRequest {
    1: required string actor,
    2: required string name,
    /// Absent: the next free one.
    3: optional i64 app_id,
    4: optional string delivery_url,
    /// Against the policy of a new app: passwords and devices, registration open.
    5: optional PolicyChange policy,
    /// Not the delivery_url: whoever takes refunds has to tell them from payments.
    6: optional string refund_url,
}

struct CreateAppResponse {
    1: required AppDetails app,
    /// Shown this once.
    2: required string app_secret,
}

struct UpdateAppRequest {
    1: required string actor,
    2: required i64 app_id,
    3: optional string name,
    4: optional bool enabled,
    5: optional DeliveryUrlChange delivery_url,
    6: optional PolicyChange policy,
    7: optional DeliveryUrlChange refund_url,
}

struct UpdateAppResponse {
    1: required AppDetails app,
}

struct RotateAppSecretRequest {
    1: required string actor,
    2: required i64 app_id,
}

struct RotateAppSecretResponse {
    /// Shown this once. The one before stays good until the next rotation.
    1: required string app_secret,
}

struct DescribeAppRequest {
    1: required i64 app_id,
}

struct DescribeAppResponse {
    1: required AppDetails app,
}

struct ListAppsRequest {
    /// Only apps with a higher id.
    1: optional i64 after,
    /// 1-200.
    2: required i32 limit,
}

struct ListAppsResponse {
    /// By id.
    1: required list<AppDetails> apps,
    /// There are more.
    2: required bool more,
}

/// A channel of an app. Its document is JSON, with `***` in the place of each secret.
struct ChannelDetails {
    1: required string channel,
    /// Counts up with every change.
    2: required i64 version,
    3: required string document_json,
    4: required i64 updated_at,
}

struct PutChannelRequest {
    1: required string actor,
    2: required i64 app_id,
    /// 1-32 of a-z, 0-9, _ and -.
    3: required string channel,
    /// A JSON object of at most 32768 bytes. A secret that is `***` stays as it is.
    4: required string document_json,
}

struct PutChannelResponse {
    1: required ChannelDetails channel,
}

struct ListChannelsRequest {
    1: required i64 app_id,
}

struct ListChannelsResponse {
    /// By name.
    1: required list<ChannelDetails> channels,
}

/// Exactly one is set.
union AccountSelector {
    1: i64 account_id,
    2: string username,
    /// International: `+`, then digits.
    3: string phone,
}

struct FindAccountRequest {
    1: required AccountSelector selector,
}

struct CredentialDetails {
    1: required string kind,
    /// Enough to recognise it, never enough to use it.
    2: required string masked_name,
    /// The app that knows it; absent: every app does.
    3: optional i64 app_id,
    4: required i64 created_at,
}

/// A live session.
struct SessionDetails {
    1: required string session_id,
    2: required i64 app_id,
    3: optional string device_id,
    4: required string device_class,
    5: optional string channel,
    /// The network address of the sign-in.
    6: optional string address,
    7: required i64 created_at,
    8: required i64 last_seen_at,
    9: required i64 expires_at,
}

/// A ban that is in effect.
struct BanDetails {
    /// Shown to the player.
    1: required string reason,
    /// For operators only.
    2: optional string note,
    3: required i64 banned_at,
    /// Absent: for good.
    4: optional i64 until,
}

/// A deletion that its player asked for.
struct PendingDeletion {
    1: required i64 requested_at,
    /// Not before.
    2: required i64 executes_at,
}

struct FindAccountResponse {
    1: required i64 account_id,
    2: required i64 created_at,
    3: required list<CredentialDetails> credentials,
    /// Of every app, the latest first, as many as a profile lists at most.
    4: required list<SessionDetails> sessions,
    5: optional BanDetails ban,
    /// Set while a deletion is pending.
    6: optional PendingDeletion deletion,
    /// Set once the account has been deleted; nothing is left of its player then.
    7: optional i64 deleted_at,
}

/// Something that has happened to an account.
struct HistoryEvent {
    /// Sorts by time.
    1: required string event_id,
    2: required i64 at,
    /// Such as "signed_in"; kinds are added.
    3: required string kind,
    4: optional i64 app_id,
    5: optional string session_id,
    6: optional string device_id,
    7: optional string address,
    /// By what, or why, as the player may know.
    8: optional string reason,
    /// The trace id of the request behind it.
    9: optional string request_id,
}

struct ListHistoryRequest {
    1: required i64 account_id,
    /// Only older events: an event_id.
    2: optional string before,
    /// 1-200.
    3: required i32 limit,
}

struct ListHistoryResponse {
    /// Newest first.
    1: required list<HistoryEvent> events,
    /// There are older ones.
    2: required bool more,
}

struct RevokeAccountSessionsRequest {
    1: required string actor,
    2: required i64 account_id,
    /// For the record, at most 255 bytes. The player is not shown it.
    3: required string reason,
}

struct RevokeAccountSessionsResponse {
    1: required i64 revoked,
}

struct BanAccountRequest {
    1: required string actor,
    2: required i64 account_id,
    /// Shown to the player: 1-255 bytes without control characters.
    3: required string reason,
    /// For operators only: the same.
    4: optional string note,
    /// Unix milliseconds, in the future; absent: for good.
    5: optional i64 until,
}

struct BanAccountResponse {
}

struct LiftBanRequest {
    1: required string actor,
    2: required i64 account_id,
}

struct LiftBanResponse {
}

struct CancelAccountDeletionRequest {
    1: required string actor,
    2: required i64 account_id,
}

struct CancelAccountDeletionResponse {
}

struct UnlockAccountRequest {
    1: required string actor,
    2: required i64 account_id,
    /// For the record, 1-255 bytes. The player is not shown it.
    3: required string reason,
}

struct UnlockAccountResponse {
    /// The ladders that had a lock: "known_device", "account", "device". Each once; none when nothing was locked.
    1: required list<string> unlocked,
}

struct EndAccountSessionRequest {
    1: required string actor,
    2: required i64 account_id,
    3: required string session_id,
}

struct EndAccountSessionResponse {
    /// 0 or 1.
    1: required i64 revoked,
}

/// What a ban keeps out. Exactly one is set.
union BanSubject {
    /// As game clients send it.
    1: string device_id,
    /// An address, or a range such as 203.0.113.0/24.
    2: string address,
}

struct BanSubjectRequest {
    1: required string actor,
    2: required BanSubject subject,
    /// Shown to players: 1-255 bytes without control characters.
    3: required string reason,
    /// For operators only: the same.
    4: optional string note,
    /// Unix milliseconds, in the future; absent: for good.
    5: optional i64 until,
}

struct BanSubjectResponse {
    1: required i64 ban_id,
}

struct LiftSubjectBanRequest {
    1: required string actor,
    2: required i64 ban_id,
}

struct LiftSubjectBanResponse {
}

struct ListBansRequest {
    /// Only bans with a higher number.
    1: optional i64 after,
    /// 1-200.
    2: required i32 limit,
}

/// A ban of a device or of a part of the network that is in effect.
struct SubjectBanDetails {
    1: required i64 ban_id,
    /// "device" or "address".
    2: required string kind,
    /// The range; of a device enough to recognise it, never enough to use it.
    3: required string subject,
    4: required string reason,
    5: optional string note,
    6: required i64 banned_at,
    /// Absent: for good.
    7: optional i64 until,
}

struct ListBansResponse {
    /// By number.
    1: required list<SubjectBanDetails> bans,
    /// There are more.
    2: required bool more,
}

/// A change that was made outside of this service.
struct RecordChangeRequest {
    1: required string actor,
    /// What was done, at most 64 bytes.
    2: required string action,
    /// What it was done to, at most 64 and 128 bytes.
    3: required string target_kind,
    4: required string target_id,
    /// A JSON object without secrets, at most 4096 bytes.
    5: required string details_json,
}

struct RecordChangeResponse {
}

struct ListAuditRequest {
    /// Only older records.
    1: optional i64 before,
    /// 1-200.
    2: required i32 limit,
    /// Only what was done to this. Both or none.
    3: optional string target_kind,
    4: optional string target_id,
}

struct AuditRecord {
    /// Counts up.
    1: required i64 id,
    2: required i64 at,
    3: required string actor,
    4: required string action,
    5: required string target_kind,
    6: required string target_id,
    7: optional string request_id,
    /// A JSON object.
    8: required string details_json,
}

struct ListAuditResponse {
    /// Newest first.
    1: required list<AuditRecord> records,
    /// There are older ones.
    2: required bool more,
}
