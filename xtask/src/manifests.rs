//! Kubernetes manifests as `kubectl` builds them and as several versions of Kubernetes understand them.

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::workspace;

/// What a Python needs to know Kubernetes' schemas, every version pinned.
pub const REQUIREMENTS: &str = include_str!("manifests/requirements.txt");

const AS_JSON: &str = include_str!("manifests/as_json.py");

/// Where `cargo xtask setup` puts Debian's `kubectl`.
pub fn kubectl() -> PathBuf {
    workspace::tools().join("kubernetes-client/usr/bin/kubectl")
}

/// Where the Python lies that `cargo xtask setup` has made for the schemas.
pub fn python_directory() -> PathBuf {
    workspace::tools().join("kubernetes-validate")
}

/// The YAML that `kubectl apply -k deploy/k8s/NAME` would send.
///
/// # Errors
/// When `kubectl` is not there (`cargo xtask setup` unpacks it) or does not like what it finds.
pub fn built(name: &str) -> Result<String> {
    let directory = workspace::root().join("deploy/k8s").join(name);
    let output = Command::new(kubectl()).arg("kustomize").arg(directory).output().context("kubectl is not there")?;
    printed(&output)
}

/// Holds it against the schemas of a version of Kubernetes (`1.31`), refusing whatever they do not know.
///
/// # Errors
/// With what is wrong.
pub fn validate(yaml: &str, kubernetes: &str) -> Result<()> {
    let mut file = NamedTempFile::with_suffix(".yaml")?;
    file.write_all(yaml.as_bytes())?;
    let output = Command::new(python_directory().join("bin/kubernetes-validate"))
        .args(["--strict", "--kubernetes-version", kubernetes])
        .arg(file.path())
        .output()
        .context("kubernetes-validate is not there: `cargo xtask setup` installs it")?;
    printed(&output).map(drop)
}

/// Every document of it.
///
/// # Errors
/// When it is no YAML.
pub fn documents(yaml: &str) -> Result<Vec<Value>> {
    let mut python = Command::new(python_directory().join("bin/python"))
        .args(["-c", AS_JSON])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("the Python of kubernetes-validate is not there: `cargo xtask setup` makes it")?;
    python.stdin.take().context("it reads")?.write_all(yaml.as_bytes())?;
    let output = python.wait_with_output()?;
    Ok(serde_json::from_str(&printed(&output)?)?)
}

/// The configuration file of one of them.
///
/// # Errors
/// When there is none.
pub fn configuration(name: &str) -> Result<PathBuf> {
    let file = workspace::root().join("deploy/k8s").join(name).join("playgate.toml");
    fs::metadata(&file).with_context(|| file.display().to_string())?;
    Ok(file)
}

fn printed(output: &Output) -> Result<String> {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        bail!("{out}{err}");
    }
    Ok(out.into_owned())
}
