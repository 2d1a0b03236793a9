//! `authly operator`: reconciles custom resources into the store.

use std::sync::Arc;

use authly_model::clock::SystemClock;
use authly_operator::{Config, LeaseTimes};
use authly_runtime::shutdown;
use authly_store::Role;

use crate::{
    args::Operator,
    connect::{self, Management},
};

/// Runs the command.
pub(crate) async fn run(options: Operator) -> anyhow::Result<()> {
    connect::telemetry(&options.telemetry)?;
    let kek = connect::kek(options.keks)?;
    let issuer_base = issuer_base(&options.issuer_base)?;
    let stop = shutdown::on_signal()?;
    let management = Management::start(options.management_listen, &stop).await?;
    let connected = management.health.condition("database");

    let login = connect::login(options.database, Role::Operator);
    let Some(store) = connect::store(login, &stop).await? else { return Ok(()) };
    connected.set(true);
    let config = Config {
        installation: options.installation,
        issuer_base,
        lease_namespace: Some(options.lease_namespace),
        lease_name: options.lease_name,
        lease_times: LeaseTimes::default(),
        jwks_max_age: options.jwks.jwks_max_age,
        health: management.health.clone(),
        metrics: management.metrics.clone(),
    };
    authly_operator::run(config, store.clone(), kek, Arc::new(SystemClock), stop).await?;
    store.close().await;
    management.end().await;
    Ok(())
}

/// An issuer is an https URL without query and fragment (RFC 8414 section 2); http is for localhost.
fn issuer_base(text: &str) -> anyhow::Result<String> {
    let advice = "write --issuer-base https://HOST, with a path if need be, without query, fragment and trailing slash";
    let url = url::Url::parse(text).map_err(|error| anyhow::anyhow!("`{text}` is no URL ({error}): {advice}"))?;
    let local = url.host_str().is_some_and(|host| {
        host == "localhost" || host.ends_with(".localhost") || host == "127.0.0.1" || host == "[::1]"
    });
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && local);
    let plain =
        url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    anyhow::ensure!(scheme && plain && !text.ends_with('/'), "`{text}` is no issuer base: {advice}");
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::issuer_base;

    #[test]
    fn issuers_are_https_urls_without_trailing_slash() {
        for good in ["https://id.example.com", "https://id.example.com/auth", "http://localhost:8080"] {
            assert!(issuer_base(good).is_ok(), "{good}");
        }
        for bad in [
            "id.example.com",
            "http://id.example.com",
            "https://id.example.com/",
            "https://h/?q",
            "https://u@h",
            "ftp://h",
        ] {
            assert!(issuer_base(bad).is_err(), "{bad}");
        }
    }
}
