//! A service that takes phone codes to be sent, as an operator's would, and what players do with phones.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use common::{
    config::Secret,
    error_code::PublicError,
    http::{SignedContent, SigningKey},
};
use idl::account::{
    AccountService, ChangePasswordRequest, ClientInfo, DeviceLink, LinkProof, LinkRequest, LinkResponse, LoginProof,
    LoginRequest, LoginResponse, PasswordLogin, PhoneCodeScene, PhoneProof, SendPhoneCodeRequest,
    SendPhoneCodeResponse,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Mutex, mpsc},
    task::JoinSet,
};

use super::{PASSWORD, Service, config, public};
use crate::Config;

pub(crate) const PHONE: &str = "+8613812345678";
const SECRET: &str = "the webhook's secret";

/// A running receiver.
pub(crate) struct Phones {
    address: String,
    received: Mutex<mpsc::UnboundedReceiver<Value>>,
    calls: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Phones {
    /// Says yes to everything.
    pub(crate) async fn start() -> Self {
        Self::answering(200).await
    }

    /// Answers everything with one status. What it is sent counts as received if that is a yes.
    pub(crate) async fn answering(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let (sender, received) = mpsc::unbounded_channel();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let document = serve(socket, status).await;
                if status < 300 {
                    let _ = sender.send(document);
                }
            }
        });
        Self { address, received: Mutex::new(received), calls, _serving: serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/codes", self.address)
    }

    /// How often it was called.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// A configuration that sends codes here.
    pub(crate) fn config(&self) -> Config {
        let mut config = config();
        config.phone.webhook.url = Some(self.url());
        config.phone.webhook.secret = Some(Secret::new(SECRET));
        config
    }

    /// The next document that arrives.
    pub(crate) async fn document(&self) -> Value {
        self.received.lock().await.recv().await.expect("a document")
    }

    /// The code in it.
    pub(crate) async fn code(&self) -> String {
        self.document().await["code"].as_str().expect("a code").to_owned()
    }
}

/// Reads one request, checks its signature, answers and closes.
async fn serve(mut socket: TcpStream, status: u16) -> Value {
    let mut seen = Vec::new();
    while !seen.ends_with(b"}") {
        socket.read_buf(&mut seen).await.expect("readable");
    }
    let text = String::from_utf8(seen).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).expect("the header").trim();
    let content = SignedContent {
        method: "POST",
        path: "/codes",
        query: "",
        timestamp: header("x-timestamp:"),
        nonce: header("x-nonce:"),
        body: body.as_bytes(),
    };
    let key = SigningKey::new(SECRET.as_bytes());
    assert!(content.is_signed_by(&[key], header("x-signature:").as_bytes()), "{head}");
    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    socket.write_all(answer.as_bytes()).await.expect("writable");
    serde_json::from_str(body).expect("a document")
}

impl Service {
    pub(crate) async fn send_code(
        &self,
        phone: &str,
        scene: PhoneCodeScene,
    ) -> Result<SendPhoneCodeResponse, PublicError> {
        let client = ClientInfo { address: Some("192.0.2.1".into()), ..ClientInfo::default() };
        self.send_code_as(client, phone, scene).await
    }

    /// The same asked for by that client.
    pub(crate) async fn send_code_as(
        &self,
        client: ClientInfo,
        phone: &str,
        scene: PhoneCodeScene,
    ) -> Result<SendPhoneCodeResponse, PublicError> {
        let request = SendPhoneCodeRequest { app_id: self.app_id(), phone: phone.to_owned().into(), scene, client };
        public(self.account.send_phone_code(request).await)
    }

    pub(crate) async fn phone_login(&self, phone: &str, code: &str) -> Result<LoginResponse, PublicError> {
        self.login_by(self.app_id(), LoginProof::Phone(phone_proof(phone, code))).await
    }

    /// The same by that client.
    pub(crate) async fn phone_login_as(
        &self,
        client: ClientInfo,
        phone: &str,
        code: &str,
    ) -> Result<LoginResponse, PublicError> {
        let proof = LoginProof::Phone(phone_proof(phone, code));
        public(
            self.account.login(LoginRequest { app_id: self.app_id(), proof, client, ..LoginRequest::default() }).await,
        )
    }

    /// Has a code sent and signs in with it.
    pub(crate) async fn sign_in_with(&self, phones: &Phones, phone: &str) -> LoginResponse {
        self.send_code(phone, PhoneCodeScene::LOGIN).await.expect("sent");
        self.phone_login(phone, &phones.code().await).await.expect("signed in")
    }

    pub(crate) async fn link(&self, access_token: &str, proof: LinkProof) -> Result<LinkResponse, PublicError> {
        public(
            self.account.link(LinkRequest { access_token: access_token.to_owned().into(), proof, client: None }).await,
        )
    }

    pub(crate) async fn link_username(&self, access_token: &str, username: &str) -> Result<LinkResponse, PublicError> {
        let (username, password) = (username.to_owned().into(), PASSWORD.into());
        self.link(access_token, LinkProof::Password(PasswordLogin { username, password })).await
    }

    /// Has a code sent and links the phone with it.
    pub(crate) async fn link_phone(
        &self,
        phones: &Phones,
        access_token: &str,
        phone: &str,
    ) -> Result<LinkResponse, PublicError> {
        self.send_code(phone, PhoneCodeScene::LINK).await.expect("sent");
        self.link(access_token, LinkProof::Phone(phone_proof(phone, &phones.code().await))).await
    }

    pub(crate) async fn link_device(&self, access_token: &str, device: &str) -> Result<LinkResponse, PublicError> {
        let device = DeviceLink { device_id: device.to_owned().into(), new_device_secret: None };
        self.link(access_token, LinkProof::Device(device)).await
    }

    pub(crate) async fn change_password(
        &self,
        access_token: &str,
        old: Option<&str>,
        phone: Option<(&str, &str)>,
        new: &str,
    ) -> Result<i64, PublicError> {
        let request = ChangePasswordRequest {
            access_token: access_token.to_owned().into(),
            old_password: old.map(|old| old.to_owned().into()),
            phone: phone.map(|(phone, code)| phone_proof(phone, code)),
            new_password: new.to_owned().into(),
            client: None,
        };
        public(self.account.change_password(request).await).map(|response| response.revoked)
    }
}

fn phone_proof(phone: &str, code: &str) -> PhoneProof {
    PhoneProof { phone: phone.to_owned().into(), code: code.to_owned().into() }
}
