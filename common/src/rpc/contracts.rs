//! The three services of the platform, method by method: what may be cut short and what must run to its end, what is
//! asked twice when it takes long, and as what a call is let in where there is not room for all (the classes are those of the routes, see the gateway's).
//! `Always` are operators, and what gateways ask for all their players: keys, revocations, revisions. Refusing those
//! would make it worse, and the last two are answered when something happens, which says nothing of latency.

use super::contract::{Contract, Effect, Handler, Method, thrift_contract};
use crate::governance::Class;

thrift_contract! {
    /// Identities, sessions and tokens.
    "account" = account::AccountService as AccountContract;
    write Register as Login;
    write Login as Login;
    write Refresh as Refresh;
    write Logout as Refresh;
    write SendPhoneCode as Login;
    write Link as Login;
    write ChangePassword as Login;
    read GetProfile as Settings;
    read GetHistory as Settings;
    write EndSession as Refresh;
    write EndOtherSessions as Refresh;
    write RequestDeletion as Login;
    write CancelDeletion as Login;
    hedged VerifyToken as Verify;
    hedged VerifyTokens as Verify;
    write RevokeSessions as Verify;
    read Authenticate as Verify;
    read GetApp as Verify;
    read GetPartner as Ingest;
    read GetTokenKeys as Always;
    read FollowRevocations as Always;
    read GetSigningKeys as Always;
    write AdminCreateApp as Always;
    write AdminUpdateApp as Always;
    write AdminRotateAppSecret as Always;
    read AdminDescribeApp as Always;
    read AdminListApps as Always;
    write AdminCreatePartner as Always;
    write AdminUpdatePartner as Always;
    write AdminRotatePartnerSecret as Always;
    read AdminDescribePartner as Always;
    read AdminListPartners as Always;
    write AdminPutChannel as Always;
    read AdminListChannels as Always;
    read AdminFindAccount as Always;
    write AdminRevokeSessions as Always;
    write AdminBanAccount as Always;
    write AdminLiftBan as Always;
    write AdminCancelDeletion as Always;
    write AdminUnlockAccount as Always;
    write AdminEndSession as Always;
    write AdminBanSubject as Always;
    write AdminLiftSubjectBan as Always;
    read AdminListBans as Always;
    write AdminRecordChange as Always;
    read AdminListHistory as Always;
    read AdminListAudit as Always;
}

thrift_contract! {
    /// Versioned settings.
    "setting" = setting::SettingService as SettingContract;
    hedged GetSettings as Settings;
    hedged GetRevisions as Always;
    write AdminPublish as Always;
    read AdminValidate as Always;
    read AdminGetRevision as Always;
    read AdminListVersions as Always;
    read AdminDiff as Always;
    write AdminRollback as Always;
    read AdminExplain as Always;
}

thrift_contract! {
    /// Orders, the wallet ledger and delivery.
    "pay" = pay::PayService as PayContract;
    read GetWallet as Settings;
    write SpendWallet as Refresh;
    write CreateOrder as Refresh;
    read GetOrder as Refresh;
    write RedeliverOrder as Refresh;
    write HandleCallback as PayCallback;
    write AdminPutProduct as Always;
    write AdminPutChannel as Always;
    read AdminListChannels as Always;
    read AdminDescribeOrder as Always;
    write AdminRedeliverOrder as Always;
    write AdminCloseOrder as Always;
    write AdminRefundOrder as Always;
    write AdminRedeliverMany as Always;
    read AdminListDeadLetters as Always;
    read AdminListProducts as Always;
    read AdminGetProduct as Always;
    write AdminDeleteProduct as Always;
    read AdminSearchOrders as Always;
}

#[cfg(test)]
mod tests {
    use idl::account::{AccountServiceLoginArgsSend, AccountServiceRequestSend, AccountServiceVerifyTokenArgsSend};

    use super::*;
    use crate::discovery::{Discovery, StaticConfig, StaticList};

    #[test]
    fn a_request_keeps_its_method_and_its_effect_on_both_sides() {
        let login = AccountServiceRequestSend::Login(AccountServiceLoginArgsSend::default());
        assert_eq!(AccountContract::sent(&login).name, "Login");
        assert_eq!(AccountContract::sent(&login).effect, Effect::Write);
        assert_eq!(AccountContract::received(&AccountContract::request(login)).name, "Login");

        let verify = AccountServiceRequestSend::VerifyToken(AccountServiceVerifyTokenArgsSend::default());
        let verify = AccountContract::sent(&verify);
        assert_eq!((verify.effect, verify.has_backup), (Effect::Read, true));
    }

    #[test]
    fn operators_are_never_shed_and_token_checks_last() {
        for methods in [AccountContract::METHODS, SettingContract::METHODS, PayContract::METHODS] {
            for method in methods.iter().filter(|method| method.name.starts_with("Admin")) {
                assert_eq!(method.class, None, "{}", method.name);
            }
        }
        let verify = AccountContract::METHODS.iter().find(|method| method.name == "VerifyToken");
        assert_eq!(verify.and_then(|method| method.class), Some(Class::Verify));
    }

    #[test]
    fn the_static_list_knows_every_service_by_its_name() {
        let list = StaticList::new(&StaticConfig::default());
        for service in [AccountContract::SERVICE, SettingContract::SERVICE, PayContract::SERVICE] {
            assert_eq!(list.watch(service).borrow().iter().count(), 1, "{service}");
        }
    }

    #[test]
    fn a_methods_index_is_its_place_in_the_list() {
        for (place, method) in AccountContract::METHODS.iter().enumerate() {
            assert_eq!(method.index, place, "{}", method.name);
        }
    }
}
