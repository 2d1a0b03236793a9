//! A disk that is full (issue 4, section 1.6): what cannot be recorded is refused with 503, nothing that was answered is lost, and it
//! goes on by itself once there is room. The disk is a tmpfs, so the suite needs root.

use std::{
    collections::BTreeSet,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::ensure;
use authly_tests::{
    api::{http, token_request},
    audit::{records, verify_json},
    database,
    dev::Dev,
    postgres::OwnPostgres,
    process::eventually,
    replicas::{Replica, url_of},
    scratch::Scratch,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::future::join_all;
use serde_json::Value;

const SECOND: Duration = Duration::from_secs(1);
/// No answer may take longer: the two seconds that an event may wait for its commit, and the machine.
const LONGEST: Duration = Duration::from_secs(4);

/// A file system of so many MiB that is nobody else's; unmounted when dropped.
struct SmallDisk(Scratch);

impl SmallDisk {
    fn new(mib: u32) -> Self {
        let scratch = Scratch::new("disk").unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m,mode=755"), "tmpfs"]).arg(scratch.path());
        let mounted = mount.status().is_ok_and(|status| status.success());
        assert!(
            mounted,
            "a small disk needs root: run this suite as root, or in `unshare --map-auto --map-root-user --mount`"
        );
        Self(scratch)
    }

    /// Fills it to the last byte; what to remove to free it.
    fn fill(&self) -> std::path::PathBuf {
        use std::io::Write;
        let path = self.0.path().join("ballast");
        let mut file = std::fs::File::create(&path).unwrap();
        for size in [1 << 20, 4096] {
            while file.write_all(&vec![0; size]).and_then(|()| file.flush()).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(self.0.path()).status().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_loses_nothing() {
    let disk = SmallDisk::new(256);
    let mut postgres = OwnPostgres::start_in(disk.0.path(), &["min_wal_size=32MB", "max_wal_size=48MB"]).await.unwrap();
    let dev = Dev::quickstart_on(postgres.create("full").await.unwrap()).await.unwrap();
    let (http, server) = (http(), Replica::server(&dev, "server").await.unwrap());
    let token = || token_request(&http, &dev, server.port);
    let (mut answered, mut refused) = (BTreeSet::new(), 0);
    while answered.len() < 20 {
        let answer = token().send().await.unwrap();
        if answer.status() == 200 {
            answered.insert(jti(&answer.json().await.unwrap()));
        }
    }
    let ballast = disk.fill();
    let start = Instant::now();
    while refused < 50 {
        assert!(start.elapsed() < 60 * SECOND, "{} answers, {refused} refused: the disk is not full", answered.len());
        let ask = || async { tokio::time::timeout(LONGEST, token().send()).await.expect("an answer hung").unwrap() };
        for answer in join_all((0..16).map(|_| ask())).await {
            match answer.status().as_u16() {
                200 => drop(answered.insert(jti(&answer.json().await.unwrap()))),
                503 => refused += 1,
                other => panic!("{other}: {}", answer.text().await.unwrap()),
            }
        }
    }
    println!("a full disk: {} answers, then {refused} refused, {:.1} s", answered.len(), start.elapsed().as_secs_f64());
    std::fs::remove_file(ballast).unwrap();
    // Where PostgreSQL could not even write its log ahead it has stopped, and is started by whoever looks after it.
    if !postgres.answers().await {
        println!("PostgreSQL had stopped");
        let _ = postgres.crash().await;
        postgres.start_again().await.unwrap();
    }
    let again = || async {
        let answer = token().send().await?;
        ensure!(answer.status() == 200, "{}", answer.status());
        Ok(jti(&answer.json().await?))
    };
    answered.insert(eventually("tokens are issued again", 60 * SECOND, again).await.unwrap());
    let mut look = database::look(&dev.database).await.unwrap();
    let all = records(&mut look, "acme", &dev.data.join("kek")).await.unwrap();
    let recorded: BTreeSet<String> =
        all.iter().filter_map(|(_, payload)| payload["jti"].as_str().map(str::to_owned)).collect();
    let lost: Vec<_> = answered.difference(&recorded).collect();
    assert!(lost.is_empty(), "{} answers have no record: {lost:?}", lost.len());
    let report = verify_json(&url_of(&dev, "jobs").unwrap()).unwrap();
    assert_eq!(report["whole"], true, "{report}");
    println!("{} answers, all recorded; {report}", answered.len());
}

fn jti(answer: &Value) -> String {
    let token = answer["access_token"].as_str().unwrap();
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    claims["jti"].as_str().unwrap().to_owned()
}
