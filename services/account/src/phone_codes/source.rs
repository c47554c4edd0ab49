//! Where somebody comes from who asks for a code or guesses at one.

use std::net::IpAddr;

use crate::{
    domain::{
        client::Client,
        code_tries::{Guesser, Source, network_of},
        personal_data::{PersonalData, PhoneIndex},
    },
    error::AccountError,
    store::accounts::{Accounts, CredentialName},
};

/// What nobody's address counts for.
const NOWHERE: &str = "";

/// Where the client is, as MACs.
pub(super) fn source_of(data: &PersonalData, client: &Client) -> Source {
    let address = client.address.as_deref().and_then(|address| address.parse::<IpAddr>().ok());
    let network = address.map_or(NOWHERE.to_owned(), |address| network_of(address).to_string());
    Source {
        device: client.device_id.as_ref().map(|device_id| data.source_key("device", device_id.as_str())),
        network: data.source_key("network", &network),
    }
}

/// Whether the device has signed in before to the account that has the phone. A device is asked about whether or not
/// there is such an account, and takes the same time; without one there is nothing to ask.
pub(super) async fn is_known(accounts: &Accounts, phone: &PhoneIndex, client: &Client) -> Result<bool, AccountError> {
    let Some(device_id) = &client.device_id else { return Ok(false) };
    let credential = accounts.credential(CredentialName::Phone(phone), Some(device_id)).await?;
    Ok(credential.is_some_and(|credential| credential.device_is_known))
}

/// Who guesses.
pub(super) async fn guesser(
    accounts: &Accounts,
    data: &PersonalData,
    phone: &PhoneIndex,
    client: &Client,
) -> Result<Guesser, AccountError> {
    Ok(Guesser { source: source_of(data, client), is_known: is_known(accounts, phone, client).await? })
}
