//! Secrets that someone else writes: waited for, followed, and never touched.

use std::time::Duration;

use anyhow::ensure;
use authly_tests::process::eventually;

use crate::world::{OVERLAP, World};

const PATIENCE: Duration = Duration::from_secs(60);

/// A value as a controller of external secrets would write it.
fn random() -> String {
    format!("{}.{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple())
}

impl World {
    async fn answers(&self, secret: &str, status: u16) {
        for server in &self.servers {
            assert_eq!(self.token(server.port, "external", secret).await.unwrap(), status);
        }
    }

    async fn eventually_answers(&self, secret: &str, status: u16) {
        eventually(&format!("{status}"), OVERLAP + PATIENCE, || async {
            for server in &self.servers {
                ensure!(self.token(server.port, "external", secret).await? == status, "not yet");
            }
            Ok(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_someone_else_is_waited_for_and_followed() {
    let world = World::start().await;
    world.add("external", "{existingSecretRef: {name: vault, key: password, overlap: 4s}}").await;
    let message = world.until("external", "ResolvedRefs", "False", "SecretNotFound").await;
    assert!(message.contains("does not exist") && message.contains("nothing is generated"), "{message}");
    world.put("vault", &[("other", Some("x"))]).await;
    world.until("external", "ResolvedRefs", "False", "SecretKeyMissing").await;
    for (bad, says) in [
        ("hunter2-of-a-human", "shorter than 32"),
        ("with-a-line-break-at-its-end-0123456789\n", "line break"),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "different characters"),
    ] {
        world.put("vault", &[("password", Some(bad))]).await;
        let message = eventually(says, PATIENCE, || async {
            let message = world.until("external", "Ready", "False", "SecretInvalid").await;
            ensure!(message.contains(says), "{message}");
            Ok(message)
        })
        .await
        .unwrap();
        assert!(!message.contains(bad.trim()), "{message}");
        world.answers(bad, 401).await;
    }

    // It arrives, and works; nothing was generated meanwhile, and nobody touched it.
    let first = random();
    world.put("vault", &[("password", Some(&first))]).await;
    world.ready("external").await;
    world.answers(&first, 200).await;
    assert!(world.secret("external-oauth").await.is_none());
    let vault = world.secret("vault").await.unwrap();
    assert!(vault.metadata.annotations.is_none() && vault.metadata.labels.is_none());
    assert_eq!(vault.data.unwrap().len(), 2);
    assert_eq!(world.status("external").await["secretName"], "vault");

    // It changes by itself: the new value is picked up, the old one works for the overlap, and then no more.
    let second = random();
    world.put("vault", &[("password", Some(&second))]).await;
    eventually("the new value works", PATIENCE, || async {
        // Within the overlap, whether the new one works yet or not; a refusal is not asked away.
        for server in &world.servers {
            let status = world.token(server.port, "external", &first).await?;
            assert_eq!(status, 200, "the old value was cut short");
        }
        ensure!(world.token(world.servers[0].port, "external", &second).await? == 200, "not yet");
        Ok(())
    })
    .await
    .unwrap();
    world.eventually_answers(&first, 401).await;
    world.answers(&second, 200).await;

    // One that is announced before it changes costs no request.
    world.ready("external").await;
    let traffic = world.traffic("external", ("vault", "password"), 2);
    let third = random();
    world.put("vault", &[("password_next", Some(&third))]).await;
    world.eventually_answers(&third, 200).await;
    world.put("vault", &[("password", Some(&third)), ("password_next", None)]).await;
    world.eventually_answers(&second, 401).await;
    traffic.stop().await.assert_whole();

    // Gone: what worked works.
    world.kubectl(&["delete", "secret", "vault"]).await;
    world.until("external", "ResolvedRefs", "False", "SecretNotFound").await;
    world.answers(&third, 200).await;
    assert!(world.secret("external-oauth").await.is_none());

    // To a generated one and back, each time with the overlap, and without leaving anything behind.
    let patch = r#"{"spec": {"credentials": {"existingSecretRef": null, "secret": {"overlap": "4s"}}}}"#;
    world.kubectl(&["patch", "oauthclient", "external", "--type=merge", "-p", patch]).await;
    let generated = eventually("it is generated", PATIENCE, || world.value("external", "client_secret")).await.unwrap();
    world.answers(&generated, 200).await;
    world.eventually_answers(&third, 401).await;
    world.put("vault", &[("password", Some(&second))]).await;
    let patch = r#"{"spec": {"credentials": {"secret": null, "existingSecretRef": {"name": "vault", "key": "password", "overlap": "4s"}}}}"#;
    world.kubectl(&["patch", "oauthclient", "external", "--type=merge", "-p", patch]).await;
    world.eventually_answers(&second, 200).await;
    world.eventually_answers(&generated, 401).await;
    eventually("the generated Secret is gone", PATIENCE, || async {
        ensure!(world.secret("external-oauth").await.is_none(), "not yet");
        Ok(())
    })
    .await
    .unwrap();
    world.answers(&second, 200).await;
}
