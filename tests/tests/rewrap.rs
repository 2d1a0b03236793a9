//! The platform key changes under traffic (issue 4, section 2): `authly admin rewrap` is killed in the middle and run again, requests
//! notice nothing, and afterwards the old key is gone and everything still works.

use std::{path::PathBuf, time::Duration};

use anyhow::ensure;
use authly_tests::{
    api::http,
    process::{Process, eventually, free_port},
    rotating::{self, Place, Traffic},
    scratch::Scratch,
    slow::Slow,
    stack::{Listening, Stack},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

const SOON: Duration = Duration::from_secs(60);
/// Further tenants, so that a run takes a while.
const TENANTS: usize = 60;
/// What is issued before everything starts again with other keys is asked for afterwards, however busy the machine is.
const LIFETIME: Duration = Duration::from_secs(600);

struct World {
    stack: Stack,
    old: PathBuf,
    new: PathBuf,
    ports: [u16; 4],
    services: [String; 1],
}

/// Everything that runs; a restart replaces it.
struct Running {
    _operator: Process,
    _servers: [Listening; 2],
    _gateway: Listening,
}

impl World {
    /// Starts every process with these keys: the active one, and perhaps a further one.
    async fn run(&mut self, active: &PathBuf, further: Option<&PathBuf>) -> Running {
        self.stack.kek.clone_from(active);
        self.stack.environment.clear();
        if let Some(further) = further {
            let variable = ("AUTHLY_FURTHER_KEK_FILE".to_owned(), further.display().to_string());
            self.stack.environment.push(variable);
        }
        let (stack, ports) = (&self.stack, self.ports);
        let installation = format!("inst-{}", stack.id);
        let issuer_base = format!("http://localhost:{}", ports[0]);
        Running {
            _operator: stack.operator("operator", &installation, &issuer_base).await.unwrap(),
            _servers: [
                stack.server_with_jobs("server-1", ports[0]).await.unwrap(),
                stack.server("server-2", ports[1], None).await.unwrap(),
            ],
            _gateway: stack.gateway("gateway-1", ports[2], &self.services).await.unwrap(),
        }
    }

    fn rewrap(&self, port: Option<u16>) -> Process {
        let path = |path: &PathBuf| path.display().to_string();
        let args = [
            "admin".to_owned(),
            "rewrap".to_owned(),
            "--database-url".to_owned(),
            self.stack.login_url("operator", port).unwrap(),
            "--kek-file".to_owned(),
            path(&self.new),
            "--further-kek-file".to_owned(),
            path(&self.old),
        ];
        let password = [("AUTHLY_DATABASE_PASSWORD".to_owned(), self.stack.password().to_owned())];
        Process::authly("rewrap", self.stack.folder(), &args, &password).unwrap()
    }

    /// How many data keys there are of each wrapping key, those of most first.
    async fn wrapped(&self) -> anyhow::Result<Vec<i64>> {
        let mut connection = PgConnection::connect(&self.stack.database).await?;
        let count = "SELECT count(*) FROM authly.tenant_key WHERE purpose = 'data' \
            GROUP BY substring(wrapped FROM 3 FOR get_byte(wrapped, 1)) ORDER BY 1 DESC";
        Ok(sqlx::query_scalar(AssertSqlSafe(count)).fetch_all(&mut connection).await?)
    }
}

fn manifests(id: &str, gateway_port: u16) -> String {
    let tenants: String = (0..TENANTS)
        .map(|n| {
            format!(
                "---\napiVersion: authly.dev/v1alpha1\nkind: Tenant\nmetadata: {{name: t{n}-{id}}}\nspec: {{displayName: T, installation: inst-{id}}}\n"
            )
        })
        .collect();
    format!("{}{tenants}", rotating::manifests(id, gateway_port, LIFETIME))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platform_key_changes_and_nobody_notices() {
    let stack = Stack::new().await.unwrap();
    let files = Scratch::new("files").unwrap();
    std::fs::create_dir(files.path().join("reports")).unwrap();
    std::fs::write(files.path().join("reports/q3.pdf"), "%PDF-1.4 sample").unwrap();
    let (old, new) = (stack.kek.clone(), stack.folder().join("new-kek"));
    std::fs::write(&new, (0..32).map(|n: u8| n.wrapping_mul(11)).collect::<Vec<_>>()).unwrap();
    let id = stack.id.clone();
    let services = [format!("shop-{id}/files={}", files.path().display())];
    let ports = [(); 4].map(|()| free_port().unwrap());
    let mut world = World { stack, old: old.clone(), new: new.clone(), ports, services };
    let running = world.run(&old, Some(&new)).await;
    world.stack.apply(&manifests(&id, ports[2])).await.unwrap();
    let place = Place::of(&world.stack, &ports[..2], &ports[2..3], LIFETIME).await.unwrap();
    eventually("all tenants", SOON, || async {
        let wrapped = world.wrapped().await?;
        ensure!(wrapped == [i64::try_from(TENANTS + 1)?], "{wrapped:?}");
        Ok(())
    })
    .await
    .unwrap();
    let http = http();
    let token = place.token(&http, 0).await.unwrap();
    assert!(place.is_active(&http, 1, &token).await.unwrap());

    // The new key is the active one everywhere, and the tenants' keys are wrapped anew under traffic.
    drop(running);
    let running = world.run(&new, Some(&old)).await;
    let traffic = Traffic::start(&place);
    let url = url::Url::parse(&world.stack.database).unwrap();
    let proxy = Slow::before(url.port().unwrap()).await.unwrap();
    proxy.delay(Duration::from_millis(15));
    let mut killed = world.rewrap(Some(proxy.port));
    eventually("some keys, not all", SOON, || async {
        let wrapped = world.wrapped().await?;
        ensure!(wrapped.len() == 2, "{wrapped:?}");
        Ok(())
    })
    .await
    .unwrap();
    killed.signal("KILL").unwrap();
    killed.ended(SOON).await.unwrap();
    let halfway = world.wrapped().await.unwrap();
    assert_eq!(halfway.len(), 2, "it was killed too late to show anything");
    let mut whole = world.rewrap(None);
    let status = whole.ended(2 * SOON).await.unwrap();
    assert!(status.success(), "{}", whole.output());
    let output = whole.output();
    let counts: Vec<i64> = output.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert_eq!(counts[counts.len() - 2..].iter().sum::<i64>(), i64::try_from(TENANTS + 1).unwrap(), "{output}");
    assert!(counts[counts.len() - 1] > 0, "the second run went on where the first ended: {output}");
    assert!(output.contains("nothing needs another key"), "{output}");
    assert_eq!(world.wrapped().await.unwrap().len(), 1);
    let (done, _, failures) = traffic.end().await;
    println!("{done} requests and verifications, {} failures, {halfway:?} at the kill", failures.len());
    assert!(failures.is_empty(), "{} of {done}: {:#?}", failures.len(), &failures[..failures.len().min(10)]);
    assert!(done > 20, "{done}");
    let token = place.token(&http, 0).await.unwrap();
    let url = place.sign(&http, 0, &token).await.unwrap();

    // Without the old key: what was made before still works, and new things are made.
    drop(running);
    std::fs::remove_file(&old).unwrap();
    let _running = world.run(&new, None).await;
    assert_eq!(place.redeem(&http, 0, &url).await.unwrap(), 200);
    for server in 0..2 {
        assert!(place.is_active(&http, server, &token).await.unwrap());
        place.token(&http, server).await.unwrap();
    }
    let late = "apiVersion: authly.dev/v1alpha1\nkind: Tenant\nmetadata: {name: late-ID}\nspec: {displayName: Late, installation: inst-ID}\n";
    world.stack.apply(&late.replace("ID", &id)).await.unwrap();
    world.stack.condition(&format!("tenant late-{id}"), "Ready", "True", "", SOON).await.unwrap();

    // The old key opens nothing any more: a run towards it finds that it misses the new one.
    std::fs::write(&old, (100..132).map(|n: u8| n.wrapping_mul(7)).collect::<Vec<_>>()).unwrap();
    (world.old, world.new) = (old.clone(), old);
    let mut back = world.rewrap(None);
    assert!(!back.ended(SOON).await.unwrap().success(), "{}", back.output());
    assert!(back.output().contains("which is not loaded"), "it says what it misses: {}", back.output());
    assert_eq!(world.wrapped().await.unwrap().len(), 1);
}
