//! Whom connections that this process opens trust, and the settings they open them with.
//!
//! What a protocol needs besides is said where that protocol is spoken.

use std::{fs, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

/// The certificate authorities of the system. There may be none, which is said in the log: then nobody is trusted.
pub(crate) fn authorities_of_the_system() -> RootCertStore {
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if authorities.is_empty() {
        tracing::warn!("the system names no certificate authority: no server that should prove who it is will be used");
    }
    authorities
}

/// The authorities in a file of certificates in PEM, and nobody else.
pub(crate) fn authorities_in(file: &Path) -> Result<RootCertStore, String> {
    let pem = fs::read(file).map_err(|error| error.to_string())?;
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        authorities.add(certificate).map_err(|error| error.to_string())?;
    }
    if authorities.is_empty() {
        return Err("holds no certificate in PEM".to_owned());
    }
    Ok(authorities)
}

/// What a connection is opened with whose server one of these vouches for.
pub(crate) fn client_config(authorities: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(versions.with_root_certificates(authorities).with_no_client_auth())
}
