//! Objects by path: bytes that are there whole or not at all, in a directory or in a bucket.
//!
//! The one thing asked of every store beyond reading and writing is [`Objects::create`]: of several callers that create
//! the same object at one moment, exactly one has done it.

mod disk;
mod http;

use std::{fs, io, path::Path};

use common::{
    clock::SharedRandom,
    config::Secret,
    http::client::{HttpCallError, HttpClient, HttpClientLimits},
};
use futures_util::TryStreamExt;
use opendal::{
    Buffer, ErrorKind, HttpTransporter, OperationContext, Operator,
    services::{Fs, Oss, S3},
};

use self::{disk::Disk, http::Transport};
use crate::{
    config::{Config, OssConfig, S3Config, StoreKind},
    error::OpenError,
};

/// What comes with an object that the limit on its size does not know: the answer of a list of 1000 paths is 400 KiB.
const ANSWER_BYTES_MIN: usize = 1 << 20;

/// Answers to the question whether a bucket keeps its word are not settings of anybody.
const PROBE: &str = "conditional-writes-work";

/// A directory or a bucket. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    operator: Operator,
    /// Writes to a directory are done by hand: the library replaces files, but can't create one only if there is none.
    disk: Option<Disk>,
    /// How the log calls the place.
    place: String,
    object_bytes_max: usize,
}

/// How creating an object ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Creation {
    /// By this caller, and durably.
    Created,
    /// It was there; nothing was changed.
    Exists,
}

/// Why an object could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ObjectError {
    #[error("{0}")]
    Store(opendal::Error),
    #[error("{0}")]
    Disk(#[from] io::Error),
    /// There is one, and it can't be what it should be.
    #[error("larger than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
}

impl From<opendal::Error> for ObjectError {
    fn from(error: opendal::Error) -> Self {
        let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref());
        match cause {
            Some(HttpCallError::TooLong(bytes_max)) => Self::TooLarge { bytes_max: *bytes_max },
            _ => Self::Store(error),
        }
    }
}

impl Objects {
    /// Opens what is configured. Reads nothing: a bucket that can't be reached now may be reached when it is needed.
    pub(crate) fn open(
        config: &Config,
        data_dir: &Path,
        object_bytes_max: usize,
        random: SharedRandom,
    ) -> Result<Self, OpenError> {
        let limits =
            HttpClientLimits { timeout: config.store_timeout, longest_answer: object_bytes_max.max(ANSWER_BYTES_MIN) };
        match config.store {
            StoreKind::Fs => {
                let root = config.root.clone().unwrap_or_else(|| data_dir.join("settings"));
                Self::in_directory(&root, object_bytes_max, random)
            }
            StoreKind::S3 => Self::in_bucket(s3(&config.s3)?, "s3", object_bytes_max, limits),
            StoreKind::Oss => Self::in_bucket(oss(&config.oss)?, "oss", object_bytes_max, limits),
        }
    }

    /// Objects below the directory `root`, which is created if it does not exist.
    pub(crate) fn in_directory(root: &Path, object_bytes_max: usize, random: SharedRandom) -> Result<Self, OpenError> {
        let refused = |reason: String| OpenError::Directory { root: root.to_owned(), reason };
        let path = root.to_str().ok_or_else(|| refused("is not UTF-8".to_owned()))?;
        // The library takes a root that is a file for good, and then finds nothing in it.
        fs::create_dir_all(root).map_err(|cause| refused(cause.to_string()))?;
        let operator = Operator::new(Fs::default().root(path)).map_err(|cause| refused(cause.to_string()))?;
        let disk = Some(Disk::new(root, random));
        Ok(Self { operator, disk, place: root.display().to_string(), object_bytes_max })
    }

    fn in_bucket(
        builder: impl opendal::Builder,
        kind: &'static str,
        object_bytes_max: usize,
        limits: HttpClientLimits,
    ) -> Result<Self, OpenError> {
        let refused = |reason: String| OpenError::Bucket { kind, reason };
        let client = HttpClient::new(limits).map_err(|cause| refused(cause.to_string()))?;
        let context = OperationContext::new().with_http_transport(HttpTransporter::new(Transport::new(client)));
        let operator = Operator::new(builder).map_err(|cause| refused(cause.to_string()))?.with_context(context);
        let info = operator.info();
        if !info.capability().write_with_if_not_exists {
            return Err(refused("has no conditional writes".to_owned()));
        }
        let place = format!("{kind}://{}{}", info.name(), info.root());
        Ok(Self { operator, disk: None, place, object_bytes_max })
    }

    /// The path as the log shows it.
    pub(crate) fn shown(&self, path: &str) -> String {
        format!("{}/{path}", self.place.trim_end_matches('/'))
    }

    /// The bytes of an object; `None` when there is none. Never holds more of it than an object may have.
    pub(crate) async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, ObjectError> {
        match self.read_existing(path).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(ObjectError::Store(cause)) if cause.kind() == ErrorKind::NotFound => self.absent(None),
            Err(cause) => Err(cause),
        }
    }

    /// Whether there is an object.
    pub(crate) async fn exists(&self, path: &str) -> Result<bool, ObjectError> {
        match self.operator.stat(path).await {
            Ok(_) => Ok(true),
            Err(cause) if cause.kind() == ErrorKind::NotFound => self.absent(false),
            Err(cause) => Err(cause.into()),
        }
    }

    /// Creates an object unless there is one. After an error it may be there or not.
    pub(crate) async fn create(&self, path: &str, bytes: Vec<u8>) -> Result<Creation, ObjectError> {
        if let Some(disk) = &self.disk {
            return disk.create(path, bytes).await;
        }
        match self.operator.write_with(path, bytes).if_not_exists(true).await {
            Ok(_) => Ok(Creation::Created),
            Err(refused) if refused.kind() == ErrorKind::ConditionNotMatch => Ok(Creation::Exists),
            Err(cause) => Err(cause.into()),
        }
    }

    /// Writes an object, whether there is one or not. Readers see the old one or the new one.
    pub(crate) async fn replace(&self, path: &str, bytes: Vec<u8>) -> Result<(), ObjectError> {
        match &self.disk {
            Some(disk) => disk.replace(path, bytes).await,
            None => Ok(self.operator.write(path, bytes).await.map(drop)?),
        }
    }

    /// Deletes an object. That there is none is fine.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), ObjectError> {
        Ok(self.operator.delete(path).await?)
    }

    /// The names of the objects right below `directory`, which ends with `/`. Empty when there is no such directory.
    pub(crate) async fn names(&self, directory: &str) -> Result<Vec<String>, ObjectError> {
        if let Some(disk) = &self.disk {
            return disk.names(directory).await;
        }
        let entries = self.operator.list(directory).await?;
        Ok(entries.iter().map(|entry| entry.name().to_owned()).collect())
    }

    /// Whether the store does create an object only once. Some that speak S3 take the condition and do not look at it; then
    /// two publishers would both be told that they have won.
    pub(crate) async fn keeps_its_word(&self) -> Result<bool, ObjectError> {
        if self.disk.is_some() || self.create(PROBE, b"1".to_vec()).await? == Creation::Exists {
            return Ok(true);
        }
        Ok(self.create(PROBE, b"2".to_vec()).await? == Creation::Exists)
    }

    async fn read_existing(&self, path: &str) -> Result<Vec<u8>, ObjectError> {
        let mut chunks = self.operator.reader(path).await?.into_stream(..).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = chunks.try_next().await? {
            if bytes.len() + chunk.len() > self.object_bytes_max {
                return Err(ObjectError::TooLarge { bytes_max: self.object_bytes_max });
            }
            append(&mut bytes, chunk);
        }
        Ok(bytes)
    }

    /// What it means that an object is not there: nothing, where the directory itself is gone.
    fn absent<T>(&self, answer: T) -> Result<T, ObjectError> {
        match &self.disk {
            Some(disk) if !disk.is_there() => {
                Err(ObjectError::Disk(io::Error::new(io::ErrorKind::NotFound, "the directory is gone")))
            }
            _ => Ok(answer),
        }
    }
}

fn append(bytes: &mut Vec<u8>, chunk: Buffer) {
    for part in chunk {
        bytes.extend_from_slice(&part);
    }
}

fn s3(config: &S3Config) -> Result<S3, OpenError> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let mut builder = S3::default()
        .bucket(&text(&config.bucket))
        .endpoint(&text(&config.endpoint))
        .region(&text(&config.region))
        .root(&text(&config.root));
    if let (Some(id), Some(secret)) = (&config.access_key_id, config.secret()?) {
        // What is configured here is all that counts: no profile of the machine gets in between.
        builder = builder.access_key_id(id).secret_access_key(secret.expose()).disable_config_load();
    }
    Ok(if config.virtual_host_style { builder.enable_virtual_host_style() } else { builder })
}

fn oss(config: &OssConfig) -> Result<Oss, OpenError> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    Ok(Oss::default()
        .bucket(&text(&config.bucket))
        .endpoint(&text(&config.endpoint))
        .root(&text(&config.root))
        .access_key_id(&text(&config.access_key_id))
        .access_key_secret(config.secret()?.as_ref().map(Secret::expose).unwrap_or_default()))
}

#[cfg(test)]
mod tests;
