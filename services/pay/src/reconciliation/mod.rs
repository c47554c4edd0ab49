//! Channels' bills beside the books, and beside what game servers have acknowledged.
//!
//! A bill is read line by line and compared batch by batch: what it takes of memory is a few bytes for each payment of the
//! day, however long its lines. Payments are matched by their numbers, whatever the day: a payment just before midnight
//! here and just after it there is no difference.
//!
//! In reading order:
//! - `day`: a day in a time zone, and its edges.
//! - `bill`: the forms of bills, read into lines.
//! - `compare`: what a line comes to beside an order, and an order beside the whole bill. Pure.
//! - `report`: what a comparison came to.
//! - `books`: the orders in question, in SQL.
//! - `run`: all of it put together.

mod bill;
mod books;
mod compare;
mod day;
mod report;
mod run;

pub use self::{
    bill::{BillError, BillFormat, Columns, ColumnsError, Kind},
    day::{Day, DayError},
    report::{Class, Counts, Difference, Report, Totals},
    run::{Question, ReconcileError, reconcile},
};
