//! Certificates for servers that speak TLS: an authority of their own, and what it vouches for.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::workspace;

/// What the certificates may be used for, in the words of OpenSSL. A new authority signs itself.
const EXTENSIONS: &str = "[req]\n\
    distinguished_name = name\n\
    [name]\n\
    [authority]\n\
    basicConstraints = critical, CA:TRUE\n\
    keyUsage = critical, keyCertSign\n\
    [server]\n\
    basicConstraints = critical, CA:FALSE\n";

/// An authority and the certificate of one server, gone when this value is.
#[derive(Debug)]
pub struct Certificates {
    directory: TempDir,
}

impl Certificates {
    /// For a server at `127.0.0.1`.
    ///
    /// # Errors
    /// When OpenSSL is not installed (`cargo xtask setup` installs it) or makes none.
    pub fn for_loopback() -> Result<Self> {
        Self::for_name("IP:127.0.0.1")
    }

    /// For a server of that name, as OpenSSL writes them: `DNS:name` or `IP:address`.
    ///
    /// # Errors
    /// As for [`for_loopback`](Self::for_loopback).
    pub fn for_name(name: &str) -> Result<Self> {
        let made = Self { directory: tempfile::Builder::new().prefix("playgate-certificates-").tempdir()? };
        fs::write(made.file("extensions"), format!("{EXTENSIONS}subjectAltName = {name}\n"))?;
        made.openssl("authority", &made.file("authority-key.pem"), &made.authority(), &[])?;
        let (authority, key) = (made.authority(), made.file("authority-key.pem"));
        let signed = [Path::new("-CA"), &authority, Path::new("-CAkey"), &key];
        made.openssl("server", &made.key(), &made.certificate(), &signed)?;
        Ok(made)
    }

    /// The authority's certificate, which clients have to trust.
    pub fn authority(&self) -> PathBuf {
        self.file("authority.pem")
    }

    /// The server's certificate.
    pub fn certificate(&self) -> PathBuf {
        self.file("server.pem")
    }

    /// The server's key.
    pub fn key(&self) -> PathBuf {
        self.file("server-key.pem")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn openssl(&self, extensions: &str, key: &Path, certificate: &Path, signed: &[&Path]) -> Result<()> {
        let program = workspace::program("openssl").context("openssl is not installed: run `cargo xtask setup`")?;
        let output = Command::new(program)
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
            .args(["-subj", &format!("/CN=playgate {extensions}"), "-extensions", extensions, "-config"])
            .arg(self.file("extensions"))
            .arg("-keyout")
            .arg(key)
            .arg("-out")
            .arg(certificate)
            .args(signed)
            .output()?;
        if !output.status.success() {
            bail!("openssl ended with {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }
}
