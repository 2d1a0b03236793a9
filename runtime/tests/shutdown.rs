//! A process that is told to stop.
#![allow(clippy::unwrap_used, missing_docs)] // helpers of tests

use std::{process::Command, time::Duration};

#[tokio::test]
async fn sigterm_cancels_the_token() {
    let token = authly_runtime::shutdown::on_signal().unwrap();
    assert!(!token.is_cancelled());
    let sent = Command::new("sh").args(["-c", &format!("kill -TERM {}", std::process::id())]).status().unwrap();
    assert!(sent.success());
    tokio::time::timeout(Duration::from_secs(5), token.cancelled()).await.unwrap();
}
