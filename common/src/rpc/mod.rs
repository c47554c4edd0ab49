//! How the roles call each other, over the wire and in process, with one set of semantics.
//!
//! In reading order:
//! - [`contract`] and [`contracts`]: what the suites know of a service: its messages, and which methods have effects.
//! - [`error`] and `biz`: what can become of a call, and how a refusal crosses.
//! - [`server`] and [`client`]: the two lists of layers, each line with its reason; `layer/` has them, one per file.
//! - `in_process` and [`serve`](mod@serve): the two transports; `frame` and `caller` belong to the wire.
//! - `outgoing/`: what stands around a call over the wire: repeats, breaker, bulkhead, and the choice of the instance.
//! - `metrics` and `trace`: counting calls, and what their spans say.
//!
//! What a method means is the services' business: nothing here looks into a message.

mod biz;
mod caller;
mod client;
mod contract;
mod contracts;
mod error;
mod frame;
mod in_process;
mod layer;
mod metrics;
mod outgoing;
mod serve;
mod server;
#[cfg(test)]
pub(crate) mod tests;
mod trace;

pub use self::{
    client::{ClientConfig, ClientParts, Transport, account_client, pay_client, setting_client},
    contract::{ClientService, Contract, Effect, Handler, Method},
    contracts::{AccountContract, PayContract, SettingContract},
    error::{CallError, Refusal, answer},
    metrics::{ClientMetrics, ServerMetrics},
    serve::{ServerConfig, serve},
    server::{ServerParts, ServerStack, server_stack},
};
