//! The service: its parts, and its methods as the RPC contract names them.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use common::{
    clock::{SharedClock, SharedRandom, Timestamp},
    events::EventOutbox,
    lifecycle::BackgroundTask,
    rpc::answer,
    shared::SharedState,
    sql::{JobLeases, Segments},
};
use idl::{
    account::{
        AccountService, AuthenticateRequest, AuthenticateResponse, CancelDeletionRequest, ChangePasswordRequest,
        ChangePasswordResponse, DeletionInfo, EndOtherSessionsRequest, EndOtherSessionsResponse, EndSessionRequest,
        EndSessionResponse, FollowRevocationsRequest, FollowRevocationsResponse, GetAppRequest, GetAppResponse,
        GetHistoryRequest, GetProfileRequest, GetProfileResponse, GetSigningKeysRequest, GetSigningKeysResponse,
        GetTokenKeysRequest, GetTokenKeysResponse, LinkRequest, LinkResponse, LoginRequest, LoginResponse,
        LogoutRequest, LogoutResponse, RefreshRequest, RefreshResponse, RegisterRequest, RequestDeletionRequest,
        RevokeSessionsRequest, RevokeSessionsResponse, SendPhoneCodeRequest, SendPhoneCodeResponse, TokenVerdict,
        VerifyTokenRequest, VerifyTokensRequest, VerifyTokensResponse,
    },
    account_admin::{
        BanAccountRequest, BanAccountResponse, BanSubjectRequest, BanSubjectResponse, CancelAccountDeletionRequest,
        CancelAccountDeletionResponse, CreateAppRequest, CreateAppResponse, DescribeAppRequest, DescribeAppResponse,
        EndAccountSessionRequest, EndAccountSessionResponse, FindAccountRequest, FindAccountResponse, LiftBanRequest,
        LiftBanResponse, LiftSubjectBanRequest, LiftSubjectBanResponse, ListAppsRequest, ListAppsResponse,
        ListAuditRequest, ListAuditResponse, ListBansRequest, ListBansResponse, ListChannelsRequest,
        ListChannelsResponse, ListHistoryRequest, ListHistoryResponse, PutChannelRequest, PutChannelResponse,
        RecordChangeRequest, RecordChangeResponse, RevokeAccountSessionsRequest, RevokeAccountSessionsResponse,
        RotateAppSecretRequest, RotateAppSecretResponse, UnlockAccountRequest, UnlockAccountResponse, UpdateAppRequest,
        UpdateAppResponse,
    },
    account_partner::{
        CreatePartnerRequest, CreatePartnerResponse, DescribePartnerRequest, DescribePartnerResponse,
        GetPartnerRequest, GetPartnerResponse, ListPartnersRequest, ListPartnersResponse, RotatePartnerSecretRequest,
        RotatePartnerSecretResponse, UpdatePartnerRequest, UpdatePartnerResponse,
    },
};
use volo_thrift::ServerError;

use crate::{
    announcements::Announcements,
    app_editor::AppEditor,
    apps::Apps,
    channels::Channels,
    config::Config,
    domain::{
        access_token::Claims,
        history::Happening,
        ids::AppId,
        master_key::Vault,
        personal_data::PersonalData,
        verdict::{self, Verdict},
    },
    hash_pool::HashPool,
    history::Recorder,
    jobs::JobMetrics,
    keys::Keys,
    partner_editor::PartnerEditor,
    partners::Partners,
    password_upgrades::PasswordUpgrades,
    phone_codes::{Budget, Delivery},
    revocations::{self, Revocations},
    risk::{Guard, Risk},
    rpc,
    rpc::{refresh::RefreshMetrics, verify_token::VerdictMetrics},
    signing_keys::SigningKeyRing,
    store::{
        accounts::Accounts,
        audit::Audit,
        bans::Bans,
        deletions::Deletions,
        history::Histories,
        links::Links,
        passwords::Passwords,
        phone_codes::PhoneCodes,
        sessions::{Ended, Ending, Sessions},
    },
};

/// The account service, ready to answer. Cheap to clone.
#[derive(Clone)]
pub struct Account {
    parts: Arc<Parts>,
}

/// What the methods work with.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) clock: SharedClock,
    pub(crate) random: SharedRandom,
    pub(crate) vault: Arc<Vault>,
    pub(crate) personal_data: PersonalData,
    pub(crate) keys: Keys,
    pub(crate) signing_keys: SigningKeyRing,
    /// False in production as long as nobody has chosen the issuer.
    pub(crate) may_issue_id_tokens: bool,
    pub(crate) apps: Apps,
    pub(crate) channels: Channels,
    pub(crate) app_editor: AppEditor,
    pub(crate) partners: Partners,
    pub(crate) partner_editor: PartnerEditor,
    pub(crate) audit: Audit,
    pub(crate) revocations: Revocations,
    /// None where there is no feed: the other instances, if any, read the database.
    pub(crate) announcements: Option<Announcements>,
    pub(crate) risk: Risk,
    /// Counters and limits that instances share. May be lost, and is never what decides on a token.
    pub(crate) shared: Arc<dyn SharedState>,
    pub(crate) hash_pool: HashPool,
    pub(crate) upgrades: PasswordUpgrades,
    pub(crate) account_ids: Segments,
    pub(crate) accounts: Accounts,
    pub(crate) links: Links,
    pub(crate) passwords: Passwords,
    pub(crate) bans: Bans,
    pub(crate) sessions: Sessions,
    pub(crate) phone_code_store: PhoneCodes,
    pub(crate) phone_budget: Budget,
    /// None where nobody sends codes: then nobody signs in with a phone.
    pub(crate) phone_codes: Option<Delivery>,
    pub(crate) deletions: Deletions,
    pub(crate) recorder: Recorder,
    /// What a data warehouse is told of.
    pub(crate) events: EventOutbox,
    pub(crate) histories: Histories,
    pub(crate) jobs: JobLeases,
    pub(crate) job_metrics: JobMetrics,
    pub(crate) verdicts: VerdictMetrics,
    pub(crate) refreshes: RefreshMetrics,
    /// The tasks that write what requests hand over, until somebody runs them.
    pub(crate) writers: Mutex<Vec<BackgroundTask>>,
}

impl Account {
    pub(crate) fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    pub(crate) fn parts(&self) -> &Arc<Parts> {
        &self.parts
    }

    /// Events for a data warehouse, for whoever carries them on.
    pub fn events(&self) -> &EventOutbox {
        &self.parts.events
    }

    /// The tasks without which no request that writes is answered. Handed out once.
    pub(crate) fn writers(&self) -> Vec<BackgroundTask> {
        std::mem::take(&mut *self.parts.writers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until what happened so far is written into the histories of its accounts. For the end of a process, when no
    /// request is left.
    pub async fn flush(self) {
        self.parts.recorder.written().await;
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").finish_non_exhaustive()
    }
}

impl Parts {
    /// Who may try to sign in or register.
    pub(crate) fn guard(&self) -> Guard<'_> {
        self.risk.guard(&*self.shared)
    }

    /// What a token that opened is worth to an app: by the rules that the gateways' copies share, and by the bans of
    /// devices, which only this service knows.
    pub(crate) fn judge(&self, claims: &Claims<'_>, app_id: AppId, now: Timestamp) -> Verdict {
        let verdict = verdict::judge(claims, app_id, self.revocations.index(), now);
        // What is over or another app's is not told anything else; an account's own ban says more.
        let may_be_banned = matches!(verdict, Verdict::Valid | Verdict::Revoked);
        let device = claims.device_id.filter(|_| may_be_banned);
        match device.and_then(|device| self.risk.banned.of_device(device, now)) {
            Some(ban) => Verdict::Banned(ban),
            None => verdict,
        }
    }

    /// How sessions that end now are written down.
    pub(crate) fn ending<'a>(&'a self, reason: &'a str) -> Ending<'a> {
        let now = self.clock.now();
        let remembered_until = revocations::remembered_until(now, self.config.tokens.access_ttl_max);
        Ending { reason, now, remembered_until, events: &self.events }
    }

    /// Writes down what has happened to an account, soon and beside the request.
    pub(crate) fn note(&self, happening: Happening) {
        self.recorder.record(happening);
    }

    /// Makes sessions that were ended in the store count in this instance at once, and soon in the others.
    pub(crate) fn ended(&self, ended: &Ended, ending: Ending<'_>) {
        self.revocations.apply(ended, ending.remembered_until);
        if let Some(announcements) = &self.announcements {
            announcements.add(ended, ending.remembered_until);
        }
    }
}

/// The methods. A call's future has room for the largest of them, whichever is called: what waits for anything is boxed, and
/// what answers from memory waits for nothing.
impl AccountService for Account {
    async fn register(&self, req: RegisterRequest) -> Result<LoginResponse, ServerError> {
        answer(Box::pin(rpc::register::register(&self.parts, req)).await)
    }

    async fn login(&self, req: LoginRequest) -> Result<LoginResponse, ServerError> {
        answer(Box::pin(rpc::login::login(&self.parts, req)).await)
    }

    async fn refresh(&self, req: RefreshRequest) -> Result<RefreshResponse, ServerError> {
        answer(Box::pin(rpc::refresh::refresh(&self.parts, req)).await)
    }

    async fn logout(&self, req: LogoutRequest) -> Result<LogoutResponse, ServerError> {
        answer(Box::pin(rpc::logout::logout(&self.parts, req)).await)
    }

    async fn send_phone_code(&self, req: SendPhoneCodeRequest) -> Result<SendPhoneCodeResponse, ServerError> {
        answer(Box::pin(rpc::send_phone_code::send_phone_code(&self.parts, req)).await)
    }

    async fn link(&self, req: LinkRequest) -> Result<LinkResponse, ServerError> {
        answer(Box::pin(rpc::link::link(&self.parts, req)).await)
    }

    async fn change_password(&self, req: ChangePasswordRequest) -> Result<ChangePasswordResponse, ServerError> {
        answer(Box::pin(rpc::change_password::change_password(&self.parts, req)).await)
    }

    async fn get_profile(&self, req: GetProfileRequest) -> Result<GetProfileResponse, ServerError> {
        answer(Box::pin(rpc::get_profile::get_profile(&self.parts, req)).await)
    }

    async fn get_history(&self, req: GetHistoryRequest) -> Result<ListHistoryResponse, ServerError> {
        answer(Box::pin(rpc::get_history::get_history(&self.parts, req)).await)
    }

    async fn end_session(&self, req: EndSessionRequest) -> Result<EndSessionResponse, ServerError> {
        answer(Box::pin(rpc::end_session::end_session(&self.parts, req)).await)
    }

    async fn end_other_sessions(&self, req: EndOtherSessionsRequest) -> Result<EndOtherSessionsResponse, ServerError> {
        answer(Box::pin(rpc::end_other_sessions::end_other_sessions(&self.parts, req)).await)
    }

    async fn request_deletion(&self, req: RequestDeletionRequest) -> Result<DeletionInfo, ServerError> {
        answer(Box::pin(rpc::request_deletion::request_deletion(&self.parts, req)).await)
    }

    async fn cancel_deletion(&self, req: CancelDeletionRequest) -> Result<DeletionInfo, ServerError> {
        answer(Box::pin(rpc::cancel_deletion::cancel_deletion(&self.parts, req)).await)
    }

    async fn verify_token(&self, req: VerifyTokenRequest) -> Result<TokenVerdict, ServerError> {
        answer(rpc::verify_token::verify_token(&self.parts, &req))
    }

    async fn verify_tokens(&self, req: VerifyTokensRequest) -> Result<VerifyTokensResponse, ServerError> {
        answer(rpc::verify_tokens::verify_tokens(&self.parts, &req))
    }

    async fn revoke_sessions(&self, req: RevokeSessionsRequest) -> Result<RevokeSessionsResponse, ServerError> {
        answer(Box::pin(rpc::revoke_sessions::revoke_sessions(&self.parts, req)).await)
    }

    async fn authenticate(&self, req: AuthenticateRequest) -> Result<AuthenticateResponse, ServerError> {
        answer(Box::pin(rpc::authenticate::authenticate(&self.parts, req)).await)
    }

    async fn get_app(&self, req: GetAppRequest) -> Result<GetAppResponse, ServerError> {
        answer(Box::pin(rpc::get_app::get_app(&self.parts, req)).await)
    }

    async fn get_partner(&self, req: GetPartnerRequest) -> Result<GetPartnerResponse, ServerError> {
        answer(Box::pin(rpc::get_partner::get_partner(&self.parts, req)).await)
    }

    async fn get_token_keys(&self, req: GetTokenKeysRequest) -> Result<GetTokenKeysResponse, ServerError> {
        answer(rpc::get_token_keys::get_token_keys(&self.parts, &req))
    }

    async fn follow_revocations(
        &self,
        req: FollowRevocationsRequest,
    ) -> Result<FollowRevocationsResponse, ServerError> {
        answer(rpc::follow_revocations::follow_revocations(&self.parts, &req))
    }

    async fn get_signing_keys(&self, _: GetSigningKeysRequest) -> Result<GetSigningKeysResponse, ServerError> {
        Ok(rpc::get_signing_keys::get_signing_keys(&self.parts))
    }

    // For operators.

    async fn admin_create_app(&self, req: CreateAppRequest) -> Result<CreateAppResponse, ServerError> {
        answer(Box::pin(rpc::admin::create_app::create_app(&self.parts, req)).await)
    }

    async fn admin_update_app(&self, req: UpdateAppRequest) -> Result<UpdateAppResponse, ServerError> {
        answer(Box::pin(rpc::admin::update_app::update_app(&self.parts, req)).await)
    }

    async fn admin_rotate_app_secret(
        &self,
        req: RotateAppSecretRequest,
    ) -> Result<RotateAppSecretResponse, ServerError> {
        answer(Box::pin(rpc::admin::rotate_app_secret::rotate_app_secret(&self.parts, req)).await)
    }

    async fn admin_describe_app(&self, req: DescribeAppRequest) -> Result<DescribeAppResponse, ServerError> {
        answer(Box::pin(rpc::admin::describe_app::describe_app(&self.parts, req)).await)
    }

    async fn admin_list_apps(&self, req: ListAppsRequest) -> Result<ListAppsResponse, ServerError> {
        answer(Box::pin(rpc::admin::list_apps::list_apps(&self.parts, req)).await)
    }

    async fn admin_create_partner(&self, req: CreatePartnerRequest) -> Result<CreatePartnerResponse, ServerError> {
        answer(Box::pin(rpc::admin::create_partner::create_partner(&self.parts, req)).await)
    }

    async fn admin_update_partner(&self, req: UpdatePartnerRequest) -> Result<UpdatePartnerResponse, ServerError> {
        answer(Box::pin(rpc::admin::update_partner::update_partner(&self.parts, req)).await)
    }

    async fn admin_rotate_partner_secret(
        &self,
        req: RotatePartnerSecretRequest,
    ) -> Result<RotatePartnerSecretResponse, ServerError> {
        answer(Box::pin(rpc::admin::rotate_partner_secret::rotate_partner_secret(&self.parts, req)).await)
    }

    async fn admin_describe_partner(
        &self,
        req: DescribePartnerRequest,
    ) -> Result<DescribePartnerResponse, ServerError> {
        answer(Box::pin(rpc::admin::describe_partner::describe_partner(&self.parts, req)).await)
    }

    async fn admin_list_partners(&self, req: ListPartnersRequest) -> Result<ListPartnersResponse, ServerError> {
        answer(Box::pin(rpc::admin::list_partners::list_partners(&self.parts, req)).await)
    }

    async fn admin_put_channel(&self, req: PutChannelRequest) -> Result<PutChannelResponse, ServerError> {
        answer(Box::pin(rpc::admin::put_channel::put_channel(&self.parts, req)).await)
    }

    async fn admin_list_channels(&self, req: ListChannelsRequest) -> Result<ListChannelsResponse, ServerError> {
        answer(Box::pin(rpc::admin::list_channels::list_channels(&self.parts, req)).await)
    }

    async fn admin_find_account(&self, req: FindAccountRequest) -> Result<FindAccountResponse, ServerError> {
        answer(Box::pin(rpc::admin::find_account::find_account(&self.parts, req)).await)
    }

    async fn admin_revoke_sessions(
        &self,
        req: RevokeAccountSessionsRequest,
    ) -> Result<RevokeAccountSessionsResponse, ServerError> {
        answer(Box::pin(rpc::admin::revoke_sessions::revoke_sessions(&self.parts, req)).await)
    }

    async fn admin_ban_account(&self, req: BanAccountRequest) -> Result<BanAccountResponse, ServerError> {
        answer(Box::pin(rpc::admin::ban_account::ban_account(&self.parts, req)).await)
    }

    async fn admin_lift_ban(&self, req: LiftBanRequest) -> Result<LiftBanResponse, ServerError> {
        answer(Box::pin(rpc::admin::lift_ban::lift_ban(&self.parts, req)).await)
    }

    async fn admin_cancel_deletion(
        &self,
        req: CancelAccountDeletionRequest,
    ) -> Result<CancelAccountDeletionResponse, ServerError> {
        answer(Box::pin(rpc::admin::cancel_deletion::cancel_deletion(&self.parts, req)).await)
    }

    async fn admin_unlock_account(&self, req: UnlockAccountRequest) -> Result<UnlockAccountResponse, ServerError> {
        answer(Box::pin(rpc::admin::unlock_account::unlock_account(&self.parts, req)).await)
    }

    async fn admin_end_session(&self, req: EndAccountSessionRequest) -> Result<EndAccountSessionResponse, ServerError> {
        answer(Box::pin(rpc::admin::end_session::end_session(&self.parts, req)).await)
    }

    async fn admin_ban_subject(&self, req: BanSubjectRequest) -> Result<BanSubjectResponse, ServerError> {
        answer(Box::pin(rpc::admin::ban_subject::ban_subject(&self.parts, req)).await)
    }

    async fn admin_lift_subject_ban(&self, req: LiftSubjectBanRequest) -> Result<LiftSubjectBanResponse, ServerError> {
        answer(Box::pin(rpc::admin::lift_subject_ban::lift_subject_ban(&self.parts, req)).await)
    }

    async fn admin_list_bans(&self, req: ListBansRequest) -> Result<ListBansResponse, ServerError> {
        answer(Box::pin(rpc::admin::list_bans::list_bans(&self.parts, req)).await)
    }

    async fn admin_record_change(&self, req: RecordChangeRequest) -> Result<RecordChangeResponse, ServerError> {
        answer(Box::pin(rpc::admin::record_change::record_change(&self.parts, req)).await)
    }

    async fn admin_list_history(&self, req: ListHistoryRequest) -> Result<ListHistoryResponse, ServerError> {
        answer(Box::pin(rpc::admin::list_history::list_history(&self.parts, req)).await)
    }

    async fn admin_list_audit(&self, req: ListAuditRequest) -> Result<ListAuditResponse, ServerError> {
        answer(Box::pin(rpc::admin::list_audit::list_audit(&self.parts, req)).await)
    }
}

#[cfg(test)]
mod tests {
    use idl::account::{AccountServiceRequestRecv, AccountServiceServer, AccountServiceVerifyTokenArgsRecv};
    use motore::Service as _;
    use volo_thrift::context::ServerContext;

    use crate::testing::Service;

    /// What a call is known to need: its request twice, and a pointer.
    const ROOM: usize = 1536;

    common::on_each_database! {
        async fn a_call_carries_no_room_for_methods_that_it_does_not_make(database: TestDatabase) {
            let service = Service::start(database).await;
            let server = AccountServiceServer::from_handler(service.account);
            let mut cx = ServerContext::default();
            let verify = AccountServiceRequestRecv::VerifyToken(AccountServiceVerifyTokenArgsRecv::default());
            let size = size_of_val(&server.call(&mut cx, verify));
            assert!(size <= ROOM, "{size} bytes are moved for every token check");
        }
    }
}
