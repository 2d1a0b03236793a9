//! The quick start on Kubernetes, end to end (issue 3, sections 1 and 3.1): the real chart installed with the real helm, every
//! rendered container run on this machine exactly as rendered, the manifests of `examples/quickstart` applied with the real kubectl.

use std::time::Duration;

use authly_tests::{
    api::{http, reason, token},
    chart::{Release, Role, chart},
    controlplane::{ControlPlane, stdout_of},
    database,
    dev::repository,
    process::{self, Process, eventually, free_port},
    scratch::Scratch,
    stack::{client_in, object_in},
};
use reqwest::StatusCode;
use serde_json::{Value, json};

fn values(database: &str, server_port: u16, gateway_port: u16, backend_port: u16) -> Value {
    let url = url::Url::parse(database).unwrap();
    json!({
        "issuerBase": format!("http://localhost:{server_port}"),
        "listenAddress": "127.0.0.1",
        "database": {
            "host": "127.0.0.1", "port": url.port().unwrap(), "name": url.path().trim_start_matches('/'), "sslMode": "disable",
            "owner": {"username": url.username(), "password": url.password().unwrap()},
        },
        "server": {"port": server_port, "managementPort": free_port().unwrap()},
        "gateway": {
            "port": gateway_port, "managementPort": free_port().unwrap(),
            "services": {"shop/files": format!("http://127.0.0.1:{backend_port}")},
        },
        "operator": {"managementPort": free_port().unwrap(), "secrets": {"namespaces": ["shop"]}},
    })
}

fn run(name: &str, folder: &Scratch, container: &authly_tests::chart::Process) -> Process {
    let command = container.command(&process::binary().unwrap()).into_std();
    Process::spawn(name, folder.path(), command).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_install_kubectl_apply_token_url() {
    // A cluster of its own: the quick start's names are fixed.
    let cluster = ControlPlane::start().await.unwrap();
    let scratch = Scratch::new("cluster").unwrap();
    let (server_port, gateway_port) = (free_port().unwrap(), free_port().unwrap());
    std::fs::create_dir(scratch.path().join("reports")).unwrap();
    std::fs::write(scratch.path().join("reports/q3.pdf"), "%PDF-1.4").unwrap();
    stdout_of(cluster.kubectl(&["create", "namespace", "shop"], None).await.unwrap()).unwrap();

    let database = database::create("cluster").await.unwrap();
    let backend_port = free_port().unwrap();
    let mut backend = std::process::Command::new("python3");
    backend
        .args(["-m", "http.server", "--bind", "127.0.0.1", "--directory"])
        .arg(scratch.path())
        .arg(backend_port.to_string());
    let _backend = Process::spawn("backend", scratch.path(), backend).unwrap();
    let values = values(&database, server_port, gateway_port, backend_port);
    let namespace = cluster.namespace("authly").await.unwrap();
    let release = Release::install(&cluster, &namespace, "authly", &values).await.unwrap();
    let mut migrate = run("migrate", &scratch, &release.migration().await.unwrap());
    let status = migrate.ended(Duration::from_secs(60)).await.unwrap();
    assert!(status.success(), "{}", migrate.output());
    // A container's mounted files live as long as its description.
    let mut containers = Vec::new();
    for role in [Role::Server, Role::Gateway, Role::Operator] {
        containers.push(release.process(role).await.unwrap());
    }
    let processes = ["server", "gateway", "operator"]
        .iter()
        .zip(&containers)
        .map(|(name, container)| run(name, &scratch, container));
    let processes: Vec<Process> = processes.collect();
    let logs = || processes.iter().map(Process::output).collect::<Vec<_>>().join("\n---\n");

    // kubectl apply -f examples/quickstart, with this run's ports.
    let folder = Scratch::new("manifests").unwrap();
    for entry in std::fs::read_dir(repository().join("examples/quickstart")).unwrap() {
        let entry = entry.unwrap();
        let text = std::fs::read_to_string(entry.path())
            .unwrap()
            .replace("localhost:8081", &format!("localhost:{gateway_port}"));
        std::fs::write(folder.path().join(entry.file_name()), text).unwrap();
    }
    let path = folder.path().to_string_lossy().into_owned();
    stdout_of(cluster.kubectl(&["apply", "-f", &path], None).await.unwrap()).unwrap();

    // kubectl get authly -A shows Ready=True.
    let ready = eventually("every object is Ready", Duration::from_secs(30), || async {
        let table = stdout_of(cluster.kubectl(&["get", "authly", "-A"], None).await?)?;
        let rows: Vec<&str> = table.lines().filter(|line| line.contains(".authly.dev/")).collect();
        anyhow::ensure!(rows.len() == 4 && rows.iter().all(|row| row.contains(" True ")), "{table}");
        let tenant = object_in(&cluster, "tenant acme").await?;
        let conditions = tenant["status"]["conditions"].as_array().cloned().unwrap_or_default();
        anyhow::ensure!(conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"), "{tenant}");
        Ok(table)
    })
    .await;
    let table = ready.unwrap_or_else(|error| panic!("{error:#}\n{}", logs()));
    println!("{table}");

    // The Secret's credentials get a token, the token a URL, the URL the file, once.
    let (client, endpoint) = client_in(&cluster, "shop", "billing-oauth").await.unwrap();
    assert_eq!(client.client_id, "shop.billing");
    let http = http();
    let access = token(&http, &endpoint, &client, &[]).await.unwrap();
    let request = json!({"route": "shop/reports", "path": "/reports/q3.pdf", "constraints": {"uses": 1}});
    let api = endpoint.replace("/token", "/v1/signed-urls");
    let answer = http.post(api).bearer_auth(&access).json(&request).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let signed: Value = answer.json().await.unwrap();
    let url = signed["url"].as_str().unwrap();
    assert_eq!(http.get(url).send().await.unwrap().status(), 200, "{}", logs());
    assert_eq!(reason(&http.get(url).send().await.unwrap()), (410, "used_up".to_owned()));

    // Deleting the release leaves the CRs and the data.
    drop(processes);
    release.uninstall().await.unwrap();
    assert_eq!(object_in(&cluster, "tenant acme").await.unwrap()["spec"]["displayName"], "Acme");
    let mut look = database::look(&database).await.unwrap();
    let clients: i64 = sqlx::query_scalar("select count(*) from authly.client").fetch_one(&mut look).await.unwrap();
    assert_eq!(clients, 1);
    assert!(chart().join("Chart.yaml").exists());
}
