//! The pay role.

use std::{sync::Arc, time::Duration};

use ::account::MasterKey;
use anyhow::Context;
use common::{
    clock::{Random, SystemClock, SystemRandom},
    config::Environment,
    error_code::PublicError,
    lifecycle::RequestTasks,
    rpc::{PayContract, ServerParts, ServerStack, server_stack},
    sql::Database,
    telemetry::{self, BuildInfo},
};
use idl::account::{AccountServiceClient, AppInfo, GetAppRequest};
use pay::{Apps, Pay, Resources};

use super::{Process, account, data_dir, platform_events::PlatformEvents};
use crate::{
    config::{Configuration, master_key as configured},
    role::Role,
};

/// The configured key; in development one that is made at the first start; in production without one none.
fn master_key(configuration: &Configuration, random: &dyn Random) -> anyhow::Result<Option<MasterKey>> {
    match (configured::of_pay(configuration)?, configuration.environment) {
        (Some(key), _) => Ok(Some(key)),
        (None, Environment::Production) => Ok(None),
        (None, Environment::Development) => {
            let directory = &configuration.data_dir;
            data_dir::make(directory)?;
            Ok(Some(::account::master_key::load_or_create(&directory.join("pay-master-key"), random)?))
        }
    }
}

/// The service for the command line: nothing runs beside it, and apps are looked up in the database.
pub(crate) fn by_hand(configuration: &Configuration, database: Database) -> anyhow::Result<Pay> {
    let registry = telemetry::new_registry(&BuildInfo::current())?;
    let resources = Resources {
        apps: apps_in(configuration, database.clone())?,
        database,
        master_key: master_key(configuration, &SystemRandom)?,
        tasks: RequestTasks::default(),
        environment: configuration.environment,
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        registry,
    };
    Ok(pay::open(configuration.pay.clone(), resources)?)
}

/// The apps as account keeps them. Without account's key they have no secrets here, which only the sandbox needs.
fn apps_in(configuration: &Configuration, database: Database) -> anyhow::Result<Apps> {
    let has_key = configured::of_account(configuration)?.is_some();
    let admin = match has_key || configuration.environment == Environment::Development {
        true => Some(Arc::new(account::admin(configuration, database)?)),
        false => None,
    };
    Ok(Apps::asking(Arc::new(move |request: GetAppRequest| {
        let admin = admin.clone();
        Box::pin(async move {
            let Some(admin) = admin else {
                return Ok(Some(AppInfo { app_id: request.app_id, enabled: true, ..AppInfo::default() }));
            };
            admin.find_app(request.app_id).await.map_err(|error| {
                tracing::warn!(%error, app_id = request.app_id, "the app can't be read");
                PublicError::unavailable(Duration::from_secs(1))
            })
        })
    })))
}

/// Opens the service, starts what it does in the background and puts the server suite around it.
pub(super) fn open(
    configuration: &Configuration,
    database: Database,
    account: AccountServiceClient,
    events: &PlatformEvents,
    parts: &ServerParts,
    process: &Process,
) -> anyhow::Result<ServerStack<PayContract>> {
    let lifecycle = &process.lifecycle;
    let resources = Resources {
        database,
        master_key: master_key(configuration, &*process.random)?,
        apps: Apps::of_account(account),
        tasks: lifecycle.requests().clone(),
        environment: configuration.environment,
        clock: process.clock.clone(),
        random: process.random.clone(),
        registry: process.registry.clone(),
    };
    let pay = pay::open(configuration.pay.clone(), resources)?;
    for task in pay.background() {
        lifecycle.spawn_background(task.name, task.run);
    }
    events.carry_on("pay-events", Role::Pay, pay.events(), process)?;
    let deliver = pay.deliver(lifecycle.signals().stopping).context("the delivery worker runs already")?;
    lifecycle.spawn_server("pay-delivery", deliver);
    Ok(server_stack(pay, parts))
}
