//! The three services of the platform, method by method: what may be cut short and what must run to its end,
//! and what is asked twice when it takes long.

use super::contract::{Contract, Effect, Handler, Method, thrift_contract};

thrift_contract! {
    /// Identities, sessions and tokens.
    "account" = account::AccountService as AccountContract;
    write Register;
    write Login;
    write Refresh;
    write Logout;
    write SendPhoneCode;
    write Link;
    write ChangePassword;
    read GetProfile;
    read GetHistory;
    write EndSession;
    write EndOtherSessions;
    write RequestDeletion;
    write CancelDeletion;
    hedged VerifyToken;
    hedged VerifyTokens;
    write RevokeSessions;
    read Authenticate;
    read GetApp;
    read GetPartner;
    read GetTokenKeys;
    read FollowRevocations;
    read GetSigningKeys;
    write AdminCreateApp;
    write AdminUpdateApp;
    write AdminRotateAppSecret;
    read AdminDescribeApp;
    read AdminListApps;
    write AdminCreatePartner;
    write AdminUpdatePartner;
    write AdminRotatePartnerSecret;
    read AdminDescribePartner;
    read AdminListPartners;
    write AdminPutChannel;
    read AdminListChannels;
    read AdminFindAccount;
    write AdminRevokeSessions;
    write AdminBanAccount;
    write AdminLiftBan;
    write AdminCancelDeletion;
    write AdminUnlockAccount;
    write AdminEndSession;
    write AdminBanSubject;
    write AdminLiftSubjectBan;
    read AdminListBans;
    write AdminRecordChange;
    read AdminListHistory;
    read AdminListAudit;
}

thrift_contract! {
    /// Versioned settings.
    "setting" = setting::SettingService as SettingContract;
    hedged GetSettings;
    hedged GetRevisions;
    write AdminPublish;
    read AdminValidate;
    read AdminGetRevision;
    read AdminListVersions;
    read AdminDiff;
    write AdminRollback;
    read AdminExplain;
}

thrift_contract! {
    /// Orders, the wallet ledger and delivery.
    "pay" = pay::PayService as PayContract;
    read GetWallet;
    write SpendWallet;
    write CreateOrder;
    read GetOrder;
    write RedeliverOrder;
    write HandleCallback;
    write AdminPutProduct;
    write AdminPutChannel;
    read AdminListChannels;
    read AdminDescribeOrder;
    write AdminRedeliverOrder;
    write AdminCloseOrder;
    write AdminRefundOrder;
    write AdminRedeliverMany;
    read AdminListDeadLetters;
    read AdminListProducts;
    read AdminGetProduct;
    write AdminDeleteProduct;
    read AdminSearchOrders;
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
