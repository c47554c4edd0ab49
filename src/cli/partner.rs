//! `playgate partner`: makes partners and rotates their secrets, straight in the database. A running platform sees both
//! within seconds.

use clap::{Subcommand, ValueEnum};
use common::lifecycle::ExitStatus;
use serde_json::{Map, json};

use crate::{
    cli::{failure::Failure, globals::Globals, output::print},
    platform::{admin, open_database},
};

/// What to do with a partner.
#[derive(Debug, Subcommand)]
pub(crate) enum PartnerCommand {
    /// Make a partner; prints its name and its secret, if its requests are to be signed, as JSON.
    Create {
        /// 1-64 of a-z, 0-9, _ and -; a part of the addresses that it pushes to
        #[arg(long)]
        name: String,
        /// How its requests are signed
        #[arg(long, value_enum, default_value_t = Signing::Hmac)]
        signing: Signing,
    },
    /// Give a partner a new secret; the newest of the old ones stays good until the next rotation.
    RotateSecret {
        /// The partner
        #[arg(long)]
        name: String,
    },
}

/// How a partner's requests are signed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Signing {
    /// As those of game servers
    Hmac,
    /// An MD5 over sorted parameters and the secret, for those who can't do better
    Md5Sorted,
    /// Not at all: whoever reaches the gateway may push under this name
    None,
}

impl Signing {
    fn as_str(self) -> &'static str {
        match self {
            Self::Hmac => "hmac",
            Self::Md5Sorted => "md5-sorted",
            Self::None => "none",
        }
    }
}

pub(super) async fn run(command: PartnerCommand, globals: &Globals) -> Result<ExitStatus, Failure> {
    let configuration = globals.load_with_master_key().await?.value;
    let database = open_database(&configuration.sql, &configuration.data_dir).await?;
    let admin = admin(&configuration, database.clone())?;
    let partner = match command {
        PartnerCommand::Create { name, signing } => admin.create_partner(&name, signing.as_str()).await,
        PartnerCommand::RotateSecret { name } => admin.rotate_partner_secret(&name).await,
    }
    .map_err(anyhow::Error::from)?;
    database.close().await;
    let mut shown = Map::from_iter([("partner".to_owned(), json!(partner.partner))]);
    if let Some(secret) = partner.secret {
        shown.insert("secret".to_owned(), json!(secret.expose()));
    }
    print(&format!("{}\n", json!(shown)))?;
    Ok(ExitStatus::Clean)
}
