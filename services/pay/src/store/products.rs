//! The catalogue: `pay_products`.

use std::collections::BTreeMap;

use common::{
    clock::Timestamp,
    sql::{Database, Sql, Text, Tx},
};

use super::StoreError;
use crate::domain::{Money, Product, ProductId};

const PUT: Sql = Sql::Each {
    mysql: "INSERT INTO pay_products (app_id, product_id, name, prices, channel_products, updated_at) \
            VALUES (?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE name = VALUES(name), prices = VALUES(prices), \
            channel_products = VALUES(channel_products), updated_at = VALUES(updated_at)",
    sqlite: "INSERT INTO pay_products (app_id, product_id, name, prices, channel_products, updated_at) \
             VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (app_id, product_id) DO UPDATE SET name = excluded.name, \
             prices = excluded.prices, channel_products = excluded.channel_products, \
             updated_at = excluded.updated_at",
};

const FIND: &str = "SELECT name, prices, channel_products FROM pay_products WHERE app_id = ? AND product_id = ?";

const PAGE: &str = "SELECT product_id, name, prices, channel_products, updated_at FROM pay_products \
     WHERE app_id = ? AND product_id > ? ORDER BY product_id LIMIT ?";

const LISTED: &str = "SELECT product_id, name, prices, channel_products, updated_at FROM pay_products \
     WHERE app_id = ? AND product_id = ?";

const DELETE: &str = "DELETE FROM pay_products WHERE app_id = ? AND product_id = ?";

/// What every app sells.
#[derive(Clone, Debug)]
pub(crate) struct Products {
    database: Database,
}

/// A product in its place in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) product_id: ProductId,
    pub(crate) product: Product,
    pub(crate) updated_at: Timestamp,
}

type Row = (Text, Text, Text);
type ListedRow = (Text, Text, Text, Text, i64);

impl Products {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Puts a product into the catalogue, in place of the one there may be.
    pub(crate) async fn put(
        &self,
        app_id: i64,
        product_id: &ProductId,
        product: &Product,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let prices: BTreeMap<String, i64> =
            product.prices().map(|price| (price.currency().as_str().to_owned(), price.amount())).collect();
        let prices = serde_json::to_string(&prices).map_err(|_| StoreError::Unreadable("prices"))?;
        let channels = serde_json::to_string(product.channel_products());
        let channels = channels.map_err(|_| StoreError::Unreadable("channel_products"))?;
        self.database
            .write(PUT)
            .bind(app_id)
            .bind(product_id.as_str())
            .bind(product.name())
            .bind(prices)
            .bind(channels)
            .bind(now.as_millis())
            .execute()
            .await?;
        Ok(())
    }

    /// A product; `None` when the app sells no such thing.
    pub(crate) async fn find(&self, app_id: i64, product_id: &ProductId) -> Result<Option<Product>, StoreError> {
        let row: Option<Row> = self.database.read(FIND).bind(app_id).bind(product_id.as_str()).optional().await?;
        row.map(product).transpose()
    }

    /// A product in its place in the catalogue.
    pub(crate) async fn listed(&self, app_id: i64, product_id: &ProductId) -> Result<Option<Listed>, StoreError> {
        let query = self.database.read(LISTED).bind(app_id).bind(product_id.as_str());
        query.optional::<ListedRow>().await?.map(Listed::try_from).transpose()
    }

    /// Up to `most` products of an app by their ids, behind `after`; the empty text is before all of them.
    pub(crate) async fn page(&self, app_id: i64, after: &str, most: u32) -> Result<Vec<Listed>, StoreError> {
        let query = self.database.read(PAGE).bind(app_id).bind(after).bind(i64::from(most));
        query.all::<ListedRow>().await?.into_iter().map(Listed::try_from).collect()
    }

    /// Takes a product out of the catalogue; `false`: there is none. Orders have a copy of what they were made for.
    pub(crate) async fn delete(&self, app_id: i64, product_id: &ProductId) -> Result<bool, StoreError> {
        Ok(self.database.write(DELETE).bind(app_id).bind(product_id.as_str()).execute().await? == 1)
    }
}

/// The same, as a transaction sees it.
pub(super) async fn find_in(tx: &mut Tx, app_id: i64, product_id: &ProductId) -> Result<Option<Product>, StoreError> {
    let row: Option<Row> = tx.sql(FIND).bind(app_id).bind(product_id.as_str()).optional().await?;
    row.map(product).transpose()
}

fn product((name, prices, channels): Row) -> Result<Product, StoreError> {
    let prices: BTreeMap<String, i64> = serde_json::from_str(&prices).map_err(|_| StoreError::Unreadable("prices"))?;
    let channels: BTreeMap<String, String> =
        serde_json::from_str(&channels).map_err(|_| StoreError::Unreadable("channel_products"))?;
    Product::new(&name, prices, channels).map_err(|_| StoreError::Unreadable("product"))
}

impl TryFrom<ListedRow> for Listed {
    type Error = StoreError;

    fn try_from((product_id, name, prices, channels, updated_at): ListedRow) -> Result<Self, StoreError> {
        Ok(Self {
            product_id: ProductId::parse(&product_id).map_err(|_| StoreError::Unreadable("product_id"))?,
            product: product((name, prices, channels))?,
            updated_at: Timestamp::from_millis(updated_at),
        })
    }
}

/// The price of a product in a currency, if it is sold in it.
pub(crate) fn price_of(product: Option<&Product>, wanted: Money) -> Option<Money> {
    product?.price(wanted.currency())
}
