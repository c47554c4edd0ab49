//! `GetSettings`: the settings of one app as one caller sees them.
//!
//! Answers from memory, evaluated anew for each caller.

use common::context::RequestContext;
use idl::{
    common::{Maintenance, SignInSwitches},
    setting::{DependsOn, GetSettingsRequest, GetSettingsResponse},
};

use crate::{
    domain::{AppId, Switches, evaluate, still_holds},
    error::{ArgumentError, GetSettingsError},
    rpc::caller::CallerFields,
    service::Parts,
    store::{Copied, Wait},
};

pub(crate) async fn get_settings(
    parts: &Parts,
    request: GetSettingsRequest,
) -> Result<GetSettingsResponse, GetSettingsError> {
    let app = AppId::parse(request.app_id).map_err(ArgumentError::of("app_id"))?;
    let caller = CallerFields {
        channel: request.channel,
        package_name: request.package_name,
        version: request.version,
        account_id: request.account_id,
        device_id: request.device_id,
    }
    .parse()?;
    let patience = RequestContext::current().and_then(|context| context.remaining());
    let wait = Wait { patience, min_revision: request.min_revision.unwrap_or_default() };
    let Copied { live, age } = parts.settings.get(app, wait).await?;

    let settings = evaluate(&live.snapshot, &caller, parts.clock.now());
    let entity_tag = settings.entity_tag();
    let unchanged = request.if_none_match.is_some_and(|tags| still_holds(&tags, &entity_tag));
    let depends_on = live.snapshot.depends_on();
    Ok(GetSettingsResponse {
        entity_tag,
        revision: live.revision(),
        settings_json: (!unchanged).then(|| settings.settings_json()),
        valid_until: settings.valid_until().map(|until| until.as_millis()),
        age_ms: i64::try_from(age.as_millis()).unwrap_or(i64::MAX),
        depends_on: DependsOn {
            package_name: depends_on.package,
            version: depends_on.version,
            account_id: depends_on.account,
            device_id: depends_on.device,
        },
        switches: switches(&settings.switches()),
        notices_json: settings.notices_json(),
    })
}

fn switches(switched: &Switches<'_>) -> SignInSwitches {
    SignInSwitches {
        maintenance: switched.maintenance.map(|maintenance| Maintenance {
            message: maintenance.message.clone(),
            until: maintenance.until.map(|until| until.as_millis()),
            allowed_accounts: maintenance.allowed_accounts.to_vec(),
        }),
        registration_open: switched.registration_open,
        login_kinds: switched.login_kinds.map(<[_]>::to_vec),
    }
}

#[cfg(test)]
mod tests;
