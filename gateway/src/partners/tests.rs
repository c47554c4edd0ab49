use std::{
    net::SocketAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use common::http::{SignedContent, UnreadRequest};
use volo_http::{body::Body, context::ServerContext, server::extract::FromRequest};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_750_000_000_000);
const PATH: &str = "/v1/partner/ads/events";
const BODY: &str = r#"{"event_id":"e-1"}"#;

/// Account, as far as this module sees it: it knows the partner `ads`.
struct Account {
    signing: Mutex<(&'static str, Vec<&'static str>)>,
    enabled: AtomicBool,
    away: AtomicBool,
    asked: AtomicUsize,
}

impl Account {
    fn with(signing: &'static str, secret: &'static str) -> Arc<Self> {
        Arc::new(Self {
            signing: Mutex::new((signing, vec![secret])),
            enabled: AtomicBool::new(true),
            away: AtomicBool::new(false),
            asked: AtomicUsize::new(0),
        })
    }

    fn changes_to(&self, signing: &'static str, secrets: Vec<&'static str>) {
        *self.signing.lock().unwrap_or_else(PoisonError::into_inner) = (signing, secrets);
    }

    fn answer(&self, name: &FastStr) -> Result<Option<Partner>, PublicError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.away.load(Ordering::Relaxed) {
            return Err(PublicError::unavailable(Duration::from_secs(1)));
        }
        let (signing, secrets) = self.signing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if name != "ads" {
            return Ok(None);
        }
        let info = PartnerInfo {
            partner: name.clone(),
            signing: signing.into(),
            enabled: self.enabled.load(Ordering::Relaxed),
            secrets: secrets.into_iter().map(FastStr::from_static_str).collect(),
            limits: Default::default(),
        };
        Partner::new(&info).map(Some)
    }

    fn directory(self: &Arc<Self>) -> PartnerDirectory {
        let account = Arc::clone(self);
        let ask: Ask<FastStr, Partner> = Arc::new(move |question| {
            let account = Arc::clone(&account);
            Box::pin(async move { account.answer(&question.key) })
        });
        PartnerDirectory(Directory::new(ask, 100, RequestTasks::default()))
    }
}

/// The headers of a request that `secret` signs for the partner `ads`, at that time.
fn signed(secret: &str, at: i64) -> Vec<(&'static str, String)> {
    let timestamp = at.to_string();
    let content = SignedContent {
        method: "POST",
        path: PATH,
        query: "",
        timestamp: &timestamp,
        nonce: "nonce-01",
        body: BODY.as_bytes(),
    };
    let signature = common::http::SigningKey::new(secret.as_bytes()).sign(&content);
    vec![
        ("x-partner-id", "ads".to_owned()),
        ("x-timestamp", timestamp.clone()),
        ("x-nonce", "nonce-01".to_owned()),
        ("x-signature", signature),
    ]
}

async fn push(
    partners: &PartnerDirectory,
    name: &'static str,
    headers: Vec<(&'static str, String)>,
) -> Result<(), i32> {
    let mut request = http::Request::builder().method("POST").uri(PATH);
    for (header, value) in headers {
        request = request.header(header, value);
    }
    let (head, body) = request.body(Body::from(BODY)).expect("well formed").into_parts();
    let mut cx = ServerContext::new(SocketAddr::from(([127, 0, 0, 1], 1)).into());
    let Ok(UnreadRequest { head, body }) = UnreadRequest::from_request(&mut cx, head, body).await else {
        panic!("nothing is refused here")
    };
    let name = FastStr::from_static_str(name);
    let found = partners.find(&name, &head, Md5Over::Body, NOW).await.map_err(|error| error.code.inner())?;
    let body = body.read_as_sent().await.map_err(|error| error.code.inner())?;
    let checked = partners.check((&name, found), &head, &body, Md5Over::Body, NOW).await;
    let partner = checked.map_err(|error| error.code.inner())?;
    assert_eq!((partner.name.as_str(), &*body), ("ads", BODY.as_bytes()));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_request_is_its_partners_if_one_of_the_live_secrets_signs_it() {
    let account = Account::with("hmac", "old");
    let partners = account.directory();
    let now = NOW.as_millis();
    assert_eq!(push(&partners, "ads", signed("old", now)).await, Ok(()));
    assert_eq!(push(&partners, "ads", signed("other", now)).await, Err(4_010_002));
    account.changes_to("hmac", vec!["new", "old"]);
    assert_eq!(push(&partners, "ads", signed("new", now)).await, Ok(()), "at once");
    assert_eq!(push(&partners, "ads", signed("old", now)).await, Ok(()));
    assert_eq!(push(&partners, "ads", signed("old", now - 300_001)).await, Err(4_010_003));
    for missing in 0..4 {
        let mut headers = signed("old", now);
        headers.remove(missing);
        assert_eq!(push(&partners, "ads", headers).await, Err(4_010_001), "without header {missing}");
    }
    let mut of_another = signed("old", now);
    of_another[0].1 = "logs".to_owned();
    assert_eq!(push(&partners, "ads", of_another).await, Err(4_010_002));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_taken_unsigned_unless_the_partner_is_configured_so() {
    for (signing, expected) in [("hmac", Err(4_010_001)), ("md5-sorted", Err(4_010_001)), ("none", Ok(()))] {
        let account = Account::with(signing, "s3cret");
        assert_eq!(push(&account.directory(), "ads", Vec::new()).await, expected, "{signing}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stranger_learns_nothing_about_which_partners_there_are() {
    let account = Account::with("hmac", "s3cret");
    let partners = account.directory();
    let now = NOW.as_millis();
    for nobody in ["logs", "ADS", "a/b", ""] {
        assert_eq!(push(&partners, nobody, Vec::new()).await, Err(4_010_001), "{nobody}");
        assert_eq!(push(&partners, nobody, signed("s3cret", now)).await, Err(4_010_002), "{nobody}");
    }
    assert_eq!(account.asked.load(Ordering::Relaxed), 1, "what can't be a name is not asked about");
    account.enabled.store(false, Ordering::Relaxed);
    assert_eq!(push(&partners, "ads", signed("guess", now)).await, Err(4_010_002));
    assert_eq!(push(&partners, "ads", signed("s3cret", now)).await, Err(4_030_106));
}

#[tokio::test(start_paused = true)]
async fn while_account_is_away_who_is_known_goes_on_and_who_is_not_is_an_open_question() {
    let account = Account::with("hmac", "s3cret");
    let partners = account.directory();
    let now = NOW.as_millis();
    assert_eq!(push(&partners, "ads", signed("s3cret", now)).await, Ok(()));
    account.away.store(true, Ordering::Relaxed);
    tokio::time::advance(Duration::from_secs(300)).await;
    assert_eq!(push(&partners, "ads", signed("s3cret", now)).await, Ok(()));
    for headers in [Vec::new(), signed("s3cret", now)] {
        assert_eq!(push(&partners, "logs", headers).await, Err(5_030_002));
    }
    assert_eq!(push(&partners, "ads", signed("perhaps new", now)).await, Err(5_030_002));
}

#[tokio::test(start_paused = true)]
async fn a_way_of_signing_that_only_a_later_version_knows_is_an_open_question() {
    let account = Account::with("ed25519", "s3cret");
    assert_eq!(push(&account.directory(), "ads", Vec::new()).await, Err(5_030_002));
}
