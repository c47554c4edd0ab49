//! The `[setting.s3]` and `[setting.oss]` tables.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use common::config::{Invalid, Secret};
use serde::{Deserialize, Serialize};

/// More than a secret and white space around it need. Protects from a path that leads to something else.
const LARGEST_FILE: u64 = 1024;

/// A bucket of S3, or of a store that speaks its protocol.
///
/// The credentials are two keys, or neither: then they are found as the tools of AWS find them, in the environment, in a
/// profile, or at the service that the machine or container has them from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct S3Config {
    /// The bucket. Needed for the `s3` store.
    pub bucket: Option<String>,

    /// `http://` or `https://`, host and port. Absent: Amazon's own, for `region`.
    pub endpoint: Option<String>,

    /// The region that requests are signed for. Stores that have none take any, such as `us-east-1`. Needed.
    pub region: Option<String>,

    /// What paths in the bucket begin with. Absent: nothing.
    pub root: Option<String>,

    /// Who signs requests.
    pub access_key_id: Option<String>,

    /// What with.
    pub secret_access_key: Option<Secret>,

    /// A file with it, as secrets are mounted, instead of `secret_access_key`; white space around it is ignored. Read at the
    /// start.
    pub secret_access_key_file: Option<PathBuf>,

    /// Name the bucket in the host instead of the path. Amazon's own store wants it; most others want it left out.
    pub virtual_host_style: bool,
}

/// A bucket of Aliyun OSS. It must not keep versions of objects itself: OSS then ignores that an object exists already.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OssConfig {
    /// The bucket. Needed for the `oss` store.
    pub bucket: Option<String>,

    /// `https://` and host, such as `https://oss-cn-hangzhou.aliyuncs.com`. Needed.
    pub endpoint: Option<String>,

    /// What paths in the bucket begin with. Absent: nothing.
    pub root: Option<String>,

    /// Who signs requests. Needed.
    pub access_key_id: Option<String>,

    /// What with. Needed, here or in a file.
    pub access_key_secret: Option<Secret>,

    /// A file with it, as secrets are mounted, instead of `access_key_secret`; white space around it is ignored. Read at the
    /// start.
    pub access_key_secret_file: Option<PathBuf>,
}

impl S3Config {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        needed("s3.bucket", self.bucket.as_deref())?;
        needed("s3.region", self.region.as_deref())?;
        if let Some(endpoint) = &self.endpoint {
            check_endpoint("s3.endpoint", endpoint)?;
        }
        let secret = &self.secret_access_key;
        one_of_two("s3.secret_access_key_file", secret.as_ref(), self.secret_access_key_file.as_deref())?;
        match (self.access_key_id.is_some(), secret.is_some() || self.secret_access_key_file.is_some()) {
            (true, false) => Err(Invalid::new("s3.secret_access_key", "is needed with access_key_id")),
            (false, true) => Err(Invalid::new("s3.access_key_id", "is needed with secret_access_key")),
            (true, true) | (false, false) => Ok(()),
        }
    }

    /// The secret, wherever it is.
    pub(crate) fn secret(&self) -> Result<Option<Secret>, Invalid> {
        let (secret, file) = (self.secret_access_key.as_ref(), self.secret_access_key_file.as_deref());
        secret_of("s3.secret_access_key_file", secret, file)
    }
}

impl OssConfig {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        needed("oss.bucket", self.bucket.as_deref())?;
        check_endpoint("oss.endpoint", needed("oss.endpoint", self.endpoint.as_deref())?)?;
        needed("oss.access_key_id", self.access_key_id.as_deref())?;
        let (secret, file) = (self.access_key_secret.as_ref(), self.access_key_secret_file.as_deref());
        one_of_two("oss.access_key_secret_file", secret, file)?;
        if file.is_none() {
            needed("oss.access_key_secret", secret.map(Secret::expose))?;
        }
        Ok(())
    }

    /// The secret, wherever it is.
    pub(crate) fn secret(&self) -> Result<Option<Secret>, Invalid> {
        let (secret, file) = (self.access_key_secret.as_ref(), self.access_key_secret_file.as_deref());
        secret_of("oss.access_key_secret_file", secret, file)
    }
}

fn needed<'a>(key: &'static str, value: Option<&'a str>) -> Result<&'a str, Invalid> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| Invalid::new(key, "is needed for this store"))
}

fn one_of_two(key: &'static str, secret: Option<&Secret>, file: Option<&Path>) -> Result<(), Invalid> {
    if secret.is_some() && file.is_some() {
        return Err(Invalid::new(key, "is set beside the secret itself: set one of the two"));
    }
    Ok(())
}

fn secret_of(key: &'static str, secret: Option<&Secret>, file: Option<&Path>) -> Result<Option<Secret>, Invalid> {
    let Some(path) = file else { return Ok(secret.cloned()) };
    let refused = |reason| Invalid::new(key, format!("the file {} {reason}", path.display()));
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_FILE).read_to_string(&mut text))
        .map_err(|error| refused(format!("can't be read: {error}")))?;
    match text.trim() {
        "" => Err(refused("is empty".to_owned())),
        secret => Ok(Some(Secret::new(secret))),
    }
}

fn check_endpoint(key: &'static str, endpoint: &str) -> Result<(), Invalid> {
    let host = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['@', '?', '#', ' ']) => Ok(()),
        _ => Err(Invalid::new(key, "must be http:// or https:// and a host, without user name, query and fragment")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good_s3() -> S3Config {
        S3Config { bucket: Some("b".into()), region: Some("us-east-1".into()), ..S3Config::default() }
    }

    fn good_oss() -> OssConfig {
        OssConfig {
            bucket: Some("b".into()),
            endpoint: Some("https://oss-cn-hangzhou.aliyuncs.com".into()),
            root: None,
            access_key_id: Some("id".into()),
            access_key_secret: Some(Secret::new("secret")),
            access_key_secret_file: None,
        }
    }

    #[test]
    fn what_a_bucket_of_s3_needs_is_asked_for_by_name() {
        assert_eq!(good_s3().validate(), Ok(()));
        let refused = |change: fn(&mut S3Config)| {
            let mut config = good_s3();
            change(&mut config);
            config.validate().expect_err("refused").key
        };
        assert_eq!(refused(|config| config.bucket = Some(String::new())), "s3.bucket");
        assert_eq!(refused(|config| config.region = None), "s3.region");
        assert_eq!(refused(|config| config.access_key_id = Some("id".into())), "s3.secret_access_key");
        assert_eq!(refused(|config| config.secret_access_key = Some(Secret::new("s"))), "s3.access_key_id");
        let both = |config: &mut S3Config| {
            config.access_key_id = Some("id".into());
            config.secret_access_key = Some(Secret::new("s"));
            config.secret_access_key_file = Some("s".into());
        };
        assert_eq!(refused(both), "s3.secret_access_key_file");
        for bad in
            ["s3.example", "ftp://s3.example", "https://", "https://id:secret@s3.example", "https://s3.example?x"]
        {
            let config = S3Config { endpoint: Some(bad.to_owned()), ..good_s3() };
            assert_eq!(config.validate().expect_err(bad).key, "s3.endpoint");
        }
    }

    #[test]
    fn a_secret_in_a_file_is_as_good_as_the_secret() {
        let directory = tempfile::TempDir::new().expect("a temporary directory");
        let file = directory.path().join("secret");
        let in_file =
            S3Config { access_key_id: Some("id".into()), secret_access_key_file: Some(file.clone()), ..good_s3() };
        assert_eq!(in_file.validate(), Ok(()));
        assert_eq!(in_file.secret().expect_err("there is none").key, "s3.secret_access_key_file");
        std::fs::write(&file, "\n s3cret\r\n").expect("written");
        assert_eq!(in_file.secret().expect("read").expect("a secret").expose(), "s3cret");
        let oss = OssConfig { access_key_secret: None, access_key_secret_file: Some(file.clone()), ..good_oss() };
        assert_eq!(oss.validate(), Ok(()));
        assert_eq!(oss.secret().expect("read").expect("a secret").expose(), "s3cret");
        std::fs::write(&file, " ").expect("written");
        assert_eq!(oss.secret().expect_err("it is empty").key, "oss.access_key_secret_file");
        assert!(good_s3().secret().expect("none").is_none());
    }

    #[test]
    fn what_a_bucket_of_oss_needs_is_asked_for_by_name() {
        assert_eq!(good_oss().validate(), Ok(()));
        let refused = |change: fn(&mut OssConfig)| {
            let mut config = good_oss();
            change(&mut config);
            config.validate().expect_err("refused").key
        };
        assert_eq!(refused(|config| config.bucket = None), "oss.bucket");
        assert_eq!(refused(|config| config.endpoint = None), "oss.endpoint");
        assert_eq!(refused(|config| config.access_key_id = None), "oss.access_key_id");
        assert_eq!(refused(|config| config.access_key_secret = Some(Secret::new(""))), "oss.access_key_secret");
    }
}
