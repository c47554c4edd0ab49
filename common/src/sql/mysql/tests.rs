//! What a session is told, that an encrypted one is, and who may wait for one.

use std::num::NonZeroU32;

use xtask::services::{Certificates, MariaDb};

use super::*;
use crate::sql::testing::TestDatabase;

#[test]
fn each_flavour_is_limited_with_the_variable_it_knows() {
    let config = SqlConfig { statement_timeout: Duration::from_millis(1500), ..SqlConfig::default() };
    let of = |version| session_settings(flavour(version), &config);
    assert!(of("10.11.6-MariaDB-0+deb12u1").contains("max_statement_time = 1.5,"));
    assert!(of("8.4.2").contains("max_execution_time = 1500,"));
    assert!(of("8.4.2").ends_with("innodb_lock_wait_timeout = 1"));
}

/// Asks a server that speaks nothing but TLS, with these parameters in the URL, which cipher is in use.
async fn cipher(server: &MariaDb, parameters: &str) -> Result<String, OpenError> {
    let url = format!("{}mysql?{parameters}", server.url());
    let backend = MySqlBackend::open(&url, &SqlConfig::default()).await?;
    let mut lease = backend.pool.acquire().await.expect("a connection like the first one");
    let asked = sqlx::query_as("SHOW SESSION STATUS LIKE 'Ssl_cipher'").fetch_one(&mut *lease).await;
    let (_name, cipher): (String, String) = asked.expect("the state of the session");
    Ok(cipher)
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_is_believed_if_its_authority_is_trusted_and_the_certificate_is_its_own() {
    let (own, strange) = (Certificates::for_loopback().unwrap(), Certificates::for_loopback().unwrap());
    let server = MariaDb::start_with_tls(&own).unwrap();
    let trusting = |mode: &str, from: &Certificates| format!("ssl-mode={mode}&ssl-ca={}", from.authority().display());

    for mode in ["VERIFY_CA", "VERIFY_IDENTITY"] {
        let cipher = cipher(&server, &trusting(mode, &own)).await.unwrap();
        assert!(cipher.starts_with("TLS"), "{mode}: {cipher}");
    }
    for parameters in ["ssl-mode=DISABLED", "ssl-mode=VERIFY_IDENTITY", &trusting("VERIFY_CA", &strange)] {
        assert!(cipher(&server, parameters).await.is_err(), "{parameters}");
    }
    let cipher = cipher(&server, "ssl-mode=REQUIRED").await.unwrap();
    assert!(cipher.starts_with("TLS"), "encrypted, whoever it is: {cipher}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_is_not_believed_with_the_certificate_of_another_host() {
    let certificates = Certificates::for_name("DNS:elsewhere.example").unwrap();
    let server = MariaDb::start_with_tls(&certificates).unwrap();
    // The driver checks the name in both modes; in this one it need not.
    for mode in ["VERIFY_IDENTITY", "VERIFY_CA"] {
        let parameters = format!("ssl-mode={mode}&ssl-ca={}", certificates.authority().display());
        assert!(cipher(&server, &parameters).await.is_err(), "{mode}");
    }
}

#[tokio::test]
async fn who_would_wait_on_mariadb_beyond_the_limit_is_refused_at_once() {
    let config = SqlConfig { max_connections: NonZeroU32::MIN, max_waiting: NonZeroU32::MIN, ..SqlConfig::default() };
    let database = TestDatabase::mariadb_with(config).await;
    let ask = || database.read("SELECT 1").one::<(i64,)>();
    let the_only_connection = database.begin().await.unwrap();
    let mut waits = Box::pin(ask());
    assert!(futures_util::poll!(&mut waits).is_pending());
    assert_eq!(ask().await, Err(SqlError::QueueFull));
    drop(the_only_connection);
    assert_eq!(waits.await, Ok((1,)));
    assert_eq!(ask().await, Ok((1,)), "the place is free again");
}
