//! [`Segments`]: identifiers that are unique across replicas and cost no I/O.
//!
//! A replica reserves a block of identifiers in SQL and hands them out from memory. When half a block is left it
//! reserves the next one in the background, so that a caller waits for the database only if a whole block goes in
//! less time than a reservation takes. Identifiers grow per replica, not across replicas; a restart leaves a gap.

use std::{
    fmt,
    num::NonZeroU32,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sqlx::migrate::Migrator;

use super::{Database, MigrationSet, Sql, SqlError};

/// Identifiers stay below this, so that they survive JavaScript and Lua, whose numbers are doubles.
pub const ID_LIMIT: i64 = 1 << 53;

static MYSQL: Migrator = sqlx::migrate!("src/sql/migrations/mysql");
static SQLITE: Migrator = sqlx::migrate!("src/sql/migrations/sqlite");

/// The tables of this layer itself, prefix `platform_`.
pub fn platform_migrations() -> MigrationSet {
    MigrationSet { name: "platform", mysql: &MYSQL, sqlite: &SQLITE }
}

/// What to hand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentPlan {
    /// The kind of identifier: the row in `platform_segments`. At most 64 ASCII characters.
    pub name: &'static str,
    /// The first identifier ever; looked at only when the row does not exist yet.
    pub first_id: i64,
    /// How many identifiers a reservation takes: the more, the rarer the writes and the wider the gaps.
    pub block_size: NonZeroU32,
}

/// Hands identifiers out. Cheap to clone; all clones share the blocks.
#[derive(Clone)]
pub struct Segments(Arc<Shared>);

struct Shared {
    database: Database,
    plan: SegmentPlan,
    stock: Mutex<Stock>,
    /// Held while a block is reserved: many callers that find nothing left make one reservation.
    reserving: tokio::sync::Mutex<()>,
}

/// The identifiers in memory.
struct Stock {
    current: Range<i64>,
    next: Option<Range<i64>>,
    refilling: bool,
}

impl Segments {
    /// Prepares the row and reserves the first block.
    ///
    /// # Errors
    /// When the database can't be asked, or [`platform_migrations`] have not been applied.
    pub async fn open(database: &Database, plan: SegmentPlan) -> Result<Self, SqlError> {
        let insert = Sql::Each {
            mysql: "INSERT IGNORE INTO platform_segments (name, next_id) VALUES (?, ?)",
            sqlite: "INSERT OR IGNORE INTO platform_segments (name, next_id) VALUES (?, ?)",
        };
        database.write(insert).bind(plan.name).bind(plan.first_id).execute().await?;
        let shared = Shared {
            stock: Mutex::new(Stock { current: reserve(database, plan).await?, next: None, refilling: false }),
            database: database.clone(),
            plan,
            reserving: tokio::sync::Mutex::new(()),
        };
        Ok(Self(Arc::new(shared)))
    }

    /// The next identifier: from memory, or after one reservation when nothing is left.
    pub async fn next(&self) -> Result<i64, SqlError> {
        loop {
            if let Some(id) = self.take() {
                return Ok(id);
            }
            let _only_one = self.0.reserving.lock().await;
            if self.0.stock().is_empty() {
                let block = reserve(&self.0.database, self.0.plan).await?;
                self.0.stock().current = block;
            }
        }
    }

    fn take(&self) -> Option<i64> {
        let mut stock = self.0.stock();
        let id = stock.take()?;
        let low = stock.left() <= i64::from(self.0.plan.block_size.get() / 2);
        if low && !stock.refilling {
            stock.refilling = true;
            drop(stock);
            self.refill_in_background();
        }
        Some(id)
    }

    /// A failure is not reported here: the caller that finds nothing left will meet it.
    #[expect(clippy::disallowed_methods, reason = "the block belongs to no request, and is lost at worst")]
    fn refill_in_background(&self) {
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move {
            let _only_one = shared.reserving.lock().await;
            let needed = shared.stock().next.is_none();
            let block = if needed { reserve(&shared.database, shared.plan).await.ok() } else { None };
            let mut stock = shared.stock();
            stock.refilling = false;
            if block.is_some() {
                stock.next = block;
            }
        });
    }
}

impl fmt::Debug for Segments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Segments").field(&self.0.plan).finish()
    }
}

impl Shared {
    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stock {
    fn take(&mut self) -> Option<i64> {
        if self.current.is_empty() {
            self.current = self.next.take()?;
        }
        self.current.next()
    }

    fn is_empty(&self) -> bool {
        self.current.is_empty() && self.next.is_none()
    }

    fn left(&self) -> i64 {
        let length = |range: &Range<i64>| range.end - range.start;
        length(&self.current) + self.next.as_ref().map_or(0, length)
    }
}

/// Moves the row forward and takes what it moved over. The update locks the row until the commit, so no two
/// replicas read the same value.
async fn reserve(database: &Database, plan: SegmentPlan) -> Result<Range<i64>, SqlError> {
    database
        .retrying(|| async {
            let length = i64::from(plan.block_size.get());
            let mut tx = database.begin().await?;
            tx.sql("UPDATE platform_segments SET next_id = next_id + ? WHERE name = ?")
                .bind(length)
                .bind(plan.name)
                .execute()
                .await?;
            let (end,): (i64,) =
                tx.sql("SELECT next_id FROM platform_segments WHERE name = ?").bind(plan.name).one().await?;
            if end > ID_LIMIT {
                return Err(SqlError::other(format!("the identifiers of segment {} are used up", plan.name)));
            }
            tx.commit().await?;
            Ok(end - length..end)
        })
        .await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::sql::migrate;

    fn plan(block_size: u32) -> SegmentPlan {
        SegmentPlan { name: "account", first_id: 1000, block_size: NonZeroU32::new(block_size).expect("positive") }
    }

    async fn take(segments: &Segments, count: usize) -> Vec<i64> {
        let mut ids = Vec::with_capacity(count);
        for _ in 0..count {
            ids.push(segments.next().await.expect("an identifier"));
        }
        ids
    }

    crate::on_each_database! {
        async fn replicas_never_hand_out_the_same_identifier(database: TestDatabase) {
            migrate(&database, &platform_migrations()).await.expect("the table is made");
            let mut takers = tokio::task::JoinSet::new();
            for _ in 0..3 {
                let replica = database.replica().await;
                let segments = Segments::open(&replica, plan(20)).await.expect("it opens");
                for _ in 0..4 {
                    let segments = segments.clone();
                    takers.spawn(async move { take(&segments, 125).await });
                }
            }
            let ids: Vec<i64> = takers.join_all().await.concat();
            let distinct: BTreeSet<i64> = ids.iter().copied().collect();
            assert_eq!((ids.len(), distinct.len()), (1500, 1500));
            assert!(distinct.first() >= Some(&1000));
        }

        async fn a_restart_skips_what_was_reserved(database: TestDatabase) {
            migrate(&database, &platform_migrations()).await.expect("the table is made");
            let before = Segments::open(&database, plan(10)).await.expect("it opens");
            assert_eq!(take(&before, 2).await, [1000, 1001]);
            let after = Segments::open(&database, plan(10)).await.expect("it opens again");
            assert_eq!(take(&after, 2).await, [1010, 1011]);
        }

        async fn the_last_identifier_below_the_limit_is_the_last(database: TestDatabase) {
            migrate(&database, &platform_migrations()).await.expect("the table is made");
            let plan = SegmentPlan { first_id: ID_LIMIT - 4, ..plan(4) };
            let segments = Segments::open(&database, plan).await.expect("it opens");
            assert_eq!(take(&segments, 4).await.last(), Some(&(ID_LIMIT - 1)));
            assert!(matches!(segments.next().await, Err(SqlError::Other(_))));
        }

        async fn identifiers_in_memory_outlive_the_database(database: TestDatabase) {
            migrate(&database, &platform_migrations()).await.expect("the table is made");
            let segments = Segments::open(&database, plan(10)).await.expect("it opens");
            database.close().await;
            assert_eq!(take(&segments, 10).await.len(), 10);
            assert!(matches!(segments.next().await, Err(SqlError::Unavailable(_))));
        }
    }
}
