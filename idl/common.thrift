namespace rs common

/// Every outcome a caller can act on. The first three digits are the HTTP status, the last four the detail.
/// A number is never used for a second meaning; roles add codes here and nowhere else.
/// What each code means for a caller (HTTP status, retry or not) is decided in `common/src/error_code.rs`.
enum ErrorCode {
    OK = 2000000,
    ACCEPTED = 2020000,

    INVALID_ARGUMENT = 4000001,
    MALFORMED_BODY = 4000002,

    MISSING_CREDENTIALS = 4010001,
    BAD_SIGNATURE = 4010002,
    STALE_TIMESTAMP = 4010003,
    NONCE_REPLAYED = 4010004,
    WRONG_CREDENTIALS = 4010101,
    TOKEN_INVALID = 4010102,
    TOKEN_EXPIRED = 4010103,
    TOKEN_REVOKED = 4010104,
    REFRESH_TOKEN_REUSED = 4010105,
    WRONG_CODE = 4010106,

    FORBIDDEN = 4030001,
    ACCOUNT_BANNED = 4030101,
    ACCOUNT_PENDING_DELETION = 4030102,
    LOGIN_KIND_DISABLED = 4030103,
    APP_DISABLED = 4030104,
    DEVICE_LIMIT_REACHED = 4030105,
    PARTNER_DISABLED = 4030106,

    NO_SUCH_ROUTE = 4040001,
    NO_SUCH_ACCOUNT = 4040101,
    NO_SUCH_APP = 4040102,
    NO_SUCH_PARTNER = 4040103,
    NO_SUCH_SETTING = 4040201,
    NO_SUCH_ORDER = 4040301,
    NO_SUCH_PAYMENT_CHANNEL = 4040302,
    NO_SUCH_PRODUCT = 4040303,

    METHOD_NOT_ALLOWED = 4050001,

    USERNAME_TAKEN = 4090101,
    CREDENTIAL_ALREADY_LINKED = 4090102,
    APP_ID_TAKEN = 4090103,
    PARTNER_TAKEN = 4090104,
    SETTINGS_CHANGED = 4090201,
    IDEMPOTENCY_KEY_REUSED = 4090301,

    BODY_TOO_LARGE = 4130001,
    UNSUPPORTED_MEDIA_TYPE = 4150001,

    ORDER_STATE_FORBIDS = 4220301,
    INSUFFICIENT_BALANCE = 4220401,
    TOO_MANY_FAILED_LOGINS = 4230101,

    RATE_LIMITED_ADDRESS = 4290001,
    RATE_LIMITED_SUBJECT = 4290002,
    RATE_LIMITED_APP = 4290003,

    INTERNAL = 5000001,
    OVERLOADED = 5030001,
    DEPENDENCY_UNAVAILABLE = 5030002,
    SHUTTING_DOWN = 5030003,
    MAINTENANCE = 5030004,
    DEADLINE_EXCEEDED = 5040001,
}

/// A window in which only those on the list may sign in. It has begun.
struct Maintenance {
    /// Shown to players.
    1: required string message,
    /// When it is to be over, in Unix milliseconds, if that is known.
    2: optional i64 until,
    /// Accounts that may sign in all the same.
    3: required list<i64> allowed_accounts,
}

/// What an operator has switched for the sign-ins of an app, or of a part of its players. What is absent is not switched: then
/// the app's policy decides alone.
struct SignInSwitches {
    1: optional Maintenance maintenance,
    /// false: a sign-in makes no account.
    2: optional bool registration_open,
    /// Of "password", "device", "phone", "channel": the kinds that may be used, of those that the app's policy allows.
    3: optional list<string> login_kinds,
}
