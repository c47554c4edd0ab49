//! Who asks for settings, and which of that an answer depends on.

use idl::setting::{DependsOn, GetSettingsRequest};
use volo::FastStr;

/// What an absent channel means.
const OFFICIAL: FastStr = FastStr::from_static_str("official");

/// Who asks, within the limits of the edge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) app_id: i64,
    pub(crate) channel: Option<FastStr>,
    pub(crate) package_name: Option<FastStr>,
    pub(crate) version: Option<FastStr>,
    pub(crate) account_id: Option<i64>,
    pub(crate) device_id: Option<FastStr>,
}

/// What callers have in common who are answered the same: every field of a [`Caller`] that chooses among the settings of
/// the app's revision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) app_id: i64,
    channel: FastStr,
    package_name: Option<FastStr>,
    version: Option<FastStr>,
    account_id: Option<i64>,
    device_id: Option<FastStr>,
}

impl Caller {
    pub(super) fn key(&self, depends_on: &DependsOn) -> Key {
        Key {
            app_id: self.app_id,
            channel: self.channel.clone().unwrap_or(OFFICIAL),
            package_name: self.package_name.clone().filter(|_| depends_on.package_name),
            version: self.version.clone().filter(|_| depends_on.version),
            account_id: self.account_id.filter(|_| depends_on.account_id),
            device_id: self.device_id.clone().filter(|_| depends_on.device_id),
        }
    }

    pub(super) fn request(&self, min_revision: Option<i64>) -> GetSettingsRequest {
        GetSettingsRequest {
            app_id: self.app_id,
            channel: self.channel.clone(),
            package_name: self.package_name.clone(),
            version: self.version.clone(),
            account_id: self.account_id,
            device_id: self.device_id.clone(),
            min_revision,
            if_none_match: None,
        }
    }
}

impl Key {
    /// Bytes of the texts in it.
    pub(super) fn text_bytes(&self) -> usize {
        let optional = [&self.package_name, &self.version, &self.device_id];
        self.channel.len() + optional.into_iter().flatten().map(|text| text.len()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller() -> Caller {
        Caller {
            app_id: 7,
            channel: Some("taptap".into()),
            package_name: Some("com.example".into()),
            version: Some("1.2.0".into()),
            account_id: Some(100_001),
            device_id: Some("device-1".into()),
        }
    }

    #[test]
    fn callers_who_differ_in_nothing_that_matters_are_one() {
        let another = Caller {
            package_name: None,
            version: Some("9".into()),
            account_id: Some(4711),
            device_id: Some("device-2".into()),
            ..caller()
        };
        assert_eq!(caller().key(&DependsOn::default()), another.key(&DependsOn::default()));
        let matters: [fn(&mut DependsOn); 4] = [
            |depends_on| depends_on.package_name = true,
            |depends_on| depends_on.version = true,
            |depends_on| depends_on.account_id = true,
            |depends_on| depends_on.device_id = true,
        ];
        for (place, matters) in matters.into_iter().enumerate() {
            let mut depends_on = DependsOn::default();
            matters(&mut depends_on);
            assert_ne!(caller().key(&depends_on), another.key(&depends_on), "{place}");
        }
    }

    #[test]
    fn app_and_channel_always_matter_and_no_channel_is_the_official_one() {
        let nothing = DependsOn::default();
        let official = Caller { channel: Some("official".into()), ..caller() };
        let unnamed = Caller { channel: None, ..caller() };
        assert_eq!(official.key(&nothing), unnamed.key(&nothing));
        assert_ne!(official.key(&nothing), caller().key(&nothing));
        assert_ne!(Caller { app_id: 8, ..caller() }.key(&nothing), caller().key(&nothing));
    }
}
