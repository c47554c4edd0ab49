//! The harness of the end-to-end stories: it starts the real program, speaks to it as a game client, a game server and
//! an operator do, and breaks what it depends on.
//!
//! Nothing here links against the product: what a story knows about it, it knows from the wire. In particular the
//! request signature is written a second time, from the contract. Only `books` looks into the database, as an auditor does.

mod admin;
mod answer;
mod app;
mod books;
mod buyers;
mod channel;
mod client;
mod collector;
mod database;
mod dns;
mod eventually;
mod game_server;
mod kafka;
mod listener;
mod load;
mod partner;
mod pay_channel;
mod platform;
mod player;
mod publishing;
mod python;
mod raw;
mod receiver;
mod registry;
mod replica;
mod role;
mod shop;
mod studio;

pub(crate) use admin::Admin;
pub(crate) use answer::Answer;
pub(crate) use app::App;
pub(crate) use books::Books;
pub(crate) use buyers::Buyers;
pub(crate) use channel::{Channel, IssuerKey};
pub(crate) use client::Client;
pub(crate) use collector::{Collector, Span};
pub(crate) use dns::DnsServer;
pub(crate) use eventually::{PATIENCE, eventually};
pub(crate) use game_server::{GameServer, SignedRequest, Verdict, now_ms};
pub(crate) use kafka::lines_in;
pub(crate) use load::{Load, Report};
pub(crate) use partner::{Partner, stored_lines, times_stored};
pub(crate) use pay_channel::{Notice, PAY_CHANNELS, PayChannel, Said, Words};
pub(crate) use platform::{Builder, Platform, Shape};
pub(crate) use player::{Player, Tokens};
pub(crate) use python::ask_python;
pub(crate) use raw::RawConnection;
pub(crate) use receiver::Receiver;
pub(crate) use registry::Registry;
pub(crate) use replica::{Replica, Which};
pub(crate) use role::{Role, playgate, run_to_end};
pub(crate) use shop::Shop;
pub(crate) use studio::Studio;

/// Makes tests of stories that hold whatever the platform is made of, and however many processes share the work.
macro_rules! in_every_shape {
    ($($story:ident),+ $(,)?) => {
        crate::support::in_both_shapes!($($story),+);
        crate::support::in_a_fleet!($($story),+);
    };
}

/// Makes tests of stories that hold for one process and for one process per role.
macro_rules! in_both_shapes {
    ($($story:ident),+ $(,)?) => {
        crate::support::in_one_process!($($story),+);
        crate::support::in_four_roles!($($story),+);
    };
}

/// Makes tests of stories about the whole platform in one process, on the embedded defaults.
macro_rules! in_one_process {
    ($($story:ident),+ $(,)?) => { crate::support::in_shape!(all_in_one, AllInOne, $($story),+); };
}

/// Makes tests of stories about four processes that share a MariaDB server. (A run without servers leaves out every
/// test with `mariadb` in its path.)
macro_rules! in_four_roles {
    ($($story:ident),+ $(,)?) => { crate::support::in_shape!(four_roles_mariadb, FourRolesMariadb, $($story),+); };
}

/// Makes tests of stories about a fleet: two gateways and two accounts that find each other through Nacos, on MariaDB
/// and Redis. (Likewise left out without servers: `on_nacos`.)
macro_rules! in_a_fleet {
    ($($story:ident),+ $(,)?) => { crate::support::in_shape!(fleet_on_nacos, FleetOnNacos, $($story),+); };
}

macro_rules! in_shape {
    ($module:ident, $shape:ident, $($story:ident),+) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() {
                    super::$story(crate::support::Shape::$shape).await;
                }
            )+
        }
    };
}

pub(crate) use {in_a_fleet, in_both_shapes, in_every_shape, in_four_roles, in_one_process, in_shape};
