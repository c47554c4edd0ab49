//! Generates the RPC clients, servers and messages from the `.thrift` files beside this script.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for file in [
        "common.thrift",
        "account.thrift",
        "account_admin.thrift",
        "account_partner.thrift",
        "setting.thrift",
        "setting_admin.thrift",
        "pay.thrift",
        "pay_admin.thrift",
        "pay_order.thrift",
    ] {
        println!("cargo:rerun-if-changed={file}");
    }
    volo_build::ConfigBuilder::default().write()?;
    Ok(())
}
