//! The token of the admin API: the configured one, or in development one that is made at the first start and kept in the
//! data directory.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use common::{
    clock::{Random, random_bytes},
    config::Secret,
};

use super::data_dir;
use crate::config::Configuration;

/// The token, and where it lies if nobody chose it.
#[derive(Debug)]
pub(super) struct AdminToken {
    pub(super) token: Secret,
    pub(super) file: Option<PathBuf>,
}

/// The token that operators have to present to this process. Blocks on the file system: for the start of the process.
pub(super) fn choose(configuration: &Configuration, random: &dyn Random) -> anyhow::Result<AdminToken> {
    if let Some(token) = &configuration.operator.admin_token {
        return Ok(AdminToken { token: token.clone(), file: None });
    }
    data_dir::make(&configuration.data_dir)?;
    let file = configuration.data_dir.join("admin-token");
    let token = load_or_create(&file, random);
    let token = token.with_context(|| format!("the admin token in {} can't be used", file.display()))?;
    Ok(AdminToken { token, file: Some(file) })
}

/// The token in `path`; if there is no such file, a new one is written there first, readable by its owner only. Two
/// processes that start at once end with one token.
fn load_or_create(path: &Path, random: &dyn Random) -> anyhow::Result<Secret> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(path, random)?;
            fs::read_to_string(path)?
        }
        text => text?,
    };
    let token = text.trim();
    let usable = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    anyhow::ensure!(usable, "it is not one line of visible ASCII: delete the file to get a new token");
    Ok(Secret::new(token))
}

/// Writes a new token beside `path` and links it into place: nobody ever reads half of one, and whoever is second keeps
/// the first one's.
fn create(path: &Path, random: &dyn Random) -> io::Result<()> {
    let draft = path.with_extension(hex::encode(random_bytes::<8>(random)));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let token = hex::encode(random_bytes::<32>(random));
    let written = writeln!(file, "{token}").and_then(|()| file.sync_all());
    let linked = written.and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use common::clock::SystemRandom;

    use super::*;

    #[test]
    fn the_token_is_made_once_and_only_its_owner_can_read_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let configuration = Configuration { data_dir: directory.path().join("data"), ..Configuration::default() };
        let made = choose(&configuration, &SystemRandom).expect("made");
        let path = made.file.expect("nobody chose it");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        let again = choose(&configuration, &SystemRandom).expect("read");
        assert_eq!(again.token.expose(), made.token.expose());
        assert_eq!(made.token.expose().len(), 64);
        assert_eq!(fs::read_dir(&configuration.data_dir).expect("a directory").count(), 1, "no draft is left");
    }

    #[test]
    fn a_chosen_token_makes_no_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut configuration = Configuration { data_dir: directory.path().join("data"), ..Configuration::default() };
        configuration.operator.admin_token = Some(Secret::new("chosen"));
        let chosen = choose(&configuration, &SystemRandom).expect("chosen");
        assert_eq!((chosen.token.expose(), chosen.file), ("chosen", None));
        assert!(!configuration.data_dir.exists());
    }

    #[test]
    fn a_damaged_file_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("admin-token"), "two words\n").expect("written");
        let configuration = Configuration { data_dir: directory.path().to_owned(), ..Configuration::default() };
        let error = choose(&configuration, &SystemRandom).expect_err("damaged");
        assert!(format!("{error:#}").contains("admin-token"), "{error:#}");
    }
}
