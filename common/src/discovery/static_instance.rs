//! One instance as the configuration names it: an address, or an address and its lane.

use std::{
    fmt,
    net::{AddrParseError, SocketAddr},
    str::FromStr,
};

use govern::lane::LaneName;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor},
    ser::SerializeStruct,
};

use super::Instance;

/// The keys of an instance that is written as a table.
const KEYS: &[&str] = &["address", "lane"];

/// An instance of the table `discovery.static`: `"IP:port"`, or `{ address = "IP:port", lane = "canary" }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticInstance {
    /// Where it takes RPC connections.
    pub address: SocketAddr,
    /// The lane it is in. None: the base.
    pub lane: Option<LaneName>,
}

impl From<SocketAddr> for StaticInstance {
    fn from(address: SocketAddr) -> Self {
        Self { address, lane: None }
    }
}

impl FromStr for StaticInstance {
    type Err = AddrParseError;

    /// An instance of the base.
    fn from_str(address: &str) -> Result<Self, AddrParseError> {
        Ok(address.parse::<SocketAddr>()?.into())
    }
}

impl From<&StaticInstance> for Instance {
    fn from(named: &StaticInstance) -> Self {
        Self { lane: named.lane.map(|lane| lane.to_string()), ..Self::at(named.address) }
    }
}

impl Serialize for StaticInstance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { address, lane: Some(lane) } = self else { return self.address.serialize(serializer) };
        let mut table = serializer.serialize_struct("StaticInstance", KEYS.len())?;
        table.serialize_field("address", address)?;
        table.serialize_field("lane", lane)?;
        table.end()
    }
}

impl<'de> Deserialize<'de> for StaticInstance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

/// Takes either form.
struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = StaticInstance;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"IP:port\" or { address = \"IP:port\", lane = \"NAME\" }")
    }

    fn visit_str<E: de::Error>(self, address: &str) -> Result<StaticInstance, E> {
        address.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(address), &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<StaticInstance, A::Error> {
        let (mut address, mut lane) = (None, None);
        while let Some(key) = table.next_key::<String>()? {
            match key.as_str() {
                "address" => address = Some(table.next_value::<SocketAddr>()?),
                "lane" => lane = Some(table.next_value::<LaneName>()?),
                unknown => return Err(de::Error::unknown_field(unknown, KEYS)),
            }
        }
        let address = address.ok_or_else(|| de::Error::missing_field("address"))?;
        Ok(StaticInstance { address, lane })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct List {
        account: Vec<StaticInstance>,
    }

    fn parse(list: &str) -> Result<List, String> {
        toml::from_str(&format!("account = {list}")).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn an_instance_is_of_the_base_unless_its_lane_is_written_beside_it() {
        let list = parse("['127.0.0.1:1', { address = '127.0.0.1:2', lane = 'dev' }, { address = '127.0.0.1:3' }]");
        let list = list.expect("valid");
        let lanes: Vec<_> = list.account.iter().map(|named| Instance::from(named).lane).collect();
        assert_eq!(lanes, [None, Some("dev".to_owned()), None]);
        let written = toml::to_string(&list).expect("it can be written");
        assert_eq!(toml::from_str::<List>(&written).as_ref(), Ok(&list), "{written}");
    }

    #[test]
    fn what_is_no_instance_is_refused_with_the_reason() {
        for (list, reason) in [
            ("['here']", "\"IP:port\" or {"),
            ("[1]", "\"IP:port\" or {"),
            ("[{ lane = 'dev' }]", "missing field `address`"),
            ("[{ address = '127.0.0.1:1', lane = 'Dev' }]", "a lane's name has 1 to 31"),
            ("[{ address = '127.0.0.1:1', weight = 1 }]", "unknown field `weight`"),
        ] {
            let refused = parse(list).expect_err("refused");
            assert!(refused.contains(reason), "{list}: {refused}");
        }
    }
}
