//! The harness of the end-to-end stories: it starts the real program, speaks to it as a game client, a game server and
//! an operator do, and breaks what it depends on.
//!
//! Nothing here links against the product: what a story knows about it, it knows from the wire. In particular the
//! request signature is written a second time, from the contract.

mod answer;
mod app;
mod client;
mod collector;
mod database;
mod eventually;
mod game_server;
mod platform;
mod player;
mod raw;
mod receiver;
mod role;

pub(crate) use answer::Answer;
pub(crate) use app::App;
pub(crate) use client::Client;
pub(crate) use collector::{Collector, Span};
pub(crate) use eventually::{PATIENCE, eventually};
pub(crate) use game_server::{GameServer, SignedRequest, Verdict, now_ms};
pub(crate) use platform::{Builder, Platform, Shape};
pub(crate) use player::{Player, Tokens};
pub(crate) use raw::RawConnection;
pub(crate) use receiver::Receiver;
pub(crate) use role::{Role, playgate, run_to_end};

/// Makes tests of stories that hold whatever the platform is made of.
macro_rules! in_both_shapes {
    ($($story:ident),+ $(,)?) => {
        crate::support::in_one_process!($($story),+);
        crate::support::in_four_roles!($($story),+);
    };
}

/// Makes tests of stories about the whole platform in one process, on the embedded defaults.
macro_rules! in_one_process {
    ($($story:ident),+ $(,)?) => {
        mod all_in_one {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() {
                    super::$story(crate::support::Shape::AllInOne).await;
                }
            )+
        }
    };
}

/// Makes tests of stories about four processes that share a MariaDB server. (A run without servers leaves out every
/// test with `mariadb` in its path.)
macro_rules! in_four_roles {
    ($($story:ident),+ $(,)?) => {
        mod four_roles_mariadb {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() {
                    super::$story(crate::support::Shape::FourRolesMariadb).await;
                }
            )+
        }
    };
}

pub(crate) use {in_both_shapes, in_four_roles, in_one_process};
