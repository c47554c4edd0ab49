//! What the span of a call says, in the words of OpenTelemetry's semantic conventions for RPC. The same on both sides.

use super::{
    contract::{Contract, Method},
    metrics::Outcome,
};
use crate::telemetry::trace::Description;

/// A call as its client sees it.
pub(super) fn made<C: Contract>(method: &'static Method) -> Description {
    call::<C>(Description::client(name::<C>(method)), method)
}

/// A call as its server sees it.
pub(super) fn received<C: Contract>(method: &'static Method) -> Description {
    call::<C>(Description::server(name::<C>(method)), method)
}

/// Adds how the call ended: what became of it as a call, and the code of the answer if there was one.
pub(super) fn ended(outcome: Outcome, call: Description) -> Description {
    let call = match outcome.code() {
        Some(code) => call.with("playgate.code", i64::from(code.inner())),
        None => call,
    };
    if outcome.is_fault() { call.with("error.type", outcome.label()) } else { call }
}

fn name<C: Contract>(method: &'static Method) -> String {
    format!("{}/{}", C::SERVICE, method.name)
}

fn call<C: Contract>(description: Description, method: &'static Method) -> Description {
    description.with("rpc.system", "thrift").with("rpc.service", C::SERVICE).with("rpc.method", method.name)
}
