include "pay_order.thrift"

namespace rs pay_admin

/// What operators ask of the pay service. The methods are in pay.thrift, named `Admin…`; only the admin API of a gateway
/// calls them, after it has seen the operator's token, and writes changes into the audit. What happens to an order is in
/// its journal besides.

struct PutProductRequest {
    1: required string actor,
    2: required i64 app_id,
    /// 1-64 letters, digits, ".", "_" and "-".
    3: required string product_id,
    4: required string name,
    /// Currency -> minor units; at least one.
    5: required map<string, i64> prices,
    /// Channel -> what the channel calls the product.
    6: required map<string, string> channel_products,
}

struct PutProductResponse {
}

/// A payment channel of an app. Its document is JSON, with `***` in the place of each secret.
struct PayChannelDetails {
    1: required string channel,
    /// Counts up with every change.
    2: required i64 version,
    3: required string document_json,
    4: required i64 updated_at,
}

struct PutPayChannelRequest {
    1: required string actor,
    2: required i64 app_id,
    /// 1-32 of a-z, 0-9, _ and -.
    3: required string channel,
    /// A JSON object of at most 65536 bytes with a `kind`. A secret that is `***` stays as it is.
    4: required string document_json,
}

struct PutPayChannelResponse {
    1: required PayChannelDetails channel,
}

struct ListPayChannelsRequest {
    1: required i64 app_id,
}

struct ListPayChannelsResponse {
    /// By name.
    1: required list<PayChannelDetails> channels,
}

struct DescribeOrderRequest {
    1: required string order_id,
}

/// Something that happened to an order, or was said of it and refused.
struct JournalLine {
    1: required string from_state,
    /// The same: nothing moved.
    2: required string to_state,
    3: required string event,
    4: required string actor,
    5: required string reason,
    6: required i64 at,
}

/// One attempt to tell the game server.
struct DeliveryAttempt {
    1: required i32 attempt,
    /// "acknowledged", "refused", "no_answer", "no_target", "forbidden" or "unknown".
    2: required string outcome,
    /// The HTTP status, if there was an answer.
    3: optional i32 status,
    4: required string detail,
    5: required i64 at,
    6: required i64 duration_ms,
}

/// A refund of an order, or of a part of it.
struct OrderRefund {
    /// As the game server is told it.
    1: required string refund_id,
    /// The channel that said it; absent: an operator did it.
    2: optional string channel,
    3: optional string channel_refund_id,
    /// Minor units of the order's currency, of this refund alone; absent: a part, and nobody knows which.
    4: optional i64 amount,
    5: required i64 refunded_at,
    /// false: not out of the wallet; somebody has to look into it.
    6: required bool in_books,
    /// "not_owed", "waiting", "given_up", "acknowledged" or "no_refund_url".
    7: required string notice,
    /// Attempts to tell the game server, oldest first; outcomes "not_wanted" besides.
    8: required list<DeliveryAttempt> deliveries,
}

struct DescribeOrderResponse {
    1: required pay_order.Order order,
    /// Oldest first.
    2: required list<JournalLine> journal,
    /// Oldest first.
    3: required list<DeliveryAttempt> deliveries,
    /// Oldest first.
    4: optional list<OrderRefund> refunds,
}

struct ChangeOrderRequest {
    1: required string actor,
    2: required string order_id,
    /// At most 255 bytes, for the journal.
    3: required string reason,
}

struct ChangeOrderResponse {
    1: required pay_order.Order order,
}

struct RefundOrderRequest {
    1: required string actor,
    2: required string order_id,
    /// At most 255 bytes, for the journal.
    3: required string reason,
    /// In the books only, also where the channel could be asked: the money goes back by another way.
    4: optional bool in_books,
}

struct RefundOrderResponse {
    1: required pay_order.Order order,
    /// "in_books" or "at_channel".
    2: optional string refund,
}

struct GetProductRequest {
    1: required i64 app_id,
    2: required string product_id,
}

struct Product {
    1: required string product_id,
    2: required string name,
    /// Currency -> minor units.
    3: required map<string, i64> prices,
    /// Channel -> what the channel calls the product.
    4: required map<string, string> channel_products,
    5: required i64 updated_at,
}

struct GetProductResponse {
    1: required Product product,
}

struct ListProductsRequest {
    1: required i64 app_id,
    /// The last product of the page before.
    2: optional string after,
    /// 1-200.
    3: required i32 limit,
}

struct ListProductsResponse {
    /// By id.
    1: required list<Product> products,
    2: required bool more,
}

struct DeleteProductRequest {
    1: required string actor,
    2: required i64 app_id,
    3: required string product_id,
}

struct DeleteProductResponse {
}

struct SearchOrdersRequest {
    1: required i64 app_id,
    /// As in pay_order.Order.
    2: optional string state,
    3: optional i64 account_id,
    /// Made at this moment or later, Unix milliseconds.
    4: optional i64 from,
    /// Made before this moment.
    5: optional i64 until,
    /// The last order of the page before.
    6: optional string cursor,
    /// 1-200.
    7: required i32 limit,
}

struct SearchOrdersResponse {
    /// Newest first.
    1: required list<pay_order.Order> orders,
    2: required bool more,
}

struct ListDeadLettersRequest {
    1: required i64 app_id,
    /// The `next` of the page before.
    2: optional string cursor,
    /// 1-200.
    3: required i32 limit,
}

/// A paid order that nobody tells its game server of any more.
struct DeadLetter {
    1: required string order_id,
    2: required i64 account_id,
    3: required string product_id,
    4: required i64 amount,
    5: required string currency,
    6: required string state,
    7: optional i64 paid_at,
    /// How often the game server was told.
    8: required i32 attempts,
    9: required i64 given_up_at,
    /// What came of the last attempt, as in DeliveryAttempt. Absent: it is forgotten.
    10: optional string last_outcome,
    11: optional i32 last_status,
    12: optional string last_detail,
}

struct ListDeadLettersResponse {
    /// Those that were given up first first.
    1: required list<DeadLetter> dead_letters,
    /// There are more: where the next page begins.
    2: optional string next,
}

struct RedeliverManyRequest {
    1: required string actor,
    2: required i64 app_id,
    /// "dead" or "all-undelivered".
    3: required string state,
    /// 1-500.
    4: required i32 limit,
    /// At most 255 bytes, for the journals.
    5: required string reason,
}

struct RedeliverManyResponse {
    /// So many were put back. As many as `limit`: there may be more.
    1: required i32 redelivered,
}
