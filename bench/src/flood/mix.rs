//! What is asked in a flood: of a hundred requests 60 verify a token, 25 sign a device in, 10 read settings and 5 push an
//! event. Spread evenly, so that every stretch of the load is the whole mix.

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::{client::Request, ingest, platform::Platform, scenario, settings};

/// Devices that sign in, in turn.
const DEVICES: usize = 256;

/// One turn of the mix.
const TURN: [Class; 20] = {
    use Class::{Ingest as I, Login as L, Settings as S, Verify as V};
    [V, L, V, V, S, V, L, V, V, L, V, I, V, L, V, V, S, V, L, V]
};

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Class {
    Verify,
    Login,
    Settings,
    Ingest,
}

impl Class {
    pub(super) const ALL: [Self; 4] = [Self::Verify, Self::Login, Self::Settings, Self::Ingest];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Login => "login",
            Self::Settings => "settings",
            Self::Ingest => "ingest",
        }
    }

    /// Its part of the mix.
    pub(super) fn share(self) -> f64 {
        let of_turn = |count: usize| count as f64 / TURN.len() as f64;
        of_turn(TURN.iter().filter(|class| **class == self).count())
    }
}

/// A request as it goes over the wire.
#[derive(Debug)]
pub(super) struct Rendered {
    pub(super) class: Class,
    pub(super) bytes: Vec<u8>,
    /// What a good answer has as its status, and in its body.
    pub(super) status: u16,
    pub(super) text: &'static str,
}

/// All requests, to be sent in turn for ever.
#[derive(Debug)]
pub(super) struct Mix(Vec<Rendered>);

impl Mix {
    /// Registers players and devices, publishes settings, makes a partner. Blocks.
    pub(super) fn new(platform: &Platform) -> Result<Self> {
        settings::publish(platform)?;
        let partner = ingest::unlimited(platform)?;
        let tokens = scenario::tokens_of_players(platform)?;
        let verify: Vec<Request> = tokens.iter().map(|token| platform.app.verify(token)).collect();
        let login = (0..DEVICES)
            .map(|index| {
                let device_id = format!("flood-device-{index}");
                let secret = platform.register_device(&device_id)?.device_secret;
                let secret = secret.context("a new device has got no secret")?;
                Ok(platform.app.device_login(&device_id, Some(&secret)))
            })
            .collect::<Result<Vec<_>>>()?;
        let settings = settings::requests(platform);
        let ingest = vec![ingest::push(&partner, 1)];
        let of = |class| match class {
            Class::Verify => (&verify, 200, r#""status":"valid""#),
            Class::Login => (&login, 200, r#""access_token""#),
            Class::Settings => (&settings, 200, r#""setting_99""#),
            Class::Ingest => (&ingest, 202, r#""accepted":1,"#),
        };
        // Long enough for every request to have its turn.
        let turns = DEVICES;
        let mut sent = [0; Class::ALL.len()];
        let rendered = TURN.iter().cycle().take(turns * TURN.len()).map(|class| {
            let (requests, status, text) = of(*class);
            let number = &mut sent[*class as usize];
            let request = &requests[*number % requests.len()];
            *number += 1;
            Rendered { class: *class, bytes: request.text(&platform.address, "keep-alive").into_bytes(), status, text }
        });
        Ok(Self(rendered.collect()))
    }

    pub(super) fn number(&self, number: usize) -> &Rendered {
        &self.0[number % self.0.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_the_mix() {
        let shares = Class::ALL.map(Class::share);
        assert_eq!(shares, [0.6, 0.25, 0.1, 0.05]);
        let positions: Vec<usize> =
            TURN.iter().enumerate().filter(|(_, class)| **class == Class::Login).map(|(place, _)| place).collect();
        assert!(positions.windows(2).all(|pair| (2..=5).contains(&(pair[1] - pair[0]))), "{positions:?}");
    }
}
