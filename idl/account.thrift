include "account_admin.thrift"
include "account_partner.thrift"
include "common.thrift"

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
    /// "mobile", "desktop", "console" or "web"; absent means "mobile". Limits of sessions count per class.
    6: optional string device_class,
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
    /// When to refresh: well before the access token expires, and not at the same moment as everybody else.
    7: optional i64 renew_after_at,
}

struct RegisterRequest {
    1: required i64 app_id,
    2: required string username,
    3: required string password,
    4: required ClientInfo client,
    /// See LoginRequest.
    5: optional common.SignInSwitches switches,
}

struct PasswordLogin {
    1: required string username,
    2: required string password,
}

struct DeviceLogin {
    1: required string device_id,
    /// Absent only for the first login of a device; from then on required.
    2: optional string device_secret,
    /// A secret that the client made at random and keeps already: 64 lower-case hexadecimal digits. A device that was
    /// never seen gets it instead of one of ours, and a repeat with it signs in: no answer can be lost that way.
    3: optional string new_device_secret,
}

/// A phone, and the code that was sent to it.
struct PhoneProof {
    /// E.164: "+" and 8-15 digits.
    1: required string phone,
    2: required string code,
}

/// What a client has to prove who it is to a channel.
struct ChannelProof {
    /// As the app calls it: 1-32 of a-z, 0-9, _ and -.
    1: required string channel,
    /// A flat JSON object of at most 16384 bytes. What is in it is for the channel's document to say.
    2: required string credential_json,
}

/// Exactly one kind is set.
union LoginProof {
    1: PasswordLogin password,
    2: DeviceLogin device,
    3: PhoneProof phone,
    4: ChannelProof channel,
}

struct LoginRequest {
    1: required i64 app_id,
    2: required LoginProof proof,
    3: required ClientInfo client,
    /// The player has been told that the account is pending deletion, and wants to keep it.
    4: optional bool cancel_deletion,
    /// As the gateway knows them at this moment; absent when it could not tell, and then nothing is switched.
    5: optional common.SignInSwitches switches,
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
    /// Where it comes from; only the address is looked at. The device is the session's.
    3: optional ClientInfo client,
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

struct AuthenticateRequest {
    1: required string access_token,
}

/// Whom a good access token was made for.
struct AuthenticateResponse {
    1: required i64 account_id,
    2: required i64 app_id,
    3: required string session_id,
}

enum PhoneCodeScene {
    LOGIN = 1,
    LINK = 2,
    PASSWORD_RESET = 3,
}

struct SendPhoneCodeRequest {
    1: required i64 app_id,
    /// E.164: "+" and 8-15 digits.
    2: required string phone,
    3: required PhoneCodeScene scene,
    4: required ClientInfo client,
}

struct SendPhoneCodeResponse {
    1: required i64 expires_at,
    /// Another code can be asked for from then on.
    2: required i64 resend_at,
}

struct DeviceLink {
    1: required string device_id,
    /// As in DeviceLogin.
    2: optional string new_device_secret,
}

/// What is linked. Exactly one kind is set.
union LinkProof {
    /// A username that is free, and the password it gets.
    1: PasswordLogin password,
    /// With a code of the scene LINK.
    2: PhoneProof phone,
    3: DeviceLink device,
    4: ChannelProof channel,
}

struct LinkRequest {
    1: required string access_token,
    2: required LinkProof proof,
    /// As in RefreshRequest.
    3: optional ClientInfo client,
}

struct LinkResponse {
    /// All of them, as in GetProfile.
    1: required list<CredentialInfo> credentials,
    /// Set once, when a device is linked.
    2: optional string device_secret,
}

struct ChangePasswordRequest {
    1: required string access_token,
    /// One of this and the next is required.
    2: optional string old_password,
    /// A phone of the account, with a code of the scene PASSWORD_RESET.
    3: optional PhoneProof phone,
    4: required string new_password,
    /// As in RefreshRequest.
    5: optional ClientInfo client,
}

struct ChangePasswordResponse {
    /// Other sessions that were ended.
    1: required i64 revoked,
}

struct CredentialInfo {
    /// "password", "device", "phone" or "channel".
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
    7: optional string device_class,
}

struct GetProfileResponse {
    1: required i64 account_id,
    2: required i64 created_at,
    3: required list<CredentialInfo> credentials,
    4: required list<SessionInfo> sessions,
    /// Set while a deletion is pending.
    5: optional DeletionInfo deletion,
}

/// Whether an account is to be deleted.
struct DeletionInfo {
    /// "requested" or "cancelled".
    1: required string state,
    /// Unix milliseconds; set while the state is "requested". Not before, and soon after it, the account is deleted.
    2: optional i64 executes_at,
}

struct RequestDeletionRequest {
    1: required string access_token,
}

struct CancelDeletionRequest {
    1: required string access_token,
}

struct GetHistoryRequest {
    1: required string access_token,
    /// Only older events: an event_id.
    2: optional string before,
    /// 1-200.
    3: required i32 limit,
}

struct EndSessionRequest {
    1: required string access_token,
    2: required string session_id,
}

struct EndSessionResponse {
    /// 1, or 0 for a session that has ended already, never was, or is not the player's own.
    1: required i64 revoked,
}

struct EndOtherSessionsRequest {
    1: required string access_token,
}

struct EndOtherSessionsResponse {
    1: required i64 revoked,
}

/// The authoritative answers. About one token there is deliberately no value for "could not tell": that is an error, never a
/// status.
enum TokenStatus {
    VALID = 1,
    EXPIRED = 2,
    REVOKED = 3,
    BANNED = 4,
    /// Forged, malformed, or another app's token: tells nothing else.
    INVALID = 5,
    /// No verdict: could not tell, ask again. Only in VerifyTokens, so that one such token leaves the others theirs; whoever
    /// does not know it takes it for what it is, a status that says nothing about the token.
    OPEN = 6,
}

/// Why an account may not play, and until when.
struct Ban {
    /// Shown to the player: 1-255 bytes.
    1: required string reason,
    /// Unix milliseconds; absent: for good.
    2: optional i64 until,
}

/// Everything but `status` is absent when the status is INVALID, everything but it and `retry_after_ms` when it is OPEN.
struct TokenVerdict {
    1: required TokenStatus status,
    2: optional i64 account_id,
    3: optional string session_id,
    4: optional i64 app_id,
    5: optional i64 issued_at,
    6: optional i64 expires_at,
    7: optional string channel,
    8: optional string device_id,
    /// Set when the status is BANNED.
    9: optional Ban ban,
    /// When to ask again. Set when the status is OPEN.
    10: optional i64 retry_after_ms,
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
    /// In the order of the request. Never all of them OPEN: then the call fails as VerifyToken does.
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

/// What the gateway needs to check an app's signatures, and pay to deliver to it. Crosses the wire only between roles.
struct AppInfo {
    1: required i64 app_id,
    2: required string name,
    3: required bool enabled,
    /// One or two live secrets, newest first.
    4: required list<string> secrets,
    /// Where paid orders are delivered to; absent: nowhere.
    5: optional string delivery_url,
    /// Where refunds are told; absent: nowhere.
    6: optional string refund_url,
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
    /// The account is banned, or no longer: of two for one account the higher `ban_revision` counts.
    ACCOUNT_BAN = 3,
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
    6: optional i64 ban_revision,
    /// Absent in an ACCOUNT_BAN: it was lifted.
    7: optional Ban ban,
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

    /// Signs in. A device, phone or player of a channel that was never seen gets an account of its own (a guest).
    /// A channel that is slow, broken or away is DEPENDENCY_UNAVAILABLE, never WRONG_CREDENTIALS.
    /// Effects: writes a session; acknowledged only after commit. A repeat makes another session.
    LoginResponse Login(1: LoginRequest req),

    /// Rotates a refresh token. Within its grace a token that was used leads to the current one, so a repeat is safe;
    /// after it, reuse revokes the session and answers REFRESH_TOKEN_REUSED.
    RefreshResponse Refresh(1: RefreshRequest req),

    /// Revokes the session of the access token, or all of its account's in every app. Idempotent: a token that is
    /// revoked already revokes nothing more.
    LogoutResponse Logout(1: LogoutRequest req),

    /// Sends a code to a phone. Says nothing about who has the phone: answer and time are the same.
    /// Effects: stores the code in place of an earlier one and hands it to the sender; does not wait for it to be sent.
    /// A repeat before resend_at is RATE_LIMITED_SUBJECT.
    SendPhoneCodeResponse SendPhoneCode(1: SendPhoneCodeRequest req),

    /// Gives the account of the access token one more way to sign in. A credential of another account is
    /// CREDENTIAL_ALREADY_LINKED and changes nothing. Idempotent: what is linked already stays linked; a phone code is
    /// used up by every call.
    LinkResponse Link(1: LinkRequest req),

    /// Replaces the password and revokes every other session of the account, in every app. Not idempotent: a repeat
    /// presents an old password that is no longer right.
    ChangePasswordResponse ChangePassword(1: ChangePasswordRequest req),

    /// The player's own view: credentials and live sessions, as far as the token's app goes. Read only.
    GetProfileResponse GetProfile(1: GetProfileRequest req),

    /// What happened to the player's account, newest first, in pages. What happened in the last moments may be missing.
    /// Read only.
    account_admin.ListHistoryResponse GetHistory(1: GetHistoryRequest req),

    /// Ends one session of the player in the token's app. Idempotent.
    EndSessionResponse EndSession(1: EndSessionRequest req),

    /// Ends every session of the player but the token's own, in every app. Idempotent.
    EndOtherSessionsResponse EndOtherSessions(1: EndOtherSessionsRequest req),

    /// Asks for the account to be deleted after the cooling-off, and ends every session but the token's own. Idempotent:
    /// a repeat does not put the deletion off.
    DeletionInfo RequestDeletion(1: RequestDeletionRequest req),

    /// Keeps the account. Idempotent.
    DeletionInfo CancelDeletion(1: CancelDeletionRequest req),

    /// Is this token still good? Answers from memory: no database, no network. Read only.
    TokenVerdict VerifyToken(1: VerifyTokenRequest req),

    /// The same for up to 500 tokens; one bad token never spoils the others. Read only.
    VerifyTokensResponse VerifyTokens(1: VerifyTokensRequest req),

    /// Revokes one session, or every session of an account, of the calling app. Idempotent.
    RevokeSessionsResponse RevokeSessions(1: RevokeSessionsRequest req),

    /// The player behind an access token that is good now, for what other roles do for players; refused as GetProfile
    /// refuses. Answers from memory. Read only.
    AuthenticateResponse Authenticate(1: AuthenticateRequest req),

    /// An app and its live secrets. Read only.
    GetAppResponse GetApp(1: GetAppRequest req),

    /// A partner and its live secrets. Answers from memory, unless the partner is unknown there or `read_again` is set.
    /// Read only.
    account_partner.GetPartnerResponse GetPartner(1: account_partner.GetPartnerRequest req),

    /// The key ring, sealed: of use only to a role that has the master key. Answers from memory. Read only.
    GetTokenKeysResponse GetTokenKeys(1: GetTokenKeysRequest req),

    /// A page of the revocations after a place, for roles that keep a copy. Any replica can answer any follower. Answers
    /// from memory. Read only.
    FollowRevocationsResponse FollowRevocations(1: FollowRevocationsRequest req),

    /// The public keys that ID tokens are verified with. Answers from memory. Read only.
    GetSigningKeysResponse GetSigningKeys(1: GetSigningKeysRequest req),
    // For operators, through the admin API of a gateway. See account_admin.thrift.

    /// Makes an app. Not idempotent: a repeat with an id is APP_ID_TAKEN, one without makes another app.
    account_admin.CreateAppResponse AdminCreateApp(1: account_admin.CreateAppRequest req),

    /// Changes an app; every instance follows within `account.follow.apps_every`. Idempotent, but for its record.
    account_admin.UpdateAppResponse AdminUpdateApp(1: account_admin.UpdateAppRequest req),

    /// Gives an app a new secret. Not idempotent: of two rotations the first secret's predecessor is lost.
    account_admin.RotateAppSecretResponse AdminRotateAppSecret(1: account_admin.RotateAppSecretRequest req),

    /// An app, from the database. Read only.
    account_admin.DescribeAppResponse AdminDescribeApp(1: account_admin.DescribeAppRequest req),

    /// Apps, from the database, in pages. Read only.
    account_admin.ListAppsResponse AdminListApps(1: account_admin.ListAppsRequest req),

    /// Makes a partner. Not idempotent: a repeat is PARTNER_TAKEN.
    account_partner.CreatePartnerResponse AdminCreatePartner(1: account_partner.CreatePartnerRequest req),

    /// Changes a partner; every instance follows within `account.follow.apps_every`. Idempotent, but for its record.
    account_partner.UpdatePartnerResponse AdminUpdatePartner(1: account_partner.UpdatePartnerRequest req),

    /// Gives a partner a new secret. Not idempotent: of two rotations the first secret's predecessor is lost.
    account_partner.RotatePartnerSecretResponse AdminRotatePartnerSecret(1: account_partner.RotatePartnerSecretRequest req),

    /// A partner, from the database. Read only.
    account_partner.DescribePartnerResponse AdminDescribePartner(1: account_partner.DescribePartnerRequest req),

    /// Partners, from the database, in pages. Read only.
    account_partner.ListPartnersResponse AdminListPartners(1: account_partner.ListPartnersRequest req),

    /// Replaces the document of a channel; every instance follows within `account.follow.apps_every`. Idempotent, but for
    /// its record and version.
    account_admin.PutChannelResponse AdminPutChannel(1: account_admin.PutChannelRequest req),

    /// The channels of an app, from the database, without their secrets. Read only.
    account_admin.ListChannelsResponse AdminListChannels(1: account_admin.ListChannelsRequest req),

    /// An account with what it can be signed in to with, and its live sessions. Read only.
    account_admin.FindAccountResponse AdminFindAccount(1: account_admin.FindAccountRequest req),

    /// Revokes every session of an account, in every app. Idempotent, but for its record.
    account_admin.RevokeAccountSessionsResponse AdminRevokeSessions(1: account_admin.RevokeAccountSessionsRequest req),

    /// Bans an account, in every app; its sessions go on when the ban is over. Replaces the ban there is. Idempotent, but
    /// for its record.
    account_admin.BanAccountResponse AdminBanAccount(1: account_admin.BanAccountRequest req),

    /// Lifts the ban of an account. Idempotent: where no ban is in effect nothing is changed and nothing recorded.
    account_admin.LiftBanResponse AdminLiftBan(1: account_admin.LiftBanRequest req),

    /// Keeps an account whose player had asked for its deletion. Idempotent: where none is pending nothing is changed and
    /// nothing recorded.
    account_admin.CancelAccountDeletionResponse AdminCancelDeletion(1: account_admin.CancelAccountDeletionRequest req),

    /// Lifts the locks that too many wrong passwords have put on the account's name, on the devices it knows and on those
    /// where its password was tried of late, and forgets the failures. Idempotent, but for its record. Where the counters
    /// can't be reached nothing is recorded and the caller is told to come back.
    account_admin.UnlockAccountResponse AdminUnlockAccount(1: account_admin.UnlockAccountRequest req),

    /// Ends one session of an account. Idempotent: of one that has ended nothing is changed and nothing recorded.
    account_admin.EndAccountSessionResponse AdminEndSession(1: account_admin.EndAccountSessionRequest req),

    /// Bans a device or a part of the network, in place of the ban there is; every instance follows within
    /// `account.follow.apps_every`. Idempotent, but for its record.
    account_admin.BanSubjectResponse AdminBanSubject(1: account_admin.BanSubjectRequest req),

    /// Lifts such a ban. Idempotent: where it is not in effect nothing is changed and nothing recorded.
    account_admin.LiftSubjectBanResponse AdminLiftSubjectBan(1: account_admin.LiftSubjectBanRequest req),

    /// The bans of devices and networks in effect, from the database, in pages. Read only.
    account_admin.ListBansResponse AdminListBans(1: account_admin.ListBansRequest req),

    /// Writes a record of a change that was made elsewhere. A repeat writes another one.
    account_admin.RecordChangeResponse AdminRecordChange(1: account_admin.RecordChangeRequest req),

    /// What happened to an account, newest first, in pages. What happened in the last moments may be missing. Read only.
    account_admin.ListHistoryResponse AdminListHistory(1: account_admin.ListHistoryRequest req),

    /// The audit, newest first, in pages. Read only.
    account_admin.ListAuditResponse AdminListAudit(1: account_admin.ListAuditRequest req),
}
