//! `purchases.products` of the Google Play Developer API: what is asked, and what the answer says.

use aws_lc_rs::digest;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::{
    callback::{Answer, CallbackRefusal, Charged, PaymentFacts, Question, Verdict, What},
    google_play::OrderIdIn,
    json, moment, text,
};

/// Where the interface is.
pub(super) const API: &str = "https://androidpublisher.googleapis.com";

/// What an access token has to be good for.
pub(super) const SCOPE: &str = "https://www.googleapis.com/auth/androidpublisher";

/// As far as it is looked at. What has been consumed or acknowledged already is as good a payment as any.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProductPurchase {
    /// 0: purchased, 1: cancelled, 2: pending.
    purchase_state: i64,
    /// 0: by a tester, 1: with a promotion code, 2: for watching an advertisement; absent: paid for.
    purchase_type: Option<i64>,
    /// A number as text.
    purchase_time_millis: Option<String>,
    order_id: Option<String>,
    product_id: Option<String>,
    purchase_token: Option<String>,
    quantity: Option<i64>,
    /// 0: not yet, 1: acknowledged.
    acknowledgement_state: Option<i64>,
    /// 0: not yet, 1: consumed, which acknowledges as well.
    consumption_state: Option<i64>,
    obfuscated_external_account_id: Option<String>,
    obfuscated_external_profile_id: Option<String>,
}

/// What to ask about a purchase, of the interface at `api`.
pub(super) fn question(api: &str, package_name: &str, product_id: String, purchase_token: String) -> Question {
    let escaped = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let (product, token) = (escaped(&product_id), escaped(&purchase_token));
    let applications = format!("{api}/androidpublisher/v3/applications");
    let url = format!("{applications}/{package_name}/purchases/products/{product}/tokens/{token}");
    Question { acknowledge_url: format!("{url}:acknowledge"), url, product_id, purchase_token }
}

/// What the answer says. Only 200 and "there is no such purchase" are answers; anything else asks for another try.
pub(super) fn read(
    order_id_in: OrderIdIn,
    question: &Question,
    answer: &Answer<'_>,
) -> Result<Verdict, CallbackRefusal> {
    match answer.status {
        200 => {}
        400 | 404 | 410 => return Err(CallbackRefusal::malformed("purchaseToken", "Google knows no such purchase")),
        status => return Err(CallbackRefusal::ChannelUnavailable { status }),
    }
    let purchase: ProductPurchase = json::read("answer", answer.body)?;
    let same = |field: Option<&String>, asked: &str| field.is_none_or(|field| field == asked);
    if !same(purchase.product_id.as_ref(), &question.product_id) {
        return Err(CallbackRefusal::malformed("productId", "is not the one asked about"));
    }
    if !same(purchase.purchase_token.as_ref(), &question.purchase_token) {
        return Err(CallbackRefusal::malformed("purchaseToken", "is not the one asked about"));
    }
    match purchase.purchase_state {
        0 => facts(order_id_in, question, purchase).map(Verdict::Facts),
        1 => Ok(Verdict::Ignored("the purchase was cancelled")),
        2 => Ok(Verdict::Ignored("the purchase waits for its payment")),
        _ => Err(CallbackRefusal::malformed("purchaseState", "is not documented")),
    }
}

/// Whether a purchase was answered that nobody has acknowledged yet.
pub(super) fn owes_acknowledgement(answer: &Answer<'_>) -> bool {
    let purchase = json::read::<ProductPurchase>("answer", answer.body);
    answer.status == 200
        && purchase.is_ok_and(|it| it.acknowledgement_state != Some(1) && it.consumption_state != Some(1))
}

fn facts(
    order_id_in: OrderIdIn,
    question: &Question,
    purchase: ProductPurchase,
) -> Result<PaymentFacts, CallbackRefusal> {
    // An order is for one: several would be paid and one delivered.
    if purchase.quantity.is_some_and(|quantity| quantity != 1) {
        return Err(CallbackRefusal::malformed("quantity", "must be 1: an order is for one product"));
    }
    let (field, order_id) = match order_id_in {
        OrderIdIn::ProfileId => ("obfuscatedExternalProfileId", purchase.obfuscated_external_profile_id),
        OrderIdIn::AccountId => ("obfuscatedExternalAccountId", purchase.obfuscated_external_account_id),
    };
    let order_id = order_id.filter(|id| !id.is_empty()).map(|id| text::identifier(field, id)).transpose()?;
    let is_test = purchase.purchase_type == Some(0);
    let channel_order_id = match purchase.order_id.filter(|id| !id.is_empty()) {
        Some(order_id) => text::identifier("orderId", order_id)?,
        // Purchases with promotion codes may come without a number; their token is as unique, and secret.
        None => hex::encode(digest::digest(&digest::SHA256, question.purchase_token.as_bytes())),
    };
    let paid_at = purchase.purchase_time_millis.map(|raw| {
        let time = raw.parse().ok().and_then(moment::from_millis);
        time.ok_or_else(|| CallbackRefusal::malformed("purchaseTimeMillis", "must be Unix milliseconds"))
    });
    Ok(PaymentFacts {
        order_id,
        channel_order_id,
        charged: Charged::StorePrice(None),
        paid_at: paid_at.transpose()?,
        is_test,
        channel_product_id: Some(question.product_id.clone()),
        what: What::Paid,
    })
}
