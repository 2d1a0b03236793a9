//! Clients that others wrote (issue 3, section 3.3): PyPI `authlib` and PyJWT, npm `oauth4webapi` and `jose`, and a short Python
//! script that verifies signed URLs from the published keys alone.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use authly_tests::{
    api::{http, sign, sign_report, token},
    dev::{Dev, repository, shows},
    scratch::Scratch,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// The Ed25519 key of RFC 8037 appendix A.1, as a client's key.
const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const D: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";

fn key_client(algorithm_tenant: &str) -> String {
    format!(
        "apiVersion: authly.dev/v1alpha1\nkind: OAuthClient\nmetadata: {{name: reporter, namespace: shop}}\nspec:\n  \
         tenantRef: {{name: {algorithm_tenant}}}\n  type: Service\n  authMethod: PrivateKeyJwt\n  jwks:\n    keys:\n    \
         - {{kty: OKP, crv: Ed25519, x: {X}, kid: reporter-1, alg: EdDSA, use: sig}}\n"
    )
}

async fn dev_with_key_client() -> (Dev, Value) {
    let dev =
        Dev::start(&repository().join("examples/quickstart"), &[("reporter.yaml", &key_client("acme"))]).await.unwrap();
    let given = given(&dev);
    (dev, given)
}

fn given(dev: &Dev) -> Value {
    let secret = &dev.client("shop.billing").unwrap().client_secret;
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": X, "d": D, "kid": "reporter-1", "alg": "EdDSA"});
    json!({
        "issuer": dev.json.issuer, "client_id": "shop.billing", "client_secret": secret,
        "key_client_id": "shop.reporter", "private_jwk": jwk,
    })
}

fn run(program: &str, args: &[&str], input: &Value) -> Output {
    let mut command = Command::new(program);
    command.args(args).current_dir(clients()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("run tests/install first");
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn clients() -> PathBuf {
    repository().join("tests/clients")
}

fn python() -> String {
    let python = repository().join("tests/.venv/bin/python");
    assert!(python.exists(), "tests/.venv is missing: run tests/install");
    python.to_string_lossy().into_owned()
}

fn succeeds_three_times(output: &Output) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{out}");
    assert!(output.status.success(), "{out}\n{err}");
    for method in ["client_secret_basic", "client_secret_post", "private_key_jwt"] {
        assert!(out.contains(&format!("{method} token, verification, introspection, revocation: ok")), "{out}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn authlib_and_pyjwt() {
    let (_dev, given) = dev_with_key_client().await;
    succeeds_three_times(&run(&python(), &["authlib_client.py"], &given));
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth4webapi_and_jose() {
    let (_dev, given) = dev_with_key_client().await;
    succeeds_three_times(&run("node", &["oauth4webapi_client.mjs"], &given));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_algorithm_verifies_from_the_jwks() {
    for algorithm in ["ES256", "RS256", "PS256"] {
        let manifests = Scratch::new("algorithm").unwrap();
        for entry in std::fs::read_dir(repository().join("examples/quickstart")).unwrap() {
            let entry = entry.unwrap();
            let mut text = std::fs::read_to_string(entry.path()).unwrap();
            if text.contains("kind: Tenant\n") {
                text = text.replace("spec:\n", &format!("spec:\n  signingKeys: {{algorithm: {algorithm}}}\n"));
            }
            std::fs::write(manifests.path().join(entry.file_name()), text).unwrap();
        }
        let dev = Dev::start(manifests.path(), &[("reporter.yaml", &key_client("acme"))]).await.unwrap();
        let client = dev.client("shop.billing").unwrap();
        let access = token(&http(), &dev.json.token_endpoint, client, &[]).await.unwrap();
        let header = URL_SAFE_NO_PAD.decode(access.split('.').next().unwrap()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&header).unwrap()["alg"], algorithm);
        succeeds_three_times(&run(&python(), &["authlib_client.py"], &given(&dev)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_script_verifies_urls_from_the_published_keys() {
    let dev = Dev::quickstart().await.unwrap();
    shows(&dev, &["signedurlroute.authly.dev/reports", "True"], std::time::Duration::from_secs(10)).await.unwrap();
    let http = http();
    let client = dev.client("shop.billing").unwrap();
    let access = token(&http, &dev.json.token_endpoint, client, &[]).await.unwrap();
    let request = json!({"route": "shop/reports", "path": "/reports/q3.pdf", "query": "v=2", "expires_in": 60});
    let signed = sign(&http, &dev, &access, &request).await.unwrap();
    let (url, id) = (signed["url"].as_str().unwrap(), signed["id"].as_str().unwrap());
    let verify = |url: &str| {
        let output = Command::new(python())
            .args(["verify_sx1.py", &dev.json.issuer, url])
            .current_dir(clients())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(verify(url), format!("ok {id}"));
    assert_eq!(verify(&url.replace("q3.pdf", "q4.pdf")), "refused signature_invalid");
    assert_eq!(verify(&url.replace("v=2", "v=3")), "refused signature_invalid");
    let counted = sign_report(&http, &dev, &access, json!({"uses": 3})).await.unwrap();
    assert_eq!(verify(&counted), "refused needs_online");
}
