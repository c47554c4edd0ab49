//! What is sold: the catalogue of an app.

use std::{collections::BTreeMap, fmt};

use super::{Currency, FieldError, Money};

const ID_BYTES_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 128;
const PRICES_MAX: usize = 32;
const CHANNEL_PRODUCTS_MAX: usize = 32;
const CHANNEL_PRODUCT_BYTES_MAX: usize = 128;

/// What the studio calls a product: 1-64 letters, digits, `.`, `_` and `-`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ProductId(String);

/// A product and what it costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Product {
    /// Shown to players and on statements of channels.
    name: String,
    /// The price in each currency it can be bought in.
    prices: BTreeMap<Currency, Money>,
    /// What channels with a catalogue of their own call it: channel to product.
    channel_products: BTreeMap<String, String>,
}

impl ProductId {
    /// Reads an id.
    pub(crate) fn parse(raw: &str) -> Result<Self, FieldError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        match (1..=ID_BYTES_MAX).contains(&raw.len()) && raw.bytes().all(allowed) {
            true => Ok(Self(raw.to_owned())),
            false => Err(FieldError::new("product_id", "must be 1-64 letters, digits, `.`, `_` and `-`")),
        }
    }

    /// The id.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ProductId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Product {
    /// A product as an operator describes it: amounts in minor units by currency.
    pub(crate) fn new(
        name: &str,
        prices: impl IntoIterator<Item = (String, i64)>,
        channel_products: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, FieldError> {
        if name.trim().is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(FieldError::new("name", "must be 1-128 bytes without control characters"));
        }
        let price = |(code, amount): (String, i64)| {
            let currency = Currency::parse(&code);
            let currency = currency.map_err(|error| FieldError::new("prices", error.to_string()))?;
            let money = Money::new(amount, currency).map_err(|error| FieldError::new("prices", error.to_string()))?;
            Ok((currency, money))
        };
        let prices = prices.into_iter().map(price).collect::<Result<BTreeMap<_, _>, FieldError>>()?;
        if prices.is_empty() || prices.len() > PRICES_MAX {
            return Err(FieldError::new("prices", "must name a price in 1-32 currencies"));
        }
        let channel_products: BTreeMap<_, _> = channel_products.into_iter().collect();
        let is_text = |text: &str, most: usize| (1..=most).contains(&text.len()) && !text.chars().any(char::is_control);
        if channel_products.len() > CHANNEL_PRODUCTS_MAX
            || !channel_products.iter().all(|(channel, product)| {
                is_text(channel, CHANNEL_BYTES_MAX) && is_text(product, CHANNEL_PRODUCT_BYTES_MAX)
            })
        {
            return Err(FieldError::new(
                "channel_products",
                "must name at most 32 channels (1-32 bytes) with a product (1-128 bytes) each",
            ));
        }
        Ok(Self { name: name.trim().to_owned(), prices, channel_products })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The price in a currency, if it can be bought in it.
    pub(crate) fn price(&self, currency: Currency) -> Option<Money> {
        self.prices.get(&currency).copied()
    }

    /// Every price.
    pub(crate) fn prices(&self) -> impl Iterator<Item = Money> {
        self.prices.values().copied()
    }

    /// What channels call it.
    pub(crate) fn channel_products(&self) -> &BTreeMap<String, String> {
        &self.channel_products
    }
}

/// The longest name of a channel.
pub(crate) const CHANNEL_BYTES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn product(name: &str, prices: &[(&str, i64)]) -> Result<Product, &'static str> {
        let prices = prices.iter().map(|(code, amount)| ((*code).to_owned(), *amount));
        Product::new(name, prices, []).map_err(|error| error.field)
    }

    #[test]
    fn a_product_has_a_name_and_at_least_one_price() {
        let gems = product("60 Gems", &[("CNY", 600), ("USD", 99)]).expect("a product");
        let currency = |code| Currency::parse(code).expect("a currency");
        assert_eq!(gems.price(currency("USD")).map(Money::amount), Some(99));
        assert_eq!(gems.price(currency("EUR")), None);
        assert_eq!(product(" ", &[("CNY", 600)]), Err("name"));
        for prices in [&[][..], &[("CNY", 0)], &[("cny", 600)], &[("CNY", -1)]] {
            assert_eq!(product("60 Gems", prices), Err("prices"), "{prices:?}");
        }
    }

    #[test]
    fn an_id_is_made_of_what_every_url_and_every_channel_takes() {
        for good in ["gems60", "com.studio.game.gems-60", "A_1"] {
            assert_eq!(ProductId::parse(good).expect("an id").as_str(), good);
        }
        for bad in ["", "a b", "a/b", "宝石", &"g".repeat(65)] {
            assert_eq!(ProductId::parse(bad).expect_err("refused").field, "product_id", "{bad:?}");
        }
    }
}
