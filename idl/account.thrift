namespace rs account

/// Identities, sessions and tokens.
///
/// Refusals travel as business errors: status code = common.ErrorCode, message = text that is safe to show a player,
/// extra = field -> reason. Anything else that goes wrong means "could not tell" and never "no".

/// What the game client says about the device and build it runs on. Stored with the session, none of it trusted.
struct ClientInfo {
    /// Opaque to us, 1-128 bytes.
    1: optional string device_id,
    /// The channel (store, platform) the build came from, 1-32 bytes; absent means "official".
    2: optional string channel,
    /// Package name of the build, at most 128 bytes.
    3: optional string package_name,
    /// At most 32 bytes.
    4: optional string sdk_version,
    /// The client's network address as the gateway established it.
    5: optional string address,
}

/// A signed-in session's tokens. Times are Unix milliseconds.
struct TokenSet {
    1: required i64 account_id,
    2: required string session_id,
    3: required string access_token,
    4: required i64 access_expires_at,
    5: required string refresh_token,
    6: required i64 refresh_expires_at,
    /// A JWT for verifiers that ask nobody; set for apps that want one.
    8: optional string id_token,
}

struct RegisterRequest {
    1: required i64 app_id,
    2: required string username,
    3: required string password,
    4: required ClientInfo client,
}

struct PasswordLogin {
    1: required string username,
    2: required string password,
}

struct DeviceLogin {
    1: required string device_id,
    /// Absent only for the first login of a device; from then on required.
    2: optional string device_secret,
}

/// Exactly one kind is set.
union LoginProof {
    1: PasswordLogin password,
    2: DeviceLogin device,
}

struct LoginRequest {
    1: required i64 app_id,
    2: required LoginProof proof,
    3: required ClientInfo client,
}

struct LoginResponse {
    1: required TokenSet tokens,
    2: required bool is_new_account,
    /// Set once, when a device account is created.
    3: optional string device_secret,
}

struct RefreshRequest {
    1: required i64 app_id,
    2: required string refresh_token,
}

struct RefreshResponse {
    1: required TokenSet tokens,
}

struct LogoutRequest {
    1: required string access_token,
    /// Revoke every session of the account instead of only this one.
    2: required bool everywhere,
}

struct LogoutResponse {
    1: required i64 revoked,
}

struct GetProfileRequest {
    1: required string access_token,
}

struct CredentialInfo {
    /// "password" or "device".
    1: required string kind,
    /// Enough to recognise it, never enough to use it.
    2: required string masked_name,
}

struct SessionInfo {
    1: required string session_id,
    2: optional string device_id,
    3: optional string channel,
    4: required i64 created_at,
    5: required i64 last_seen_at,
    6: required bool current,
}

struct GetProfileResponse {
    1: required i64 account_id,
    2: required i64 created_at,
    3: required list<CredentialInfo> credentials,
    4: required list<SessionInfo> sessions,
}

/// The authoritative answers. There is deliberately no value for "could not tell": that is an error, never a status.
enum TokenStatus {
    VALID = 1,
    EXPIRED = 2,
    REVOKED = 3,
    BANNED = 4,
    /// Forged, malformed, or another app's token: tells nothing else.
    INVALID = 5,
}

/// Everything but `status` is absent when the status is INVALID.
struct TokenVerdict {
    1: required TokenStatus status,
    2: optional i64 account_id,
    3: optional string session_id,
    4: optional i64 app_id,
    5: optional i64 issued_at,
    6: optional i64 expires_at,
    7: optional string channel,
    8: optional string device_id,
}

struct VerifyTokenRequest {
    1: required i64 app_id,
    2: required string token,
}

struct VerifyTokensRequest {
    1: required i64 app_id,
    /// 1-500.
    2: required list<string> tokens,
}

struct VerifyTokensResponse {
    /// In the order of the request.
    1: required list<TokenVerdict> verdicts,
}

/// Exactly one is set.
union RevocationTarget {
    1: i64 account_id,
    2: string session_id,
}

struct RevokeSessionsRequest {
    1: required i64 app_id,
    2: required RevocationTarget target,
    3: required string reason,
}

struct RevokeSessionsResponse {
    1: required i64 revoked,
}

struct GetAppRequest {
    1: required i64 app_id,
    /// The caller met something that fits no secret it knows: look into the database rather than into memory.
    2: optional bool read_again,
}

/// What the gateway needs to check an app's signatures. Crosses the wire only between roles.
struct AppInfo {
    1: required i64 app_id,
    2: required string name,
    3: required bool enabled,
    /// One or two live secrets, newest first.
    4: required list<string> secrets,
}

struct GetAppResponse {
    /// Absent: there is no such app.
    1: optional AppInfo app,
}

/// A key of the ring as it is stored: sealed under a key that is derived from the master key.
struct SealedTokenKey {
    /// 32 bits.
    1: required i64 key_id,
    2: required binary sealed,
    /// Unix milliseconds.
    3: required i64 signs_from,
}

struct GetTokenKeysRequest {
}

struct GetTokenKeysResponse {
    1: required list<SealedTokenKey> keys,
    /// For this long no key that is missing here signs, in milliseconds; not above zero when that is not certain.
    2: required i64 complete_for_ms,
}

/// A place in the feed of revocations, named by a row of it and recognised by when that row was made (Unix
/// milliseconds). Sequence 0 is the beginning.
struct FeedPlace {
    1: required i64 sequence,
    2: required i64 created_at,
}

/// What an entry of the feed says. Kinds are added: whoever does not know one can't tell what became of those it names,
/// and must not take it for nothing.
enum RevocationKind {
    /// The session is over.
    SESSION = 1,
    /// Tokens of the account from before the epoch are over.
    ACCOUNT_EPOCH = 2,
}

/// Every kind names those it concerns with `session_id` or `account_id`; what else a kind says is in optional fields.
struct RevocationEntry {
    1: required RevocationKind kind,
    /// From when on no living token needs it, Unix milliseconds.
    2: required i64 expires_at,
    /// 16 bytes.
    3: optional binary session_id,
    4: optional i64 account_id,
    5: optional i64 epoch,
}

struct FollowRevocationsRequest {
    /// Where the last page ended, within a round; otherwise where the last round had settled.
    1: required FeedPlace after,
}

struct FollowRevocationsResponse {
    /// The place is not known here, because it is too old or of another history: begin anew, with nothing. Then
    /// everything else but `age_ms` is empty.
    1: required bool reload,
    /// May have been told before: telling it again changes nothing.
    2: required list<RevocationEntry> entries,
    /// Where this page ends.
    3: required FeedPlace last,
    /// Something follows it.
    4: required bool more,
    /// Where to begin the next round: no entry up to here can still appear.
    5: required FeedPlace settled,
    /// How long ago the callee read the database: every revocation that was there then is known to it.
    6: required i64 age_ms,
}

/// A key that ID tokens are verified with: Ed25519 (RFC 8037).
struct SigningKeyInfo {
    /// Its thumbprint (RFC 7638), as tokens name it.
    1: required string key_id,
    /// 32 bytes.
    2: required binary public_key,
}

struct GetSigningKeysRequest {
}

struct GetSigningKeysResponse {
    /// Oldest first, never empty: the keys whose tokens may be alive, and those that will sign soon.
    1: required list<SigningKeyInfo> keys,
    /// For this long no key that is missing here signs, in milliseconds; 0 when that is not certain.
    2: required i64 complete_for_ms,
}

service AccountService {
    /// Creates an account with a username and password and signs it in.
    /// Effects: writes the account and the session; acknowledged only after commit. Not idempotent: a repeat is USERNAME_TAKEN.
    LoginResponse Register(1: RegisterRequest req),

    /// Signs in. A device that was never seen gets an account of its own (a guest).
    /// Effects: writes a session; acknowledged only after commit. A repeat makes another session.
    LoginResponse Login(1: LoginRequest req),

    /// Rotates a refresh token. Within the grace the predecessor yields the same successor, so a repeat is safe;
    /// after it, reuse revokes the session and answers REFRESH_TOKEN_REUSED.
    RefreshResponse Refresh(1: RefreshRequest req),

    /// Revokes the session of the access token, or all of its account's in every app. Idempotent: a token that is
    /// revoked already revokes nothing more.
    LogoutResponse Logout(1: LogoutRequest req),

    /// The player's own view: credentials and live sessions, as far as the token's app goes. Read only.
    GetProfileResponse GetProfile(1: GetProfileRequest req),

    /// Is this token still good? Answers from memory: no database, no network. Read only.
    TokenVerdict VerifyToken(1: VerifyTokenRequest req),

    /// The same for up to 500 tokens; one bad token never spoils the others. Read only.
    VerifyTokensResponse VerifyTokens(1: VerifyTokensRequest req),

    /// Revokes one session, or every session of an account, of the calling app. Idempotent.
    RevokeSessionsResponse RevokeSessions(1: RevokeSessionsRequest req),

    /// An app and its live secrets. Read only.
    GetAppResponse GetApp(1: GetAppRequest req),

    /// The key ring, sealed: of use only to a role that has the master key. Answers from memory. Read only.
    GetTokenKeysResponse GetTokenKeys(1: GetTokenKeysRequest req),

    /// A page of the revocations after a place, for roles that keep a copy. Any replica can answer any follower. Answers
    /// from memory. Read only.
    FollowRevocationsResponse FollowRevocations(1: FollowRevocationsRequest req),

    /// The public keys that ID tokens are verified with. Answers from memory. Read only.
    GetSigningKeysResponse GetSigningKeys(1: GetSigningKeysRequest req),
}
