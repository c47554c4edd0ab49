//! Whom connections to Redis trust when they are encrypted.
//!
//! Without a file that is whoever has a certificate from a public authority; the authorities are part of the binary,
//! so that nothing is read when a connection is opened. With a file it is those in the file and nobody else.

use std::{fs, path::Path};

use redis::TlsCertificates;

use crate::tls;

/// The certificates in a file, as [`RedisConfig::ca_file`](super::RedisConfig) names it.
pub(super) fn authorities(file: &Path) -> Result<TlsCertificates, String> {
    // The library reads them again, and says less when there is nothing to read.
    tls::authorities_in(file)?;
    let pem = fs::read(file).map_err(|error| error.to_string())?;
    Ok(TlsCertificates { client_tls: None, root_cert: Some(pem) })
}

/// Says which cryptography TLS is to use. It would be guessed, and can't be when a build brings more than one; a
/// process that has already said so is left as it is.
pub(super) fn choose_cryptography() {
    let _already_chosen = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_refused_and_not_taken_for_trust_in_nobody() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        for content in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            fs::write(file.path(), content).expect("written");
            assert!(authorities(file.path()).is_err(), "{content}");
        }
        assert!(authorities(Path::new("/nowhere/ca.pem")).is_err());
    }
}
