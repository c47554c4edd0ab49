namespace rs account_partner

/// Partners: ad networks, log collectors and other companies' servers that push events. The methods are in account.thrift;
/// those named `Admin…` only the admin API of a gateway calls, after it has seen the operator's token.

/// What a partner may push. What is absent is as configured where events are taken.
struct PartnerLimits {
    /// At least 1.
    1: optional i64 events_per_second,
    /// Events that may come at once after a pause, at least 1.
    2: optional i64 burst,
    /// 1-100: the part of the queue that it may fill, in percent.
    3: optional i64 share,
}

struct GetPartnerRequest {
    1: required string partner,
    /// The caller met something that fits no secret it knows: look into the database rather than into memory.
    2: optional bool read_again,
}

/// What a gateway needs to check a partner's requests. Crosses the wire only between roles.
struct PartnerInfo {
    1: required string partner,
    /// "hmac", "md5-sorted" or "none". Kinds are added: whoever does not know one can't tell whether a request is signed.
    2: required string signing,
    3: required bool enabled,
    /// At most two live secrets, newest first. There may be none only if `signing` is "none".
    4: required list<string> secrets,
    5: required PartnerLimits limits,
}

struct GetPartnerResponse {
    /// Absent: there is no such partner.
    1: optional PartnerInfo partner,
}

/// A partner as operators see it: without its secrets.
struct PartnerDetails {
    1: required string partner,
    2: required string signing,
    3: required bool enabled,
    4: required PartnerLimits limits,
    /// Live secrets, 0-2.
    5: required i32 secrets,
    /// Unix milliseconds.
    6: required i64 created_at,
}

struct CreatePartnerRequest {
    1: required string actor,
    /// 1-64 of a-z, 0-9, _ and -, beginning with a letter or digit.
    2: required string partner,
    /// "hmac", "md5-sorted" or "none".
    3: required string signing,
    4: optional PartnerLimits limits,
}

struct CreatePartnerResponse {
    1: required PartnerDetails partner,
    /// Shown this once. Absent if its requests are not signed.
    2: optional string secret,
}

/// A limit that is to be changed. Without a value: back to the configured one.
struct PartnerLimitChange {
    1: optional i64 value,
}

/// What is absent stays as it is.
struct UpdatePartnerRequest {
    1: required string actor,
    2: required string partner,
    3: optional bool enabled,
    /// A partner without a secret needs one before its requests can be signed.
    4: optional string signing,
    5: optional PartnerLimitChange events_per_second,
    6: optional PartnerLimitChange burst,
    7: optional PartnerLimitChange share,
}

struct UpdatePartnerResponse {
    1: required PartnerDetails partner,
}

struct RotatePartnerSecretRequest {
    1: required string actor,
    2: required string partner,
}

struct RotatePartnerSecretResponse {
    /// Shown this once. The one before stays good until the next rotation.
    1: required string secret,
}

struct DescribePartnerRequest {
    1: required string partner,
}

struct DescribePartnerResponse {
    1: required PartnerDetails partner,
}

struct ListPartnersRequest {
    /// Only partners with names after this one.
    1: optional string after,
    /// 1-200.
    2: required i32 limit,
}

struct ListPartnersResponse {
    /// By name.
    1: required list<PartnerDetails> partners,
    /// There are more.
    2: required bool more,
}
