//! Instances as Nacos writes them: what is sent when this process registers, and what is read of the others.

use std::{collections::HashMap, net::SocketAddr};

use nacos_sdk::api::naming::ServiceInstance;

use super::config::NacosConfig;
use crate::discovery::{Instance, Instances};

const VERSION: &str = "version";
const LANE: &str = "lane";

/// What an instance says of itself besides its address.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    weight: f64,
    lane: Option<String>,
    version: Option<String>,
}

/// What Nacos is told of this process.
pub(super) fn encode(address: SocketAddr, version: &str, config: &NacosConfig) -> ServiceInstance {
    let mut metadata = HashMap::from([(VERSION.to_owned(), version.to_owned())]);
    if let Some(lane) = &config.lane {
        metadata.insert(LANE.to_owned(), lane.clone());
    }
    ServiceInstance {
        ip: address.ip().to_string(),
        port: i32::from(address.port()),
        weight: f64::from(config.weight),
        cluster_name: Some(config.cluster.clone()),
        metadata,
        ..ServiceInstance::default()
    }
}

/// The instances that may be called. What an operator has disabled is left out, and so is what Nacos holds for ill,
/// unless that is all of them: then it is more likely mistaken than right.
pub(super) fn decode(found: &[ServiceInstance]) -> Instances {
    let enabled = || found.iter().filter(|instance| instance.enabled);
    let mut usable: Vec<_> = enabled().filter(|instance| instance.healthy).collect();
    if usable.is_empty() {
        usable = enabled().collect();
    }
    let weights = weights(&usable);
    let instances = usable.iter().zip(weights).filter_map(|(instance, weight)| {
        Some(Instance {
            address: address(instance)?,
            weight,
            lane: instance.metadata.get(LANE).filter(|lane| !lane.is_empty()).cloned(),
            version: instance.metadata.get(VERSION).cloned().unwrap_or_default(),
        })
    });
    Instances::unordered(instances.collect())
}

/// What an instance says of itself. What a registry adds to that is left out.
pub(super) fn told(instance: &ServiceInstance) -> Told {
    let metadata = |key: &str| instance.metadata.get(key).cloned();
    Told { weight: instance.weight, lane: metadata(LANE), version: metadata(VERSION) }
}

/// Where an instance says it is. `None` for a host name, which none of ours registers.
pub(super) fn address(instance: &ServiceInstance) -> Option<SocketAddr> {
    Some(SocketAddr::new(instance.ip.parse().ok()?, u16::try_from(instance.port).ok()?))
}

/// Nacos's weights are fractions up to 10000, usually 1. Ours are small whole numbers in the same proportions, to a
/// tenth: the smaller they are, the more evenly turns alternate.
fn weights(instances: &[&ServiceInstance]) -> Vec<u32> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
    let tenths = |instance: &&ServiceInstance| (instance.weight * 10.0).round().clamp(0.0, 100_000.0) as u32;
    let tenths: Vec<_> = instances.iter().map(tenths).collect();
    let divisor = tenths.iter().copied().fold(0, greatest_common_divisor).max(1);
    tenths.into_iter().map(|weight| weight / divisor).collect()
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(port: i32, weight: f64) -> ServiceInstance {
        ServiceInstance { ip: "10.0.0.1".to_owned(), port, weight, ..ServiceInstance::default() }
    }

    fn ports(instances: &Instances) -> Vec<u16> {
        instances.iter().map(|instance| instance.address.port()).collect()
    }

    #[test]
    fn what_is_registered_is_what_the_others_read() {
        let config = NacosConfig { weight: 3, lane: Some("canary".to_owned()), ..NacosConfig::default() };
        let address: SocketAddr = "10.0.0.7:9081".parse().expect("an address");
        let encoded = encode(address, "1.2.3", &config);
        assert!(encoded.ephemeral, "gone when the process is");
        let expected = Instance { address, weight: 1, lane: Some("canary".to_owned()), version: "1.2.3".to_owned() };
        assert_eq!(decode(&[encoded]), Instances::new(vec![expected]));
    }

    #[test]
    fn weights_keep_their_proportions_and_are_as_small_as_can_be() {
        for (given, expected) in [
            (vec![1.0, 1.0], vec![1, 1]),
            (vec![0.5, 1.0], vec![1, 2]),
            (vec![100.0, 50.0, 0.0], vec![2, 1, 0]),
            (vec![1.0, 1.3], vec![10, 13]),
            (vec![0.0], vec![0]),
            (vec![f64::NAN, -3.0, 1.0], vec![0, 0, 1]),
        ] {
            let instances: Vec<_> = given.iter().map(|weight| found(1, *weight)).collect();
            assert_eq!(weights(&instances.iter().collect::<Vec<_>>()), expected, "{given:?}");
        }
    }

    #[test]
    fn the_ill_and_the_disabled_get_no_calls_but_if_all_are_ill_that_is_not_believed() {
        let ill = |port| ServiceInstance { healthy: false, ..found(port, 1.0) };
        let disabled = |port| ServiceInstance { enabled: false, ..found(port, 1.0) };
        assert_eq!(ports(&decode(&[found(1, 1.0), ill(2), disabled(3)])), [1]);
        assert_eq!(ports(&decode(&[ill(1), ill(2), disabled(3)])), [1, 2]);
        assert_eq!(ports(&decode(&[disabled(3)])), [0; 0]);
    }

    #[test]
    fn an_instance_without_a_usable_address_is_left_out() {
        let named = ServiceInstance { ip: "host.internal".to_owned(), ..found(1, 1.0) };
        assert_eq!(ports(&decode(&[named, found(70_000, 1.0), found(-1, 1.0), found(5, 1.0)])), [5]);
    }
}
