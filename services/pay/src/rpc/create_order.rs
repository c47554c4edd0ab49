//! `CreateOrder`: makes an order, once for each key of the player.

use idl::pay::{CreateOrderRequest, CreateOrderResponse};

use crate::{
    channels::app_account_token,
    domain::{CHANNEL_BYTES_MAX, Currency, FieldError, IdempotencyKey, Money, NewOrder, ProductId},
    error::OrderError,
    service::Parts,
};

pub(crate) async fn create_order(
    parts: &Parts,
    request: CreateOrderRequest,
) -> Result<CreateOrderResponse, OrderError> {
    let key = IdempotencyKey::parse(&request.idempotency_key)
        .map_err(|error| FieldError::new("Idempotency-Key", error.to_string()))?;
    let new = parse(request)?;
    let product = parts.products.find(new.app_id, &new.product_id).await?;
    let is_asked = match &new.channel {
        // One that can't be looked at is asked later, or found not to be one.
        Some(channel) => parts.questions.asker().can_be_asked(new.app_id, channel).await.unwrap_or(true),
        None => false,
    };
    let order = parts.orders.create(&new, &key, product.as_ref(), is_asked).await?.order;
    // What a client hands to the channel it has chosen: our number, and where the channel reports the payment to.
    let pay_params = order.channel.iter().flat_map(|channel| {
        let callback = format!("/v1/pay/callbacks/{channel}/{}", order.app_id);
        // Apple takes a UUID in place of a number.
        let token = app_account_token(order.order_id.as_str()).unwrap_or_default();
        [
            ("out_trade_no".into(), order.order_id.to_string().into()),
            ("app_account_token".into(), token.into()),
            ("callback_path".into(), callback.into()),
        ]
    });
    Ok(CreateOrderResponse {
        pay_params: pay_params.collect(),
        order_id: order.order_id.to_string().into(),
        state: order.state.as_str().into(),
        expires_at: order.expires_at.as_millis(),
    })
}

fn parse(request: CreateOrderRequest) -> Result<NewOrder, FieldError> {
    let currency =
        Currency::parse(&request.currency).map_err(|error| FieldError::new("currency", error.to_string()))?;
    let price = Money::new(request.amount, currency).map_err(|error| FieldError::new("amount", error.to_string()))?;
    let new = NewOrder {
        app_id: request.app_id,
        account_id: request.account_id,
        product_id: ProductId::parse(&request.product_id)?,
        price,
        role_id: request.role_id.to_string(),
        server_id: request.server_id.to_string(),
        extension: request.extension.to_string(),
        channel: request.channel.map(|channel| channel.to_string()),
    };
    if new.channel.as_ref().is_some_and(|channel| !is_channel_name(channel)) {
        return Err(FieldError::new("channel", "must be 1-32 of a-z, 0-9, _ and -"));
    }
    new.check()
}

/// As account names channels.
pub(super) fn is_channel_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    (1..=CHANNEL_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed)
}
