//! Where settings lie: a directory, or a bucket of S3. It goes away under players, and whoever publishes is killed.

use std::{sync::Arc, time::Duration};

use common::{
    clock::SystemRandom,
    discovery::{StaticConfig, StaticList},
    governance::Governance,
    rpc::{CallError, ClientConfig, ClientMetrics, ClientParts, Transport, setting_client},
};
use idl::{
    setting::SettingServiceClient,
    setting_admin::{GetRevisionRequest, ListVersionsRequest, PublishRequest, Revision},
};
use prometheus::Registry;
use reqwest::Method;
use serde_json::{Value, json};
use xtask::services::{S3, s3::BUCKET};

use crate::support::{Client, PATIENCE, Platform, Role, Shape, eventually, in_four_roles, in_one_process};

in_four_roles!(
    settings_in_a_bucket_are_answered_by_every_replica_and_outlive_it_in_memory_on_s3,
    a_publisher_that_is_killed_has_published_or_not_on_disk,
    a_publisher_that_is_killed_has_published_or_not_on_s3,
);
in_one_process!(a_platform_on_s3_starts_and_answers_while_its_bucket_is_gone_on_s3);

/// An operator of settings, who speaks to one setting process.
struct Operator {
    client: SettingServiceClient,
    app_id: i64,
}

impl Operator {
    fn of(platform: &Platform, index: usize) -> Self {
        let address = platform.address_of(Role::Setting.replica(index));
        let instances = StaticConfig { setting: vec![address.parse().expect("an address")], ..StaticConfig::default() };
        // On a busy machine nothing is decided by how long it takes.
        let config = ClientConfig { timeout: PATIENCE, attempt_timeout: PATIENCE, ..ClientConfig::default() };
        let metrics = ClientMetrics::register(&Registry::new()).expect("names are free");
        let parts =
            ClientParts { caller: "story", random: Arc::new(SystemRandom), metrics, governance: Governance::default() };
        let transport = Transport::Wire(Arc::new(StaticList::new(&instances)));
        Self { client: setting_client(transport, &config, &parts), app_id: platform.app().app_id }
    }

    /// Publishes a document whose every value is `number`.
    async fn publish(&self, base_revision: i64, number: i64) -> Result<i64, CallError> {
        let request = PublishRequest {
            app_id: self.app_id,
            base_revision,
            document_json: document(number).to_string().into(),
            note: "a story".into(),
            author: "ann".into(),
        };
        Ok(self.client.admin_publish(request).await?.revision)
    }

    async fn current(&self) -> Revision {
        let request = GetRevisionRequest { app_id: self.app_id, ..GetRevisionRequest::default() };
        self.client.admin_get_revision(request).await.expect("an answer")
    }

    async fn versions(&self) -> Vec<i64> {
        let request = ListVersionsRequest { app_id: self.app_id, limit: 100, ..ListVersionsRequest::default() };
        let page = self.client.admin_list_versions(request).await.expect("an answer");
        page.versions.iter().map(|info| info.version).collect()
    }
}

/// Large enough that half of one would be noticed.
fn document(number: i64) -> Value {
    let settings = (0..500).map(|index| (format!("value_{index}"), json!({ "type": "number", "value": number })));
    json!({ "settings": settings.collect::<serde_json::Map<_, _>>() })
}

async fn on_s3(s3: &S3, shape: Shape) -> Platform {
    Platform::build(shape)
        .set("setting.store", "s3")
        .set("setting.s3.bucket", BUCKET)
        .set("setting.s3.endpoint", &s3.endpoint())
        .set("setting.s3.region", "us-east-1")
        .set("setting.s3.access_key_id", "story")
        .set("setting.s3.secret_access_key", "story")
        .start()
        .await
}

/// What a game sees: the revision, and the one number that every value is.
async fn seen(client: &Client, app_id: i64) -> Option<(i64, i64)> {
    let request = client.request(Method::GET, &format!("/v1/sdk/settings?app_id={app_id}"));
    let answer = client.send(request).await;
    let data = answer.ok();
    let settings = data["settings"].as_object().expect("an object");
    let number = settings.get("value_0")?.as_i64()?;
    assert_eq!(settings.len(), 500, "whole");
    assert!(settings.values().all(|value| value == number), "of one revision: {answer:?}");
    Some((data["revision"].as_i64()?, number))
}

async fn is_seen(platform: &Platform, expected: (i64, i64)) {
    eventually("games see what was published", || async {
        (seen(platform.client(), platform.app().app_id).await == Some(expected)).then_some(())
    })
    .await;
}

async fn settings_in_a_bucket_are_answered_by_every_replica_and_outlive_it_in_memory_on_s3(shape: Shape) {
    let mut s3 = S3::start().unwrap();
    let mut platform = on_s3(&s3, shape).await;
    let other = platform.add(Role::Setting).await;
    let (one, two) = (Operator::of(&platform, 0), Operator::of(&platform, other.index));
    assert_eq!(one.publish(0, 10).await, Ok(1));
    is_seen(&platform, (1, 10)).await;
    assert_eq!(two.publish(1, 20).await, Ok(2), "another process publishes on what the first has published");
    assert!(matches!(one.publish(1, 30).await, Err(CallError::Answered(refused)) if refused.code.inner() == 4_090_201));
    is_seen(&platform, (2, 20)).await;
    assert_eq!((one.current().await.revision, one.versions().await), (2, vec![2, 1]));

    s3.freeze().unwrap();
    assert_eq!(seen(platform.client(), platform.app().app_id).await, Some((2, 20)));
    s3.thaw().unwrap();
    s3.kill().unwrap();
    assert_eq!(seen(platform.client(), platform.app().app_id).await, Some((2, 20)));
    assert!(one.publish(2, 40).await.is_err());
    let ann = platform.register("ann").await;
    assert_eq!(ann.welcome["degraded"], json!([]), "a login has its settings");
}

async fn a_platform_on_s3_starts_and_answers_while_its_bucket_is_gone_on_s3(shape: Shape) {
    let mut s3 = S3::start().unwrap();
    s3.kill().unwrap();
    let platform = on_s3(&s3, shape).await;
    let ann = platform.register("ann").await;
    assert_eq!(ann.welcome["degraded"], json!(["setting"]), "a login goes on without its settings and says so");
    s3.restart().unwrap();
    eventually("settings are answered", || async {
        let path = format!("/v1/sdk/settings?app_id={}", platform.app().app_id);
        let answer = platform.client().get(&path).await;
        (answer.status == 200).then_some(())
    })
    .await;
}

async fn a_publisher_that_is_killed_has_published_or_not_on_disk(shape: Shape) {
    is_killed_while_it_publishes(Platform::start(shape).await).await;
}

async fn a_publisher_that_is_killed_has_published_or_not_on_s3(shape: Shape) {
    let s3 = S3::start().unwrap();
    is_killed_while_it_publishes(on_s3(&s3, shape).await).await;
}

/// SIGKILL in a stream of publishes, again and again: what is there afterwards is the last that was answered or the one
/// after it, whole, and publishing goes on.
async fn is_killed_while_it_publishes(mut platform: Platform) {
    /// Spread over what a publish takes, in milliseconds.
    const KILLED_AFTER: [u64; 6] = [3, 11, 17, 29, 41, 53];
    let mut revision = Operator::of(&platform, 0).publish(0, 1).await.expect("published");
    for millis in KILLED_AFTER {
        let operator = Operator::of(&platform, 0);
        let stream = async {
            let mut answered = revision;
            while let Ok(published) = operator.publish(answered, answered + 1).await {
                assert_eq!(published, answered + 1);
                answered = published;
            }
            answered
        };
        let killing = async {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            platform.kill(Role::Setting);
        };
        let (answered, ()) = tokio::join!(stream, killing);
        platform.restart(Role::Setting).await;
        let operator = Operator::of(&platform, 0);
        let current = operator.current().await;
        assert!((answered..=answered + 1).contains(&current.revision), "{} after {answered}", current.revision);
        let stored: Value = serde_json::from_str(&current.document_json).expect("whole");
        assert_eq!(stored, document(current.revision), "what was published as this revision");
        // Who got no answer asks again, and is told what became of it.
        revision = operator.publish(answered, answered + 1).await.expect("published, or it was");
        assert_eq!(revision, answered + 1);
        is_seen(&platform, (revision, revision)).await;
    }
    let versions = Operator::of(&platform, 0).versions().await;
    assert_eq!(versions.first(), Some(&revision));
    assert!(versions.windows(2).all(|pair| pair[0] == pair[1] + 1), "dense: {versions:?}");
}
