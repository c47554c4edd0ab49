//! What a comparison came to.

use std::collections::BTreeMap;

use serde::Serialize;

use super::bill::Kind;

/// Differences that a report names one by one; further ones are only counted.
const DIFFERENCES_MAX: usize = 10_000;

/// What a line of a bill, or an order, came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Bill and books agree, and the game server has acknowledged.
    Matched,
    /// Bill and books agree, and the game server has not acknowledged.
    NotAcknowledged,
    /// In the bill, and not in the books.
    MissingHere,
    /// In the books, and not in the bill.
    MissingThere,
    /// Of another amount or currency here than there.
    AmountDiffers,
    /// Refunded here and not there, or there and not here.
    StateDiffers,
    /// A payment that the bill has twice.
    Repeated,
    /// A line that can't be read.
    Unreadable,
    /// In the books and not in the bill, and so near to midnight that it may be in that of a neighbouring day.
    Unclear,
    /// Of another app that is paid through the same merchant.
    OtherApp,
    /// Says nothing of payments: a fee, a transfer.
    Other,
}

/// How many there were of each class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Counts(BTreeMap<Class, u64>);

/// Sums in one currency, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Payments in the bill, those of other apps left out.
    pub paid_there: i128,
    /// Refunds in the bill.
    pub refunded_there: i128,
    /// Orders that were paid on this day by the books.
    pub paid_here: i128,
    /// Orders that were refunded on this day by the books.
    pub refunded_here: i128,
}

/// Something that does not agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// In which way.
    pub class: Class,
    /// More of it; closed.
    pub reason: &'static str,
    /// Where it stands in the bill; `None`: it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Which way the money went; `None`: that can't be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Our number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// The channel's number of the payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_order_id: Option<String>,
    /// By the bill, in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_there: Option<i64>,
    /// By the bill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency_there: Option<String>,
    /// By the books, in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_here: Option<i64>,
    /// By the books.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency_here: Option<String>,
    /// Where the order is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<&'static str>,
    /// When it was paid or refunded, by the bill if it is there, Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
}

/// A bill beside the books of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The channel.
    pub channel: String,
    /// The app.
    pub app_id: i64,
    /// The day, by the time zone of its bill.
    pub day: String,
    /// Its first moment, Unix milliseconds.
    pub from: i64,
    /// The first moment after it, Unix milliseconds.
    pub until: i64,
    /// Lines of the bill, header and comments left out. Each is in one class.
    pub lines: u64,
    /// What the lines of the bill came to.
    pub bill: Counts,
    /// What those orders came to that the bill should have and has not.
    pub books: Counts,
    /// By currency.
    pub totals: BTreeMap<String, Totals>,
    /// What does not agree, in the order of the bill, and then what is missing there.
    pub differences: Vec<Difference>,
    /// So many more were only counted.
    pub differences_left_out: u64,
}

impl Class {
    /// Whether somebody has to look into it.
    pub fn is_difference(self) -> bool {
        match self {
            Self::NotAcknowledged
            | Self::MissingHere
            | Self::MissingThere
            | Self::AmountDiffers
            | Self::StateDiffers
            | Self::Repeated
            | Self::Unreadable => true,
            Self::Matched | Self::Unclear | Self::OtherApp | Self::Other => false,
        }
    }

    /// As reports call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::NotAcknowledged => "not_acknowledged",
            Self::MissingHere => "missing_here",
            Self::MissingThere => "missing_there",
            Self::AmountDiffers => "amount_differs",
            Self::StateDiffers => "state_differs",
            Self::Repeated => "repeated",
            Self::Unreadable => "unreadable",
            Self::Unclear => "unclear",
            Self::OtherApp => "other_app",
            Self::Other => "other",
        }
    }
}

impl Counts {
    pub(super) fn add(&mut self, class: Class) {
        *self.0.entry(class).or_default() += 1;
    }

    /// How many there were.
    pub fn of(&self, class: Class) -> u64 {
        self.0.get(&class).copied().unwrap_or_default()
    }

    /// Those classes that there were, with how many.
    pub fn iter(&self) -> impl Iterator<Item = (Class, u64)> {
        self.0.iter().map(|(class, count)| (*class, *count))
    }

    /// All of them together.
    pub fn sum(&self) -> u64 {
        self.0.values().sum()
    }
}

impl Report {
    /// Whether somebody has to look into anything.
    pub fn differs(&self) -> bool {
        self.bill.iter().chain(self.books.iter()).any(|(class, _)| class.is_difference())
    }

    pub(super) fn differ(&mut self, difference: Difference) {
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(difference);
        } else {
            self.differences_left_out += 1;
        }
    }
}
