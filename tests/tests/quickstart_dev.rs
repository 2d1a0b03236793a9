//! `authly dev` end to end on the quick start's manifests, with the binary that ships (issue 3, sections 1 and 3.1).

use std::{os::unix::fs::PermissionsExt, time::Duration};

use authly_tests::{
    api::{http, reason, sign_report, token},
    dev::{Dev, shows},
    process::{Process, eventually},
    scratch::Scratch,
};
use reqwest::StatusCode;
use serde_json::json;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn from_manifests_to_a_redeemed_url() {
    let mut dev = Dev::quickstart().await.unwrap();
    let http = http();
    let client = dev.client("shop.billing").unwrap().clone();
    assert_eq!(client.client_type, "Service");
    let access = token(&http, &dev.json.token_endpoint, &client, &[]).await.unwrap();

    // A URL limited to one use answers 200 and then 410.
    let url = sign_report(&http, &dev, &access, json!({"uses": 1})).await.unwrap();
    let answer = http.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["cache-control"], "private, no-store");
    assert!(answer.bytes().await.unwrap().starts_with(b"%PDF"));
    let again = http.get(&url).send().await.unwrap();
    assert_eq!(reason(&again), (410, "used_up".to_owned()));

    // The printed tables are those of kubectl.
    let table = dev.get(&[]).unwrap();
    let client_row =
        table.lines().find(|line| line.contains("oauthclient.authly.dev/billing")).expect("a row of the client");
    for word in ["True", "Programmed", "acme", "shop.billing", "Service", "billing-oauth"] {
        assert!(client_row.contains(word), "{client_row}");
    }

    // Restart: the data, the secret and the spent use are kept.
    let spent = url;
    dev.restart().await.unwrap();
    let same = dev.client("shop.billing").unwrap();
    assert_eq!(same.client_secret, client.client_secret, "a second start keeps secrets");
    let answer = http.get(&spent).send().await.unwrap();
    assert_eq!(reason(&answer), (410, "used_up".to_owned()));
    token(&http, &dev.json.token_endpoint, same, &[]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_takes_effect_within_a_second_and_a_wrong_one_changes_nothing() {
    let dev = Dev::quickstart().await.unwrap();
    let http = http();
    let client = dev.client("shop.billing").unwrap().clone();
    let access = token(&http, &dev.json.token_endpoint, &client, &[]).await.unwrap();
    let (name, manifest) = file(&dev, "\nkind: AccessPolicy\n");
    let url = sign_report(&http, &dev, &access, json!({})).await.unwrap();
    assert_eq!(http.get(&url).send().await.unwrap().status(), StatusCode::OK);

    // A good edit: redemption is not permitted any more.
    let without_redeem: String =
        manifest.lines().filter(|line| !line.contains("Action::\"redeem\"")).map(|line| format!("{line}\n")).collect();
    dev.write(&name, &without_redeem).unwrap();
    eventually("the edit takes effect", SECOND, || async {
        let answer = http.get(&url).send().await?;
        anyhow::ensure!(reason(&answer) == (403, "policy_denied".to_owned()), "{answer:?}");
        Ok(())
    })
    .await
    .unwrap();

    // A wrong edit: a Cedar error with its place; the last good one keeps serving.
    dev.write(&name, &without_redeem.replace("Action::\"sign\"", "Action::\"sing\"")).unwrap();
    shows(&dev, &["accesspolicy.authly.dev/reports", "False"], 5 * SECOND).await.unwrap();
    sign_report(&http, &dev, &access, json!({})).await.expect("the last good policy still permits signing");

    // A file that is no YAML: file, line and column are printed and nothing is deleted.
    dev.write(&name, "apiVersion: authly.dev/v1alpha1\nkind: AccessPolicy\n  metadata: {name: reports\n").unwrap();
    eventually("the place is printed", 5 * SECOND, || async {
        let output = dev.process.output();
        let told = output.lines().any(|line| line.contains(&name) && line.contains(":3:"));
        anyhow::ensure!(told, "no line with {name}:3:COLUMN in\n{output}");
        Ok(())
    })
    .await
    .unwrap();
    sign_report(&http, &dev, &access, json!({})).await.expect("nothing is deleted while a file does not parse");

    // Mended: the first state again.
    dev.write(&name, &manifest).unwrap();
    eventually("the mended policy serves", 2 * SECOND, || async {
        anyhow::ensure!(http.get(&url).send().await?.status() == StatusCode::OK);
        Ok(())
    })
    .await
    .unwrap();

    // A suspended tenant gives no token, in the words of OAuth (RFC 6749 section 5.2), and redeems nothing.
    let (name, manifest) = file(&dev, "\nkind: Tenant\n");
    dev.write(&name, &manifest.replace("\nspec:\n", "\nspec:\n  suspend: true\n")).unwrap();
    eventually("the tenant is suspended", 2 * SECOND, || async {
        let refused = token(&http, &dev.json.token_endpoint, &client, &[]).await.err().map(|error| error.to_string());
        let refused = refused.unwrap_or_default();
        anyhow::ensure!(refused.contains("400") && refused.contains("unauthorized_client"), "{refused}");
        anyhow::ensure!(reason(&http.get(&url).send().await?).1 == "tenant_suspended");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_private_and_a_second_dev_is_refused() {
    let dev = Dev::quickstart().await.unwrap();
    let mut checked = 0;
    let mut folders = vec![dev.data.clone()];
    let secret = dev.client("shop.billing").unwrap().client_secret.clone().unwrap();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if entry.file_type().unwrap().is_file()
                && std::fs::read(entry.path()).is_ok_and(|bytes| holds(&bytes, secret.as_bytes()))
            {
                assert_eq!(
                    entry.metadata().unwrap().permissions().mode() & 0o077,
                    0,
                    "{:?} is readable by others",
                    entry.path()
                );
                checked += 1;
            }
        }
    }
    assert!(checked >= 2, "dev.json and the Secret hold the client secret");
    assert!(!dev.process.output().contains("postgres://postgres:"), "the superuser's URL is not printed");

    let scratch = Scratch::new("second").unwrap();
    let args = [
        "dev",
        &dev.manifests.to_string_lossy(),
        "--data-dir",
        &dev.data.to_string_lossy(),
        "--database-url",
        &dev.database,
    ];
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let mut second = Process::authly("second", scratch.path(), &args, &[]).unwrap();
    let status = second.ended(10 * SECOND).await.unwrap();
    assert!(!status.success());
    assert!(second.output().contains("--data-dir"), "it says what to do: {}", second.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_binary_refuses_test_hooks_and_typing_errors() {
    let scratch = Scratch::new("flags").unwrap();
    for (variable, value) in
        [("AUTHLY_TEST_CLOCK", "2030-01-01T00:00:00Z"), ("AUTHLY_FAULT_POINT", "apply"), ("AUTHLY_DATABSE_URL", "x")]
    {
        let environment = [(variable.to_owned(), value.to_owned())];
        let mut process = Process::authly(variable, scratch.path(), &["crds".to_owned()], &environment).unwrap();
        let status = process.ended(10 * SECOND).await.unwrap();
        assert_eq!(status.code(), Some(2), "{variable}: {}", process.output());
        assert!(process.output().contains(variable), "{}", process.output());
    }
}

/// Name and text of the manifest that has this part.
fn file(dev: &Dev, part: &str) -> (String, String) {
    for entry in std::fs::read_dir(&dev.manifests).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        let text = dev.read(&name).unwrap();
        if text.contains(part) {
            return (name, text);
        }
    }
    panic!("the quick start has a manifest with {part:?}");
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
