//! A product as operators see it, and which one a path names.

use std::collections::BTreeMap;

use idl::pay_admin as wire;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use volo::FastStr;

/// Which product, in the path.
#[derive(Debug, Deserialize)]
pub(crate) struct ProductPath {
    pub(super) app_id: i64,
    pub(super) product_id: FastStr,
}

/// What an app sells.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Product {
    #[schema(value_type = String, example = "gems60")]
    product_id: FastStr,
    #[schema(value_type = String, example = "60 Gems")]
    name: FastStr,
    /// Currency (ISO 4217) → minor units.
    #[schema(value_type = Object, example = json!({"CNY": 600, "USD": 99}))]
    prices: BTreeMap<FastStr, i64>,
    /// Channel → what the channel calls the product.
    #[schema(value_type = Object, example = json!({"apple": "com.studio.game.gems60"}))]
    channel_products: BTreeMap<FastStr, FastStr>,
    /// Unix milliseconds.
    updated_at: i64,
}

impl From<wire::Product> for Product {
    fn from(product: wire::Product) -> Self {
        Self {
            product_id: product.product_id,
            name: product.name,
            prices: product.prices.into_iter().collect(),
            channel_products: product.channel_products.into_iter().collect(),
            updated_at: product.updated_at,
        }
    }
}
