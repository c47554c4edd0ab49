//! A DNS server of a story: it knows where the accounts are, and may fall silent.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use tokio::{net::UdpSocket, task::JoinSet};

/// A running server; it ends with this value.
pub(crate) struct DnsServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _serving: JoinSet<()>,
}

#[derive(Default)]
struct State {
    accounts: Vec<Ipv4Addr>,
    is_silent: bool,
    questions: usize,
}

impl DnsServer {
    /// The domain it answers for: `account.` and all other names in it.
    pub(crate) const DOMAIN: &'static str = "playgate.test.";

    /// One that knows these accounts; every other role is on loopback.
    pub(crate) async fn start(accounts: &[Ipv4Addr]) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { accounts: accounts.to_vec(), ..State::default() }));
        let served = Arc::clone(&state);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut packet = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut packet).await {
                let answer = served.lock().unwrap().answer(&packet[..length]);
                if let Some(answer) = answer {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        Self { address, state, _serving: serving }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on the accounts are there.
    pub(crate) fn accounts_are(&self, accounts: &[Ipv4Addr]) {
        self.state.lock().unwrap().accounts = accounts.to_vec();
    }

    /// From now on it answers nothing.
    pub(crate) fn fall_silent(&self) {
        self.state.lock().unwrap().is_silent = true;
    }

    /// How often it was asked anything.
    pub(crate) fn questions(&self) -> usize {
        self.state.lock().unwrap().questions
    }
}

impl State {
    /// RFC 1035: the question comes back with the answers behind it. Only records of type A exist, and they expire at
    /// once.
    fn answer(&mut self, question: &[u8]) -> Option<Vec<u8>> {
        self.questions += 1;
        if self.is_silent {
            return None;
        }
        let name_end = 12 + question.get(12..)?.iter().position(|byte| *byte == 0)? + 1;
        let is_about_addresses = question.get(name_end..name_end + 2)? == [0, 1];
        let addresses = match question[12..].starts_with(b"\x07account") {
            _ if !is_about_addresses => Vec::new(),
            true => self.accounts.clone(),
            false => vec![Ipv4Addr::LOCALHOST],
        };
        let mut answer = question.get(..name_end + 4)?.to_vec();
        // An authoritative answer without an error, to a question that may have wanted recursion.
        answer[2] = 0x84 | (question[2] & 1);
        answer[3] = 0;
        answer[6..8].copy_from_slice(&u16::try_from(addresses.len()).unwrap().to_be_bytes());
        // No authorities; and the options of the question (EDNS) are not repeated.
        answer[8..12].fill(0);
        for address in addresses {
            // The name, as a pointer to the one in the question; A; IN; good for no time; four bytes.
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
            answer.extend(address.octets());
        }
        Some(answer)
    }
}
