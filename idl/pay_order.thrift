namespace rs pay_order

/// An order as players and game servers see it.
struct Order {
    1: required string order_id,
    2: required i64 app_id,
    3: required i64 account_id,
    4: required string product_id,
    5: required i64 amount,
    6: required string currency,
    7: required string role_id,
    8: required string server_id,
    9: required string extension,
    /// "created", "paying", "paid", "delivering", "delivered", "expired", "closed", "refunding" or "refunded".
    10: required string state,
    11: optional string channel,
    12: optional string channel_order_id,
    13: required i64 created_at,
    14: required i64 expires_at,
    15: optional i64 paid_at,
    16: optional i64 delivered_at,
}
