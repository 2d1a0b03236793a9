//! No loss: tokens and signed URLs issued under load while servers are killed with -9 and PostgreSQL is restarted with
//! `-m immediate`. Each answer that a client received has its audit record; chains and seals verify with the real command; then
//! an edited, a removed and a reordered record and a cut tail are each found and named.
//!
//! 3 rounds, or 20 with `AUTHLY_LONG=1`.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use authly_tests::{
    api::http,
    audit::{Verified, records, verify, verify_json},
    database,
    dev::{Dev, DevClient},
    is_long,
    postgres::OwnPostgres,
    process::eventually,
    replicas::{Replica, url_of},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Client;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};

const CLIENTS: usize = 4;

/// What the clients share, and what they received.
struct Load {
    ports: [AtomicU16; 2],
    host: String,
    client: DevClient,
    stop: AtomicBool,
    /// While a new server starts, which a busy machine must have the time for.
    pause: AtomicBool,
    /// `jti`s and URL ids that were answered.
    answered: Mutex<BTreeSet<String>>,
    failed: AtomicU64,
}

impl Load {
    /// Asks for tokens and signs URLs until told to stop.
    async fn run(self: Arc<Self>, n: usize) {
        let http = http();
        for turn in n.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let failed = self.turn(&http, turn).await.is_err();
            self.failed.fetch_add(u64::from(failed), Ordering::Relaxed);
            while failed && self.pause.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn turn(&self, http: &Client, turn: usize) -> anyhow::Result<()> {
        let base = format!("http://127.0.0.1:{}/t/acme", self.ports[turn % 2].load(Ordering::Relaxed));
        let secret = self.client.client_secret.as_deref();
        let request = http.post(format!("{base}/token")).form(&[("grant_type", "client_credentials")]);
        let answer = self.answer(request.basic_auth(&self.client.client_id, secret), 200).await?;
        let token = answer["access_token"].as_str().context("access_token")?;
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).context("a JWT")?)?;
        let claims: Value = serde_json::from_slice(&claims)?;
        self.received(claims["jti"].as_str().context("jti")?);
        for n in 0..4 {
            let body = json!({"route": "shop/reports", "path": format!("/reports/{turn}-{n}.pdf")});
            let request = http.post(format!("{base}/v1/signed-urls")).bearer_auth(token).json(&body);
            let answer = self.answer(request, 201).await?;
            self.received(answer["id"].as_str().context("id")?);
        }
        Ok(())
    }

    async fn answer(&self, request: reqwest::RequestBuilder, status: u16) -> anyhow::Result<Value> {
        let answer = request.header("host", &self.host).send().await?;
        let got = answer.status().as_u16();
        // Out of reach is said at once; anything else would be an answer that nobody promised.
        assert!(got == status || got == 503, "{got}: {:?}", answer.text().await);
        ensure!(got == status, "{got}");
        Ok(answer.json().await?)
    }

    fn received(&self, id: &str) {
        assert!(self.answered.lock().unwrap().insert(id.to_owned()), "{id} was given twice");
    }

    fn count(&self) -> usize {
        self.answered.lock().unwrap().len()
    }
}

async fn server(dev: &Dev, name: &str, jobs_url: &str) -> Replica {
    let kek = dev.data.join("kek").to_string_lossy().into_owned();
    let extra = ["--kek-file".to_owned(), kek, "--jobs-database-url".to_owned(), jobs_url.to_owned()];
    Replica::start(dev, name, "server", &extra).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_its_record_and_every_change_is_named() {
    let rounds = if is_long() { 20 } else { 3 };
    let mut postgres = OwnPostgres::start(&[]).await.unwrap();
    let dev = Dev::quickstart_on(postgres.create("no_loss").await.unwrap()).await.unwrap();
    let jobs_url = url_of(&dev, "jobs").unwrap();
    let mut servers = [server(&dev, "server-0", &jobs_url).await, server(&dev, "server-1", &jobs_url).await];
    let load = Arc::new(Load {
        ports: servers.each_ref().map(|server| server.port.into()),
        host: format!("localhost:{}", dev.server_port),
        client: dev.client("shop.billing").unwrap().clone(),
        stop: AtomicBool::new(false),
        pause: AtomicBool::new(false),
        answered: Mutex::default(),
        failed: AtomicU64::new(0),
    });
    let clients: Vec<_> = (0..CLIENTS).map(|n| tokio::spawn(Arc::clone(&load).run(n))).collect();
    for round in 0..rounds {
        let (before, start) = (load.count(), Instant::now());
        let progress = || async {
            ensure!(load.count() >= before + 50, "{} answers since", load.count() - before);
            Ok(())
        };
        eventually("answers before the fault", Duration::from_secs(120), progress).await.unwrap();
        let victim = round % 2;
        servers[victim].process.signal("KILL").unwrap();
        load.pause.store(true, Ordering::Relaxed);
        postgres.crash_and_recover().await.unwrap();
        servers[victim] = server(&dev, &format!("server-{victim}-{round}"), &jobs_url).await;
        load.ports[victim].store(servers[victim].port, Ordering::Relaxed);
        load.pause.store(false, Ordering::Relaxed);
        println!("round {round}: {} answers, {:?}", load.count(), start.elapsed());
    }
    let before = load.count();
    let again = || async {
        ensure!(load.count() >= before + 50, "{} answers since", load.count() - before);
        Ok(())
    };
    eventually("answers after the last fault", Duration::from_secs(120), again).await.unwrap();
    load.stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let mut look = database::look(&dev.database).await.unwrap();
    every_answer_is_recorded(&mut look, &dev, &load).await;
    // A server that is killed while it seals holds the lease of the job for a minute.
    let sealed = || async {
        let report = verify_json(&jobs_url)?;
        ensure!(report["whole"] == true && report["unsealed"] == 0 && report["records"] != 0, "{report}");
        Ok(report)
    };
    let report = eventually("everything is sealed", Duration::from_secs(120), sealed).await.unwrap();
    println!("{rounds} rounds: {report}");
    drop(servers);
    every_change_is_named(&mut look, &jobs_url, report["lastSeal"]["seal"].as_str().unwrap()).await;
}

async fn every_answer_is_recorded(look: &mut PgConnection, dev: &Dev, load: &Load) {
    let mut recorded = BTreeSet::new();
    for (kind, payload) in records(look, "acme", &dev.data.join("kek")).await.unwrap() {
        let id = match kind.as_str() {
            "token_issued" => &payload["jti"],
            "url_signed" => &payload["id"],
            _ => continue,
        };
        assert!(recorded.insert(id.as_str().unwrap().to_owned()), "{id} is recorded twice");
    }
    let answered = load.answered.lock().unwrap();
    let lost: Vec<_> = answered.difference(&recorded).collect();
    assert!(lost.is_empty(), "{} of {} answers have no record: {lost:?}", lost.len(), answered.len());
    let (answered, failed) = (answered.len(), load.failed.load(Ordering::Relaxed));
    println!("{answered} answers, all of {} records; {failed} turns failed", recorded.len());
    assert!(failed > 0, "no client noticed a fault: there was no load");
}

/// The chain with the most records, and a number in its middle.
async fn longest(look: &mut PgConnection) -> (String, String, i64) {
    let row = sqlx::query(
        "select tenant_id::text, writer::text, max(seq) from authly.audit_event group by 1, 2 order by 3 desc limit 1",
    );
    let row = row.fetch_one(look).await.unwrap();
    (row.get(0), row.get(1), row.get(2))
}

async fn every_change_is_named(look: &mut PgConnection, jobs_url: &str, anchor: &str) {
    let (tenant, writer, last) = longest(look).await;
    let chain = format!("tenant_id = '{tenant}' and writer = '{writer}'");
    let events = "authly.audit_event";
    let middle = last / 2;
    let swap = format!(
        "update {events} a set at = b.at, kind = b.kind, payload = b.payload, payload_hash = b.payload_hash, link = b.link
         from (select * from {events} where {chain}) b where a.tenant_id = b.tenant_id and a.writer = b.writer
            and (a.seq, b.seq) in ((2, {middle}), ({middle}, 2))"
    );
    let cases = [
        (
            format!("update {events} set kind = 'token_denied' where {chain} and seq = {middle}"),
            format!("record {middle} was edited"),
        ),
        (
            format!("update {events} set payload = '\\x01' where {chain} and seq = {middle}"),
            format!("record {middle} was edited"),
        ),
        (format!("delete from {events} where {chain} and seq = {middle}"), format!("record {middle} was removed")),
        (swap, format!("record 2 was reordered: it was written as {middle}")),
        (
            format!("delete from {events} where {chain} and seq > {middle}"),
            format!("records {} to {last} were cut off", middle + 1),
        ),
    ];
    execute(look, &format!("create table public.kept as select * from {events}")).await;
    for (change, named) in cases {
        execute(look, &change).await;
        let found = verify(jobs_url, &["--anchor", anchor]).unwrap();
        let line = format!("FAULT tenant {tenant} writer {writer}: {named}");
        assert!(found.text.contains(&line), "{change}\n{}\nis not in\n{}", line, found.text);
        assert_eq!(found.status.code(), Some(3), "{found:?}");
        println!("{line}");
        execute(look, &format!("delete from {events}")).await;
        execute(look, &format!("insert into {events} select * from public.kept")).await;
        whole(&verify(jobs_url, &["--anchor", anchor]).unwrap());
    }
    // Cut with the seal that tells of it: only the anchor shows that.
    for sql in [
        "delete from authly.audit_event e where seq > coalesce((select max(h.seq) from authly.seal_head h
            where h.tenant_id = e.tenant_id and h.writer = e.writer and h.seal < (select max(number) from authly.seal)), 0)",
        "delete from authly.seal_head where seal = (select max(number) from authly.seal)",
        "delete from authly.seal where number = (select max(number) from authly.seal)",
    ] {
        execute(look, sql).await;
    }
    let found = verify(jobs_url, &[]).unwrap();
    whole(&found);
    assert!(found.text.contains("cannot be proven"), "{}", found.text);
    let number = anchor.split(':').nth(1).unwrap();
    let found = verify(jobs_url, &["--anchor", anchor]).unwrap();
    let line = format!("FAULT seal {number}: removed, up to seal {number}");
    assert!(found.text.contains(&line), "{}", found.text);
    assert_eq!(found.status.code(), Some(3));
    println!("{line}");
}

fn whole(verified: &Verified) {
    assert!(verified.status.success() && verified.text.ends_with("whole\n"), "{}", verified.text);
}

async fn execute(look: &mut PgConnection, sql: &str) {
    look.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
}
