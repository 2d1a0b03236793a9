//! Seals and their verification: every way of changing the audit trail behind its back is found and named.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

#[path = "support/support.rs"]
mod support;

use std::sync::Arc;

use authly_model::{
    audit::EventKind,
    chain::Fault,
    clock::{FixedClock, SystemClock},
    ids::TenantId,
    seal::{Anchor, RootBuilder, Seal, SealedHead},
};
use authly_secrets::{Kek, KekRing, KekSource, SealingKey, generate_kek, generate_sealing_key};
use authly_store::{
    ReplicaRole, Role, Store,
    jobs::Jobs,
    verify::{AuditReport, Finding, SealFault, Trusted, verify},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use support::{Database, Replica, jobs_of, kek, new_tenant};
use uuid::Uuid;

struct Lab {
    db: Database,
    jobs: Store,
    server: Replica,
    tenants: Vec<TenantId>,
}

impl Lab {
    /// Two tenants, each with a chain of `records` and sealed.
    async fn sealed(records: usize) -> Self {
        let db = Database::new().await;
        let leader = db.leader("default").await;
        let tenants = vec![new_tenant(&leader, "one").await.0, new_tenant(&leader, "two").await.0];
        let (jobs, server) = (db.store(Role::Jobs).await, db.live(ReplicaRole::Server).await);
        let lab = Self { db, jobs, server, tenants };
        lab.write(records).await;
        lab.seal("seal").await;
        lab
    }

    /// A new writer boot adds records to a chain of each tenant.
    async fn write(&self, records: usize) {
        let (committer, _stop) = self.server.committer();
        for tenant in &self.tenants {
            for n in 0..records {
                let scope = self.server.scope(*tenant);
                committer.record(&scope, EventKind::TokenIssued, json!({"n": n})).await.unwrap();
            }
        }
    }

    async fn seal(&self, job: &str) {
        self.db.execute("update job set next_run = 'infinity', lease_until = null, holder = null").await;
        self.db.execute(&format!("update job set next_run = now() where name = '{job}'")).await;
        assert_eq!(jobs_of(&self.jobs, SystemClock).run_due().await.unwrap(), 1);
        assert_eq!(self.db.count("select count(*) from job where last_error is not null").await, 0);
    }

    async fn verify(&self) -> AuditReport {
        verify(&self.jobs, Trusted::default()).await.unwrap()
    }

    async fn anchored(&self, anchor: Anchor) -> AuditReport {
        verify(&self.jobs, Trusted { anchor: Some(anchor), key: None }).await.unwrap()
    }

    /// The chain of a tenant.
    async fn writer(&self, tenant: TenantId) -> Uuid {
        let mut connection = self.db.look().await;
        let sql = "select writer from audit_event where tenant_id = $1 order by at limit 1";
        sqlx::query_scalar(sql).bind(tenant.0).fetch_one(&mut connection).await.unwrap()
    }

    /// Keeps everything as it is, for [`Self::restore`].
    async fn keep(&self) {
        for table in ["audit_event", "seal", "seal_head"] {
            self.db.execute(&format!("create table public.{table} as select * from authly.{table}")).await;
        }
    }

    async fn restore(&self) {
        for table in ["audit_event", "seal", "seal_head"] {
            self.db.execute(&format!("delete from authly.{table}")).await;
            self.db.execute(&format!("insert into authly.{table} select * from public.{table}")).await;
        }
        assert!(self.verify().await.is_whole());
    }

    /// Runs `sql` with `CHAIN` replaced by a condition for the first tenant's chain, verifies, and undoes nothing.
    async fn tampered(&self, sql: &str) -> (TenantId, Uuid, AuditReport) {
        let tenant = self.tenants[0];
        let writer = self.writer(tenant).await;
        let chain = format!("tenant_id = '{}' and writer = '{writer}'", tenant.0);
        self.db.execute(&sql.replace("CHAIN", &chain)).await;
        (tenant, writer, self.verify().await)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_moved_are_sealed_and_an_idle_system_does_not_grow() {
    let lab = Lab::sealed(7).await;
    let report = lab.verify().await;
    assert!(report.is_whole(), "{report:?}");
    assert_eq!((report.tenants, report.chains, report.records, report.seals, report.unsealed), (2, 2, 14, 1, 0));
    let first = report.last.unwrap();
    assert_eq!((first.number, first.heads), (1, 2));
    for job in ["seal", "seal_late", "seal"] {
        lab.seal(job).await;
    }
    assert_eq!(lab.verify().await.seals, 1, "nothing moved");
    lab.write(3).await;
    assert_eq!(lab.verify().await.unsealed, 6);
    lab.seal("seal").await;
    let report = lab.anchored(first.anchor()).await;
    assert!(report.is_whole(), "{report:?}");
    assert_eq!((report.chains, report.seals, report.unsealed), (4, 2, 0));
    assert_eq!(report.last.unwrap().heads, 2, "only what moved");
    let foreign = verify(&lab.jobs, Trusted { anchor: None, key: Some([7; 32]) }).await.unwrap();
    let fault = SealFault::ForeignKey;
    assert_eq!(foreign.findings, [1, 2].map(|number| Finding::Seal { number, fault }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_with_times_long_past_is_sealed_by_the_late_job() {
    let lab = Lab::sealed(2).await;
    lab.write(2).await;
    lab.db
        .execute(
            "update audit_event set at = at - interval '1 hour' where writer not in (select writer from seal_head)",
        )
        .await;
    lab.seal("seal").await;
    assert_eq!(lab.db.count("select count(*) from seal_head").await, 2, "its time hides it");
    lab.seal("seal_late").await;
    assert_eq!(lab.db.count("select count(*) from seal_head").await, 4);
    assert_eq!(lab.db.count("select count(distinct seal) from seal_head").await, 3, "a seal for each tenant's chains");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seals_never_go_back_in_time() {
    let lab = Lab::sealed(1).await;
    lab.write(1).await;
    lab.db.execute("update job set next_run = now() where name = 'seal'").await;
    #[allow(clippy::disallowed_methods)]
    let earlier = FixedClock(Timestamp::now() - SignedDuration::from_hours(5));
    jobs_of(&lab.jobs, earlier).run_due().await.unwrap();
    assert_eq!(lab.db.count("select count(*) from seal").await, 2);
    assert_eq!(lab.db.count("select count(distinct at) from seal").await, 1);
    assert!(lab.verify().await.is_whole());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_records_are_named() {
    let cases: [(&str, Vec<Fault>); 5] = [
        ("update audit_event set kind = 'token_denied' where CHAIN and seq = 4", vec![Fault::Edited { seq: 4 }]),
        ("update audit_event set payload = '\\x00' where CHAIN and seq = 9", vec![Fault::Edited { seq: 9 }]),
        ("delete from audit_event where CHAIN and seq in (2, 3)", vec![Fault::Removed { first: 2, last: 3 }]),
        ("delete from audit_event where CHAIN and seq > 6", vec![Fault::Cut { first: 7, last: 9, seal: 1 }]),
        ("delete from audit_event where CHAIN", vec![Fault::Cut { first: 1, last: 9, seal: 1 }]),
    ];
    let lab = Lab::sealed(9).await;
    lab.keep().await;
    for (sql, faults) in cases {
        let (tenant, writer, report) = lab.tampered(sql).await;
        let expected: Vec<_> = faults.into_iter().map(|fault| Finding::Chain { tenant, writer, fault }).collect();
        assert_eq!(report.findings, expected, "{sql}");
        lab.restore().await;
    }
    // Everything but the number changes places.
    let swap = "update audit_event a set at = b.at, kind = b.kind, payload = b.payload, payload_hash = b.payload_hash, link = b.link
        from (select * from audit_event where CHAIN) b
        where a.tenant_id = b.tenant_id and a.writer = b.writer and (a.seq, b.seq) in ((3, 5), (5, 3))";
    let (tenant, writer, report) = lab.tampered(swap).await;
    let moved = |seq, was| Finding::Chain { tenant, writer, fault: Fault::Reordered { seq, was } };
    assert_eq!(report.findings, [moved(5, 3), moved(3, 5)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_seals_are_named() {
    let seal = |number, fault| Finding::Seal { number, fault };
    let cases: [(&str, Vec<Finding>); 7] = [
        (
            "update seal set at = at + interval '1 hour' where number = 2",
            vec![seal(2, SealFault::Signature), seal(3, SealFault::Unlinked)],
        ),
        ("update seal set signature = sha512('x') where number = 3", vec![seal(3, SealFault::Signature)]),
        (
            "update seal set root = sha256('x') where number = 3",
            vec![seal(3, SealFault::Signature), seal(3, SealFault::Heads)],
        ),
        ("delete from seal where number = 2", vec![seal(2, SealFault::Removed { last: 2 })]),
        ("delete from seal where number < 3", vec![seal(1, SealFault::Removed { last: 2 })]),
        (
            "delete from seal_head where seal = 2 and tenant_id = (select min(tenant_id::text)::uuid from seal_head)",
            vec![seal(2, SealFault::Heads)],
        ),
        ("insert into seal_head select tenant_id, gen_random_uuid(), 1, link, 2 from seal_head limit 1", vec![]),
    ];
    let lab = Lab::sealed(2).await;
    for _ in 0..2 {
        lab.write(2).await;
        lab.seal("seal").await;
    }
    lab.keep().await;
    let last = lab.verify().await.last.unwrap().anchor();
    for (sql, expected) in cases {
        let (_, _, report) = lab.tampered(sql).await;
        if expected.is_empty() {
            assert_eq!(report.findings[0], seal(2, SealFault::Heads), "{sql}");
            assert!(matches!(
                report.findings[1],
                Finding::Chain { fault: Fault::Cut { first: 1, last: 1, seal: 2 }, .. }
            ));
        } else {
            assert_eq!(report.findings, expected, "{sql}");
        }
        assert!(!lab.anchored(last).await.is_whole(), "{sql}");
        lab.restore().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_that_is_cut_with_its_seals_shows_by_the_anchor() {
    let lab = Lab::sealed(4).await;
    let early = lab.verify().await.last.unwrap().anchor();
    lab.write(4).await;
    lab.seal("seal").await;
    let late = lab.verify().await.last.unwrap().anchor();
    for sql in [
        "delete from audit_event where writer in (select writer from seal_head where seal = 2)",
        "delete from seal_head where seal = 2",
        "delete from seal where number = 2",
    ] {
        lab.db.execute(sql).await;
    }
    assert!(lab.verify().await.is_whole(), "without an anchor it cannot be seen");
    assert!(lab.anchored(early).await.is_whole());
    let report = lab.anchored(late).await;
    assert_eq!(report.findings, [Finding::Seal { number: 2, fault: SealFault::Removed { last: 2 } }]);
}

/// Whoever holds the database, and even a sealing key of their own, cannot make what an anchor or the key shows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trail_that_is_made_anew_shows_by_the_anchor_and_by_the_key() {
    let lab = Lab::sealed(4).await;
    let honest = lab.verify().await.last.unwrap();
    let forged = generate_sealing_key(&kek()).unwrap();
    let key = SealingKey::open(&kek(), &forged).unwrap();
    let mut connection = lab.db.look().await;
    let heads: Vec<(Uuid, Uuid, i64, Vec<u8>)> =
        sqlx::query_as("select tenant_id, writer, seq, link from seal_head order by 1, 2")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let mut root = RootBuilder::default();
    for (tenant, writer, seq, link) in heads {
        root.push(&SealedHead { tenant: TenantId(tenant), writer, seq, link: link.try_into().unwrap() });
    }
    let seal = Seal { public_key: forged.public_key, root: root.root(), ..honest };
    sqlx::query("insert into seal_key (key_id, public_key, wrapped_private) values ($1, $2, $3)")
        .bind(&forged.key_id)
        .bind(forged.public_key.as_slice())
        .bind(&forged.wrapped)
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::query("update seal set key_id = $1, root = $2, signature = $3")
        .bind(&forged.key_id)
        .bind(seal.root.as_slice())
        .bind(key.sign(&seal.message()).unwrap().as_slice())
        .execute(&mut connection)
        .await
        .unwrap();
    assert!(lab.verify().await.is_whole(), "by itself it looks whole");
    let fault = |fault| vec![Finding::Seal { number: 1, fault }];
    assert_eq!(lab.anchored(honest.anchor()).await.findings, fault(SealFault::NotTheAnchor));
    let pinned = verify(&lab.jobs, Trusted { anchor: None, key: Some(honest.public_key) }).await.unwrap();
    assert_eq!(pinned.findings, fault(SealFault::ForeignKey));
}

/// The job wraps its key anew while the older platform key is at hand; then the older one may go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_the_platform_key_takes_the_sealing_key_along() {
    let lab = Lab::sealed(1).await;
    let text = generate_kek().unwrap();
    let load = || Kek::load(&KekSource::Environment(text.clone())).unwrap();
    let old = Kek::load(&KekSource::Environment(support::KEK.to_owned().into())).unwrap();
    let with = |kek| Jobs { kek: Arc::new(kek), ..jobs_of(&lab.jobs, SystemClock) };
    for (ring, seals, failed) in
        [(KekRing::new(load(), []), 1, 1), (KekRing::new(load(), [old]), 2, 0), (KekRing::new(load(), []), 3, 0)]
    {
        lab.write(1).await;
        lab.db.execute("update job set next_run = 'infinity'").await;
        lab.db.execute("update job set next_run = now(), last_error = null where name = 'seal'").await;
        with(ring).run_due().await.unwrap();
        assert_eq!(lab.db.count("select count(*) from seal").await, seals);
        assert_eq!(lab.db.count("select count(*) from job where last_error like '%older platform key%'").await, failed);
    }
    let report = lab.verify().await;
    assert!(report.is_whole() && report.keys.len() == 1, "{report:?}");
}
