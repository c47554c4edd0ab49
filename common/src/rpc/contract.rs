//! What the client and the server suite need to know about a Thrift service.
//!
//! Generated code has one set of message types for sending and one for receiving. A [`Contract`] names them, moves a
//! message from one side to the other without serialising it, and says of each method whether it has side effects.
//! No behaviour lives here: what is done with that knowledge is written in the layers.

use std::fmt;

use motore::Service;
use volo::{client::MkClient, service::BoxCloneService};
use volo_thrift::{
    ClientError, EntryMessage, ServerError,
    context::{ClientContext, ServerContext},
};

use crate::governance::Class;

/// One method of a service.
#[derive(Debug)]
pub struct Method {
    /// As in the IDL.
    pub name: &'static str,
    /// Whether it may be cut short, and asked again.
    pub effect: Effect,
    /// What its calls are for, where there is not room for all. None: they are let in whatever happens.
    pub class: Option<Class>,
    /// Whether a second instance is asked as soon as the first takes longer than usual, and not only when it seems to
    /// hang: for short reads that players wait for.
    pub has_backup: bool,
    /// Its place in [`Contract::METHODS`], so that per-method state is an array look-up.
    pub index: usize,
}

/// What a method leaves behind.
///
/// There is no third kind for writes that are safe to repeat because of an idempotency key, or of the grace of a refresh
/// token. That safety is their callers' to use, who repeat with the same key and see what comes of it. A repeat that was
/// made here would be one more write for a service that is slow already, and the caller's own repeat would come on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing. It stops when its caller stops waiting, and could be asked again.
    Read,
    /// Something. Once begun it runs to its end, whether or not anybody still waits: half a login helps nobody.
    Write,
}

/// The service a client calls through: what the generated client is made of.
pub type ClientService<C> =
    BoxCloneService<ClientContext, <C as Contract>::RequestSend, Option<<C as Contract>::ResponseRecv>, ClientError>;

/// A Thrift service as the suites see it. Implemented by [`thrift_contract!`](super::contracts), one line per method.
pub trait Contract: Send + Sync + fmt::Debug + 'static {
    /// The role that serves it: the key for discovery and the metric label.
    const SERVICE: &'static str;
    /// Every method of the IDL.
    const METHODS: &'static [Method];

    /// A request as the client encodes it.
    type RequestSend: EntryMessage + Clone + Send + Sync + 'static;
    /// A request as the server decodes it.
    type RequestRecv: EntryMessage + Send + 'static;
    /// An answer as the server encodes it.
    type ResponseSend: EntryMessage + Send + Sync + 'static;
    /// An answer as the client decodes it.
    type ResponseRecv: EntryMessage + Clone + Send + Sync + 'static;
    /// The generated client.
    type Client: Clone + Send + Sync + 'static;
    /// What makes the generated client out of a service.
    type MakeClient: MkClient<volo_thrift::Client<ClientService<Self>>, Target = Self::Client>
    where
        Self: Sized;

    /// The maker of the generated client.
    fn make_client() -> Self::MakeClient
    where
        Self: Sized;

    /// Moves a request to the server's side.
    fn request(sent: Self::RequestSend) -> Self::RequestRecv;

    /// Moves an answer to the client's side.
    fn response(sent: Self::ResponseSend) -> Self::ResponseRecv;

    /// The method a client calls with this request.
    fn sent(request: &Self::RequestSend) -> &'static Method;

    /// The method a server is asked for by this request.
    fn received(request: &Self::RequestRecv) -> &'static Method;
}

/// A type that serves a contract: implemented for everything that implements the generated service trait.
pub trait Handler<C: Contract>: Send + Sync + 'static {
    /// The generated dispatcher around the handler.
    type Service: Service<ServerContext, C::RequestRecv, Response = C::ResponseSend, Error = ServerError>
        + Send
        + Sync
        + 'static;

    /// Wraps the handler in its dispatcher.
    fn into_service(self) -> Self::Service;
}

/// Implements [`Contract`] and [`Handler`] for one service of the IDL: `"role" = module::Service as Contract`, then one
/// line per method: `read`, `write`, or `hedged` for a read that has a backup, and the class of its calls. Every method
/// takes one `req` and has no exceptions besides `Ok`: the matches are
/// exhaustive, so that a method of the IDL that is missing here does not compile.
macro_rules! thrift_contract {
    (
        $(#[$doc:meta])*
        $role:literal = $module:ident :: $service:ident as $contract:ident;
        $($effect:ident $method:ident as $class:ident;)+
    ) => { paste::paste! {
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $contract {}

        const _: () = {
            use idl::$module as wire;

            enum Index { $($method),+ }

            impl Contract for $contract {
                const SERVICE: &'static str = $role;
                const METHODS: &'static [Method] = &[$(Method {
                    name: stringify!($method),
                    effect: thrift_contract!(@effect $effect),
                    class: thrift_contract!(@class $class),
                    has_backup: thrift_contract!(@has_backup $effect),
                    index: Index::$method as usize,
                }),+];

                type RequestSend = wire::[<$service RequestSend>];
                type RequestRecv = wire::[<$service RequestRecv>];
                type ResponseSend = wire::[<$service ResponseSend>];
                type ResponseRecv = wire::[<$service ResponseRecv>];
                type Client = wire::[<$service Client>];
                type MakeClient = wire::[<Mk $service GenericClient>];

                fn make_client() -> Self::MakeClient {
                    wire::[<Mk $service GenericClient>]
                }

                fn request(sent: Self::RequestSend) -> Self::RequestRecv {
                    match sent {
                        $(Self::RequestSend::$method(args) => {
                            Self::RequestRecv::$method(wire::[<$service $method ArgsRecv>] { req: args.req })
                        })+
                    }
                }

                fn response(sent: Self::ResponseSend) -> Self::ResponseRecv {
                    match sent {
                        $(Self::ResponseSend::$method(wire::[<$service $method ResultSend>]::Ok(answer)) => {
                            Self::ResponseRecv::$method(wire::[<$service $method ResultRecv>]::Ok(answer))
                        })+
                    }
                }

                fn sent(request: &Self::RequestSend) -> &'static Method {
                    match request {
                        $(Self::RequestSend::$method(_) => &Self::METHODS[Index::$method as usize],)+
                    }
                }

                fn received(request: &Self::RequestRecv) -> &'static Method {
                    match request {
                        $(Self::RequestRecv::$method(_) => &Self::METHODS[Index::$method as usize],)+
                    }
                }
            }

            impl<H: wire::$service + Send + Sync + 'static> Handler<$contract> for H {
                type Service = wire::[<$service Server>]<H>;

                fn into_service(self) -> Self::Service {
                    wire::[<$service Server>]::from_handler(self)
                }
            }
        };
    } };
    (@effect read) => { Effect::Read };
    (@effect hedged) => { Effect::Read };
    (@effect write) => { Effect::Write };
    (@class Always) => { None };
    (@class $class:ident) => { Some(Class::$class) };
    (@has_backup hedged) => { true };
    (@has_backup $other:ident) => { false };
}

pub(super) use thrift_contract;
