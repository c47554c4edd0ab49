//! An operator looks for what is wrong while account is away.

use serde_json::json;

use crate::support::{Platform, Role, Shape, in_four_roles};

in_four_roles!(the_log_level_can_be_changed_while_account_is_away);

async fn the_log_level_can_be_changed_while_account_is_away(shape: Shape) {
    let mut platform = Platform::start(shape).await;
    platform.kill(Role::Account);
    let answer = platform.admin().put("/admin/v1/log-level", &json!({ "level": "debug" })).await.ok();
    assert_eq!((&answer["level"], &answer["audited"]), (&json!("debug"), &json!(false)));
    platform.admin().get("/admin/v1/apps").await.not_now();
    platform.admin().post("/admin/v1/apps", &json!({ "name": "x" })).await.not_now();
}
