//! The RPC contract between the roles, generated from the `.thrift` files in this directory.
//!
//! The comments that say what each method guarantees are in those files. No code of our own lives here.
#![allow(warnings, clippy::all, clippy::pedantic)]

mod r#gen {
    include!(concat!(env!("OUT_DIR"), "/volo_gen.rs"));
}

pub use r#gen::volo_gen::{
    account, account_admin, account_partner, common, pay, pay_admin, pay_order, setting, setting_admin,
};
