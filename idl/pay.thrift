include "pay_admin.thrift"
include "pay_order.thrift"

namespace rs pay

/// Orders, what channels say was paid, the wallet ledger, and telling game servers.
///
/// Refusals travel as business errors, as those of account do. Times are Unix milliseconds, amounts minor units.

struct GetWalletRequest {
    1: required i64 app_id,
    2: required i64 account_id,
}

struct GetWalletResponse {
    /// Currency -> balance in minor units. A currency that was never used is absent.
    1: required map<string, i64> balances,
}

struct SpendWalletRequest {
    1: required i64 app_id,
    /// Whose wallet.
    2: required i64 account_id,
    /// ISO 4217.
    3: required string currency,
    /// Minor units, at least one.
    4: required i64 amount,
    /// Kept with the spend: at most 255 bytes.
    5: optional string reason,
    /// 1-64 visible ASCII characters; tells a repeated request of the app from a new one.
    6: required string idempotency_key,
}

struct SpendWalletResponse {
    /// Its transaction in the ledger.
    1: required string transaction_id,
    2: required string currency,
    /// What the wallet held in that currency right after it, whatever has become of it since.
    3: required i64 balance,
}

struct CreateOrderRequest {
    1: required i64 app_id,
    /// Who buys. The caller has seen a good token of theirs.
    2: required i64 account_id,
    /// 1-64 visible ASCII characters; tells a repeated request of the player from a new one.
    3: required string idempotency_key,
    4: required string product_id,
    5: required i64 amount,
    /// ISO 4217.
    6: required string currency,
    /// Carried through to the game server: at most 64, 64 and 1024 bytes.
    7: required string role_id,
    8: required string server_id,
    9: required string extension,
    /// The channel it is to be paid through; a payment through another one is then refused. Absent: any.
    10: optional string channel,
}

struct CreateOrderResponse {
    1: required string order_id,
    /// Always as it was when it was made.
    2: required string state,
    3: required i64 expires_at,
    /// What the client hands to the channel.
    4: required map<string, string> pay_params,
}

struct GetOrderRequest {
    /// The order has to be this app's, or there is no such order.
    1: required i64 app_id,
    2: required string order_id,
    /// Set: it has to be this player's besides.
    3: optional i64 account_id,
}

struct GetOrderResponse {
    1: required pay_order.Order order,
}

struct RedeliverOrderRequest {
    1: required i64 app_id,
    2: required string order_id,
}

struct RedeliverOrderResponse {
}

struct Header {
    1: required string name,
    2: required string value,
}

/// A callback exactly as it came.
struct HandleCallbackRequest {
    1: required string channel,
    2: required i64 app_id,
    3: required string method,
    /// As sent, percent-encoding untouched.
    4: required string path,
    /// As sent, without its question mark.
    5: required string query,
    6: required list<Header> headers,
    7: required binary body,
}

/// What the channel is answered, to the letter.
struct HandleCallbackResponse {
    1: required i32 status,
    2: optional string content_type,
    3: required binary body,
}

service PayService {
    /// The balances of one account's wallet in one app, from the ledger. Read only.
    GetWalletResponse GetWallet(1: GetWalletRequest req),

    /// Spends from a player's wallet, once for each key of the app: a repetition is answered what the first request was, the
    /// same key with another request is IDEMPOTENCY_KEY_REUSED. INSUFFICIENT_BALANCE when the wallet holds less; the key
    /// may then be used again.
    SpendWalletResponse SpendWallet(1: SpendWalletRequest req),

    /// Makes an order, once for each key of the player: a repetition is answered what the first request was, the same key
    /// with another request is IDEMPOTENCY_KEY_REUSED.
    CreateOrderResponse CreateOrder(1: CreateOrderRequest req),

    /// One order. Read only.
    GetOrderResponse GetOrder(1: GetOrderRequest req),

    /// Has a paid order sent to the game server again, at once. ORDER_STATE_FORBIDS of one that is not paid.
    RedeliverOrderResponse RedeliverOrder(1: RedeliverOrderRequest req),

    /// Takes what a channel says. Whatever comes of it is the channel's own form of an answer; a refusal (NO_SUCH_PAYMENT_CHANNEL)
    /// only where there is no such channel.
    HandleCallbackResponse HandleCallback(1: HandleCallbackRequest req),
    // For operators, through the admin API of a gateway. See pay_admin.thrift.

    /// Puts a product into the catalogue. Idempotent.
    pay_admin.PutProductResponse AdminPutProduct(1: pay_admin.PutProductRequest req),

    /// Replaces the configuration of a payment channel; every instance follows within a second. Idempotent, but for its
    /// version.
    pay_admin.PutPayChannelResponse AdminPutChannel(1: pay_admin.PutPayChannelRequest req),

    /// The payment channels of an app. Read only.
    pay_admin.ListPayChannelsResponse AdminListChannels(1: pay_admin.ListPayChannelsRequest req),

    /// An order with everything that happened to it. Read only.
    pay_admin.DescribeOrderResponse AdminDescribeOrder(1: pay_admin.DescribeOrderRequest req),

    /// As RedeliverOrder, by an operator's hand.
    pay_admin.ChangeOrderResponse AdminRedeliverOrder(1: pay_admin.ChangeOrderRequest req),

    /// Gives up an order that nobody has paid for: a payment that comes all the same is refused. Idempotent.
    /// ORDER_STATE_FORBIDS of one that is paid.
    pay_admin.ChangeOrderResponse AdminCloseOrder(1: pay_admin.ChangeOrderRequest req),

    /// Gives an order back: out of the books, and at its channel where that can be asked. Idempotent. ORDER_STATE_FORBIDS of
    /// one that is not paid, or whose money the player has spent.
    pay_admin.RefundOrderResponse AdminRefundOrder(1: pay_admin.RefundOrderRequest req),

    /// Has many orders of an app sent again, from the beginning of the schedule: those that were given up, or whatever
    /// waits besides.
    pay_admin.RedeliverManyResponse AdminRedeliverMany(1: pay_admin.RedeliverManyRequest req),

    /// The orders of an app that nobody delivers any more, page by page. Read only.
    pay_admin.ListDeadLettersResponse AdminListDeadLetters(1: pay_admin.ListDeadLettersRequest req),

    /// The catalogue of an app, page by page. Read only.
    pay_admin.ListProductsResponse AdminListProducts(1: pay_admin.ListProductsRequest req),

    /// One product; NO_SUCH_PRODUCT. Read only.
    pay_admin.GetProductResponse AdminGetProduct(1: pay_admin.GetProductRequest req),

    /// Takes a product out of the catalogue; NO_SUCH_PRODUCT. Orders keep what they were made for.
    pay_admin.DeleteProductResponse AdminDeleteProduct(1: pay_admin.DeleteProductRequest req),

    /// Orders of an app by state, player and time, page by page. Read only.
    pay_admin.SearchOrdersResponse AdminSearchOrders(1: pay_admin.SearchOrdersRequest req),
}
