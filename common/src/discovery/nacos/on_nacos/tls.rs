//! Through TLS: the same, and nobody else is taken for Nacos.

use std::{fs, net::SocketAddr, sync::Arc};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use xtask::services::{Certificates, Nacos as Server};

use super::fixture::{self, Client};
use crate::{
    clock::{SystemClock, SystemRandom},
    config::Secret,
    discovery::{
        DiscoveryMetrics,
        nacos::{Nacos, NacosConfig, NacosParts},
    },
    lifecycle::RequestTasks,
    rpc::tests::log::Log,
};

/// Speaks TLS in front of one port of a server that speaks none.
async fn front(port: u16, certificates: &Certificates, protocol: &[u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let acceptor = acceptor(certificates, protocol);
    let tasks = RequestTasks::default();
    tasks.clone().spawn_in_context(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tasks.spawn_in_context(async move {
                // Who does not like the certificate goes away.
                let Ok(mut client) = acceptor.accept(connection).await else { return };
                let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}

fn acceptor(certificates: &Certificates, protocol: &[u8]) -> TlsAcceptor {
    let certificate = fs::read(certificates.certificate()).expect("a certificate");
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&certificate).map(|one| one.expect("in PEM")).collect();
    let key = PrivateKeyDer::from_pem_file(certificates.key()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = versions.expect("defaults").with_no_client_auth().with_single_cert(chain, key).expect("a pair");
    config.alpn_protocols = vec![protocol.to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// How clients find a server through TLS that is found in plain like this. They trust nobody in particular yet.
async fn through_tls(plain: &NacosConfig, certificates: &Certificates) -> NacosConfig {
    let address: SocketAddr = plain.server.parse().expect("an address");
    let http = front(address.port(), certificates, b"http/1.1").await;
    let grpc = front(address.port() + 1000, certificates, b"h2").await;
    NacosConfig { tls: true, server: http.to_string(), grpc_port: Some(grpc.port()), ..plain.clone() }
}

fn trusting(certificates: &Certificates, config: &NacosConfig) -> NacosConfig {
    NacosConfig { ca_file: Some(certificates.authority()), ..config.clone() }
}

#[tokio::test]
async fn processes_log_in_register_and_find_each_other_through_tls() {
    let certificates = Certificates::for_loopback().expect("certificates");
    let server = Server::start_with_login("playgate", "right").expect("a server");
    let config = NacosConfig {
        username: Some("playgate".to_owned()),
        password: Some(Secret::new("right")),
        ..trusting(&certificates, &through_tls(&fixture::config(&server.address()), &certificates).await)
    };
    let (caller, callee) = (Client::start(&config), Client::start(&config));
    let mut instances = caller.watch("account");
    callee.register("account", 1);
    caller.register("account", 2);
    caller.wait(&mut instances, &[1, 2]).await;
    callee.drain();
    caller.wait(&mut instances, &[2]).await;
}

#[tokio::test]
async fn a_server_that_cannot_prove_who_it_is_is_no_nacos_of_ours_and_the_log_says_why() {
    let (own, strange) = (Certificates::for_loopback().expect("own"), Certificates::for_loopback().expect("strange"));
    let other_host = Certificates::for_name("DNS:elsewhere.example").expect("another host's");
    let (_server, plain) = fixture::shared();
    let config = through_tls(&plain, &own).await;
    let config_of_another = through_tls(&plain, &other_host).await;
    for (untrusted, why) in [
        (trusting(&strange, &config), "BadSignature"),
        (config, "UnknownIssuer"),
        (trusting(&other_host, &config_of_another), "not valid for name"),
    ] {
        let log = Log::default();
        let _guard = tracing::dispatcher::set_default(&log.dispatch());
        let client = Client::start(&untrusted);
        client.register("account", 1);
        client.until_failures("naming", 2).await;
        client.until_registered("account", false).await;
        let text = log.text();
        let lines: Vec<_> = text.lines().filter(|line| line.contains("TLS with it fails")).collect();
        assert!(lines.len() == 1 && lines[0].contains(why), "{why}: {text}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_not_spoken_to_in_plain_when_tls_was_asked_for() {
    let certificates = Certificates::for_loopback().expect("certificates");
    let (_server, plain) = fixture::shared();
    let config = NacosConfig { tls: true, ..trusting(&certificates, &plain) };
    let client = Client::start(&config);
    client.register("account", 1);
    client.until_failures("naming", 2).await;
    client.until_registered("account", false).await;
}

#[tokio::test]
async fn a_file_that_names_no_authority_is_refused_at_the_start() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let directory = tempfile::tempdir().expect("a directory");
    for path in [file.path(), &directory.path().join("missing.pem")] {
        let config = NacosConfig { tls: true, ca_file: Some(path.to_owned()), ..NacosConfig::default() };
        let registry = prometheus::Registry::new();
        let parts = NacosParts {
            lifecycle: fixture::lifecycle(),
            registry: registry.clone(),
            lists: DiscoveryMetrics::register(&registry).expect("registered once"),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
        };
        let refused = Nacos::new(&config, directory.path(), parts).expect_err("nobody to trust").to_string();
        assert!(refused.starts_with("`nacos.ca_file`, /"), "{refused}");
    }
}
