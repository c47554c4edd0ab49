//! An operator publishes a document in Nacos, and every process of a fleet goes by it, without a restart.

use crate::support::{Platform, RawConnection, Replica, Shape, eventually, in_a_fleet};

in_a_fleet!(a_document_makes_every_process_verbose_and_a_bad_one_changes_nothing);

const DOCUMENT: &str = "playgate-log.toml";

/// What is said about a connection that carries no HTTP, to whoever debugs.
const FOR_WHOEVER_DEBUGS: &str = "a connection failed";

/// Opens a connection to a process's operator listener that carries no HTTP, and waits for its end.
async fn disturb(platform: &Platform, replica: Replica) {
    let mut connection = RawConnection::open(platform.operator(replica).address()).await.unwrap();
    connection.write(b"\0\0\0\0\r\n\r\n").await.unwrap();
    // It is told that this is no request; some words about it would do as well.
    let _ = connection.answer().await;
}

/// How often a process has logged a text.
fn said(platform: &Platform, replica: Replica, text: &str) -> usize {
    platform.log_of(replica).matches(text).count()
}

/// Waits until a process has logged a text so often.
async fn says(platform: &Platform, replica: Replica, text: &str, times: usize) {
    eventually("it is in the log", || async { (said(platform, replica, text) >= times).then_some(()) }).await;
    assert_eq!(said(platform, replica, text), times, "{replica:?}: {text}");
}

/// Waits until a metric of the document has a value at a process.
async fn shows(platform: &Platform, replica: Replica, metric: &str, value: u64) {
    let sample = format!("{metric}{{document=\"{DOCUMENT}\"}} {value}");
    let look = || async { platform.metrics(replica).await.lines().any(|line| line == sample).then_some(()) };
    eventually("the metric says so", look).await;
}

async fn a_document_makes_every_process_verbose_and_a_bad_one_changes_nothing(shape: Shape) {
    let platform = Platform::build(shape).set("dynamic.interval", "200ms").start().await;
    let registry = platform.registry();
    for replica in platform.replicas() {
        disturb(&platform, replica).await;
    }

    registry.publish(DOCUMENT, "level = \"debug\"").await;
    for replica in platform.replicas() {
        shows(&platform, replica, "playgate_config_document_in_force", 1).await;
        shows(&platform, replica, "playgate_config_documents_refused_total", 0).await;
        says(&platform, replica, "the log level was changed", 1).await;
        // Lines are in order: what had come before this one would be there by now.
        assert_eq!(said(&platform, replica, FOR_WHOEVER_DEBUGS), 0, "{replica:?}");
        disturb(&platform, replica).await;
        says(&platform, replica, FOR_WHOEVER_DEBUGS, 1).await;
    }

    registry.publish(DOCUMENT, "level = \"loud\"").await;
    for replica in platform.replicas() {
        shows(&platform, replica, "playgate_config_documents_refused_total", 1).await;
        shows(&platform, replica, "playgate_config_document_in_force", 0).await;
        disturb(&platform, replica).await;
        says(&platform, replica, FOR_WHOEVER_DEBUGS, 2).await;
    }

    // It has been read many times when this one is in force, and was refused once.
    registry.publish(DOCUMENT, "level = \"info\"").await;
    for replica in platform.replicas() {
        shows(&platform, replica, "playgate_config_document_in_force", 1).await;
        says(&platform, replica, "the log level was changed", 2).await;
        says(&platform, replica, "the document is refused", 1).await;
        shows(&platform, replica, "playgate_config_documents_refused_total", 1).await;
    }
}
