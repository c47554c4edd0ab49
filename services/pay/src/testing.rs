//! A service on a fresh database, spoken to as its callers do. For tests only.
