//! By which doors payments come in: not the sandbox's where there is real money, and all of them on a gateway of their own.

use reqwest::Method;
use serde_json::json;

use crate::support::{Platform, Shape, in_one_process};

in_one_process!(the_sandbox_is_refused_in_production, callbacks_can_be_served_apart);

async fn the_sandbox_is_refused_in_production(shape: Shape) {
    let builder = Platform::build(shape).set("environment", "production").set("operator.admin_token", &"t".repeat(32));
    let builder = builder.set("account.master_key", &"5a".repeat(32)).set("sql.url", "sqlite://story.db");
    let platform = builder.start().await;
    let path = format!("/v1/pay/callbacks/sandbox/{}", platform.app().app_id);
    platform.client().post(&path, &json!({})).await.refused(4_040_302);
}

async fn callbacks_can_be_served_apart(shape: Shape) {
    let platform = Platform::build(shape).set("gateway.routes", r#"["pay"]"#).start().await;
    let path = format!("/v1/pay/callbacks/sandbox/{}", platform.app().app_id);
    let request = platform.client().request(Method::POST, &path).body("{}");
    let answer = platform.client().exchange(request).await.unwrap();
    assert_eq!((answer.status, &*answer.text), (400, "FAIL"));
    platform.client().post("/v1/sdk/register", &json!({})).await.refused(4_040_001);
}
