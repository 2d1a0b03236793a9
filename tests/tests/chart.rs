//! The chart against a real API server: what it refuses, what it installs, what it keeps, what its roles allow.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::{Command, Output};

use authly_tests::chart::{self, Release, Role};
use authly_tests::controlplane::{ControlPlane, stdout_of};
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec, Secret};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

async fn control_plane() -> &'static ControlPlane {
    ControlPlane::shared().await.expect("the control plane starts")
}

fn succeeded(output: anyhow::Result<Output>) -> String {
    output.and_then(stdout_of).expect("the command succeeds")
}

/// The least that an installation needs, and ports that fit on one machine.
fn values() -> Value {
    json!({
        "issuerBase": "https://auth.example.com",
        "listenAddress": "127.0.0.1",
        "database": { "host": "127.0.0.1", "port": 5433, "sslMode": "disable", "owner": { "password": "owner's \"word\"" } },
    })
}

const LEAST: &str = "issuerBase=https://auth.example.com,database.host=db,database.owner.existingSecret=pg";

async fn template(settings: &[&str]) -> Output {
    let chart = chart::chart();
    let mut args = vec!["template", "authly", chart.to_str().unwrap(), "--namespace", "default"];
    args.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    control_plane().await.helm(&args).await.unwrap()
}

#[test]
fn generated_files_are_what_their_scripts_write() {
    for script in ["sync-crds", "generate-readme"] {
        let output = Command::new(chart::chart().join(script)).arg("--check").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test]
async fn helm_finds_nothing_to_complain_of() {
    let lint =
        control_plane().await.helm(&["lint", "--strict", chart::chart().to_str().unwrap(), "--set", LEAST]).await;
    succeeded(lint);
}

#[tokio::test]
async fn what_is_missing_or_wrong_is_refused_with_a_reason() {
    for (settings, reason) in [
        (&[][..], "is required"),
        (&["database.host=db,database.owner.password=x"], "issuerBase is required"),
        (&["issuerBase=https://a.example,database.host=db"], "database.owner.existingSecret"),
        (&[LEAST, "issuerBase=https://a.example/"], "issuerBase"),
        (&[LEAST, "issuerBase=auth.example.com"], "issuerBase"),
        (&[LEAST, "sever.replicas=3"], "sever"),
        (&[LEAST, "server.replicas=many"], "replicas"),
        (&[LEAST, "server.port=0"], "port"),
        (&[LEAST, "jwksMaxAge=0s"], "jwksMaxAge"),
        (&[LEAST, "jwksMaxAge=25h"], "jwksMaxAge"),
        (&[LEAST, "gateway.trustedProxies={10.0.0.1}"], "trustedProxies"),
        (&[LEAST, "gateway.services.files=http://127.0.0.1"], "services"),
        (&[LEAST, "database.name=Authly"], "name"),
        (&[LEAST, "database.host=db:5432/x"], "host"),
        (&[LEAST, "database.caSecret.name=ca"], "verify-full"),
        (&[LEAST, "operator.secrets.clusterWide=true,operator.secrets.namespaces={shop}"], "not both"),
    ] {
        let output = template(settings).await;
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && message.contains(reason), "{settings:?}: {message}");
    }
}

#[tokio::test]
async fn the_api_server_takes_everything_that_it_renders() {
    let control_plane = control_plane().await;
    for settings in [
        &[LEAST][..],
        &[LEAST, "networkPolicy.enabled=true,networkPolicy.metricsFrom[0].podSelector.matchLabels.app=prometheus"],
        &[
            LEAST,
            "database.sslMode=verify-full,database.caSecret.name=ca,kek.existingSecret=k,database.logins.existingSecret=l",
        ],
        &[LEAST, "operator.secrets.clusterWide=true,listenAddress=::,runAsUser=null,priorityClassName=high"],
        &[
            LEAST,
            "operator.secrets.namespaces={default,kube-system},image.pullSecrets={pull},nodeSelector.disk=fast",
            "tolerations[0].key=a,tolerations[0].operator=Exists,server.service.type=LoadBalancer,server.service.annotations.a=b",
            "server.trustedProxies={10.0.0.0/8,fd00::/8},gateway.forwardAuthPeers={10.0.0.0/8}",
            "gateway.services.shop/files=http://files.example:8080",
        ],
    ] {
        let rendered = succeeded(Ok(template(settings).await));
        let apply = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename", "-"];
        let applied = succeeded(control_plane.kubectl(&apply, Some(&rendered)).await);
        assert!(applied.contains("deployment.apps/authly-operator serverside-applied"), "{applied}");
    }
}

#[tokio::test]
async fn a_release_lives_through_upgrades_and_leaves_objects_and_platform_key() {
    let control_plane = &ControlPlane::start().await.unwrap();
    let namespace = control_plane.namespace("chart").await.unwrap();
    let release = Release::install(control_plane, &namespace, "authly", &values()).await.unwrap();
    let (secrets, job) = (generated(control_plane, &release).await, release.migration_job().await.unwrap().name_any());

    release.upgrade(&values()).await.unwrap();
    assert_eq!(secrets, generated(control_plane, &release).await, "an upgrade keeps generated secrets");
    assert_eq!(job, release.migration_job().await.unwrap().name_any(), "nothing to migrate anew");

    let mut other = values();
    other["database"]["name"] = json!("other");
    release.upgrade(&other).await.unwrap();
    assert_eq!(secrets, generated(control_plane, &release).await);
    assert_ne!(job, release.migration_job().await.unwrap().name_any(), "another database is migrated by another Job");

    let login = ["delete", "secret", "--namespace", &namespace, "authly-database-logins"];
    succeeded(control_plane.kubectl(&login, None).await);
    let job = release.migration_job().await.unwrap().name_any();
    release.upgrade(&other).await.unwrap();
    let renewed = generated(control_plane, &release).await;
    assert_ne!(secrets[0], renewed[0]);
    assert_ne!(job, release.migration_job().await.unwrap().name_any(), "new passwords have to be set");

    let tenant =
        "apiVersion: authly.dev/v1alpha1\nkind: Tenant\nmetadata: {name: acme}\nspec: {urlHosts: [files.example]}\n";
    succeeded(control_plane.kubectl(&["apply", "--filename", "-"], Some(tenant)).await);
    release.uninstall().await.unwrap();
    succeeded(control_plane.kubectl(&["get", "tenant", "acme"], None).await);

    let release = Release::install(control_plane, &namespace, "authly", &values()).await.unwrap();
    let again = generated(control_plane, &release).await;
    assert_eq!(secrets[1], again[1], "the platform key stays");
    assert_ne!(secrets[0], again[0]);
}

/// The data of the generated Secrets: the passwords of the logins, and the platform key.
async fn generated(control_plane: &ControlPlane, release: &Release<'_>) -> [Value; 2] {
    let secrets = Api::<Secret>::namespaced(control_plane.client().await.unwrap(), release.namespace());
    let data = async |suffix: &str| {
        let secret = secrets.get(&release.object_name(suffix)).await.unwrap();
        serde_json::to_value(secret.data.unwrap()).unwrap()
    };
    [data("database-logins").await, data("kek").await]
}

/// A release on the shared control plane, in a namespace of its own.
async fn release(purpose: &str, values: Value) -> Release<'static> {
    let control_plane = control_plane().await;
    chart::apply_shared_parts(control_plane).await.unwrap();
    let namespace = control_plane.namespace(purpose).await.unwrap();
    Release::install(control_plane, &namespace, "platform", &chart::beside_another(values)).await.unwrap()
}

#[tokio::test]
async fn each_container_becomes_a_process_with_what_it_needs_and_no_more() {
    let release = release("processes", values()).await;
    let migration = release.migration().await.unwrap();
    let names: Vec<&str> = migration.environment.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "AUTHLY_DATABASE_PASSWORD",
            "AUTHLY_GATEWAY_PASSWORD",
            "AUTHLY_JOBS_PASSWORD",
            "AUTHLY_OPERATOR_PASSWORD",
            "AUTHLY_SERVER_PASSWORD"
        ]
    );
    assert_eq!(migration.environment["AUTHLY_DATABASE_PASSWORD"], "owner's \"word\"");
    assert_eq!(migration.args, ["migrate", "--database-url=postgres://postgres@127.0.0.1:5433/authly?sslmode=disable"]);

    for (role, listen, login) in [
        (Role::Server, Some("127.0.0.1:8080"), "AUTHLY_SERVER_PASSWORD"),
        (Role::Gateway, Some("127.0.0.1:8081"), "AUTHLY_GATEWAY_PASSWORD"),
        (Role::Operator, None, "AUTHLY_OPERATOR_PASSWORD"),
    ] {
        let process = release.process(role).await.unwrap();
        assert_eq!((process.args[0].as_str(), process.argument("--listen")), (role.as_str(), listen));
        assert_eq!(process.environment["AUTHLY_DATABASE_PASSWORD"], migration.environment[login]);
        assert_eq!(process.environment.contains_key("KUBECONFIG"), role == Role::Operator, "{process:?}");
        match process.argument("--kek-file") {
            Some(file) => assert_eq!(std::fs::read(file).unwrap().len(), 44, "32 bytes as base64"),
            None => assert_eq!(role, Role::Gateway, "the gateway holds no platform key"),
        }
    }
}

#[tokio::test]
async fn its_pods_satisfy_the_pod_security_standard_restricted() {
    let (control_plane, release) = (control_plane().await, release("restricted", values()).await);
    let label = "pod-security.kubernetes.io/enforce=restricted";
    succeeded(control_plane.kubectl(&["label", "namespace", release.namespace(), label], None).await);
    let pods = Api::<Pod>::namespaced(control_plane.client().await.unwrap(), release.namespace());
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };

    let mut templates: Vec<PodTemplateSpec> = vec![release.migration_job().await.unwrap().spec.unwrap().template];
    for role in [Role::Server, Role::Gateway, Role::Operator] {
        templates.push(release.deployment(role).await.unwrap().spec.unwrap().template);
    }
    for template in templates {
        let metadata = ObjectMeta { name: Some("pod".to_owned()), ..ObjectMeta::default() };
        let pod = Pod { metadata, spec: template.spec, status: None };
        let spec = pods.create(&dry_run, &pod).await.expect("admitted").spec.unwrap();
        assert_eq!(spec.enable_service_links, Some(false), "service links would set unknown AUTHLY_ variables");
    }
}

#[tokio::test]
async fn the_operators_account_may_do_its_work_and_nothing_else() {
    let control_plane = control_plane().await;
    let [shop, other] =
        [control_plane.namespace("shop").await.unwrap(), control_plane.namespace("other").await.unwrap()];
    let mut values = values();
    values["operator"] = json!({ "secrets": { "namespaces": [&shop] } });
    let release = release("operator", values).await;
    let own = release.namespace();

    let operator = format!("--as=system:serviceaccount:{own}:{}", release.object_name("operator"));
    let lease = format!("leases/{}", release.object_name("operator"));
    for (namespace, verbs, resource, allowed) in [
        (&*other, "get list watch", "oauthclients", true),
        (&*other, "create update patch delete", "oauthclients", false),
        (&*other, "patch", "oauthclients/status", true),
        (&*other, "patch", "tenants", true),
        (&*other, "create update delete", "tenants", false),
        (&*other, "patch", "retentionpolicies/status", true),
        (&*other, "get list watch", "namespaces", true),
        (&*other, "create", "events.events.k8s.io", true),
        (&*shop, "get list watch create patch delete", "secrets", true),
        (&*shop, "update deletecollection", "secrets", false),
        (&*other, "get list watch create patch delete", "secrets", false),
        (own, "get list create", "secrets", false),
        (own, "get update", &*lease, true),
        (own, "get update delete", "leases/another", false),
        (&*other, "create get", "leases", false),
        (&*shop, "create", "rolebindings", false),
        (own, "get list", "pods", false),
    ] {
        for verb in verbs.split(' ') {
            assert_eq!(may(&operator, namespace, verb, resource).await, allowed, "{verb} {resource} in {namespace}");
        }
    }
    let server = format!("--as=system:serviceaccount:{own}:{}", release.object_name("server"));
    assert!(!may(&server, own, "get", "secrets").await);
}

#[tokio::test]
async fn the_roles_for_people_extend_view_edit_and_admin() {
    let control_plane = control_plane().await;
    chart::apply_shared_parts(control_plane).await.unwrap();
    let namespace = control_plane.namespace("people").await.unwrap();
    for role in ["view", "edit", "admin"] {
        let (role, user) = (format!("--clusterrole={role}"), format!("--user={role}"));
        let bind = ["create", "rolebinding", &role[14..], &role, &user, "--namespace", &namespace];
        succeeded(control_plane.kubectl(&bind, None).await);
    }
    // The controller that aggregates roles follows within moments.
    for _ in 0..100 {
        if may("--as=admin", &namespace, "delete", "retentionpolicies").await {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    for (resource, [view, edit, admin]) in [
        ("oauthclients", ["get", "get delete", "get delete"]),
        ("signedurlroutes", ["get", "get delete", "get delete"]),
        ("accesspolicies", ["get", "get", "get delete"]),
        ("retentionpolicies", ["get", "get", "get delete"]),
    ] {
        for (user, verbs) in [("--as=view", view), ("--as=edit", edit), ("--as=admin", admin)] {
            for verb in ["get", "delete"] {
                let allowed = verbs.split(' ').any(|allowed| allowed == verb);
                assert_eq!(may(user, &namespace, verb, resource).await, allowed, "{user} {verb} {resource}");
            }
        }
    }
}

async fn may(user: &str, namespace: &str, verb: &str, resource: &str) -> bool {
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, "status")) => (resource, Some("--subresource=status")),
        _ => (resource, None),
    };
    let mut args = vec!["auth", "can-i", verb, resource, user, "--namespace", namespace];
    args.extend(subresource);
    let output = control_plane().await.kubectl(&args, None).await.unwrap();
    match String::from_utf8_lossy(&output.stdout).trim() {
        "yes" => true,
        "no" => false,
        _ => panic!("{verb} {resource}: {output:?}"),
    }
}
