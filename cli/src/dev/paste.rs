//! The text for people: what there is, and three lines to paste into a shell. They need curl and sed only.

use super::{
    folder::DataFolder,
    samples,
    summary::{Client, Sample, Summary},
};

/// The whole text.
pub(crate) fn text(summary: &Summary, sample: Option<&Sample>, data: &DataFolder, manifests: &str) -> String {
    let issuer = summary.issuer.as_deref().unwrap_or_default();
    let client = summary.clients.iter().find(|client| client.issuer == issuer && client.client_secret.is_some());
    let mut text = format!("\nAuthly is ready.\n\n  issuer         {issuer}\n");
    if let Some(client) = client {
        let secret = client.client_secret.as_ref().map(|secret| secret.as_str()).unwrap_or_default();
        text.push_str(&format!("  client_id      {}\n  client_secret  {secret}\n", client.client_id));
    }
    text.push_str(&format!("  gateway        {}\n", summary.gateway));
    text.push_str(&format!("  files          {}\n", data.join(samples::FOLDER).display()));
    if let Some(client) = client {
        text.push_str("\nPaste these lines to get a token, to sign a URL that works once, and to fetch it:\n\n");
        text.push_str(&lines(client, sample, &summary.gateway));
    }
    text.push_str(&format!("\nEdit the manifests in {manifests}: they take effect at once. `authly get` prints what `kubectl get` would.\nCtrl-C stops everything; the next start keeps data and secrets.\n"));
    text
}

fn lines(client: &Client, sample: Option<&Sample>, gateway: &str) -> String {
    let secret = client.client_secret.as_ref().map(|secret| secret.as_str()).unwrap_or_default();
    let token = format!(
        "TOKEN=$(curl -s -u {} -d grant_type=client_credentials {} | {})\n",
        quoted(&format!("{}:{secret}", client.client_id)),
        quoted(&client.token_endpoint),
        member("access_token"),
    );
    let Some(sample) = sample else { return token };
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let request = format!(
        r#"{{"route":{},"host":{},"path":{},"constraints":{{"uses":1}}}}"#,
        text(&sample.route),
        text(&sample.host),
        text(&sample.path)
    );
    let sign = format!(
        "URL=$(curl -s -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' -d {} {} | {})\n",
        quoted(&request),
        quoted(&format!("{}/v1/signed-urls", client.issuer)),
        member("url"),
    );
    format!("{token}{sign}{}\n", fetch(sample, gateway))
}

/// A host that is no localhost name leads elsewhere, by https: the request goes to the gateway with that host.
fn fetch(sample: &Sample, gateway: &str) -> String {
    let file = quoted(sample.path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("file"));
    let name = sample.host.split(':').next().unwrap_or_default();
    let is_local = name == "localhost" || name.ends_with(".localhost");
    if is_local {
        return format!("curl -s -o {file} -w '%{{http_code}}\\n' \"$URL\"");
    }
    let host = &sample.host;
    format!(
        "curl -s -o {file} -w '%{{http_code}}\\n' -H {} \"{gateway}${{URL#https://{host}}}\"",
        quoted(&format!("Host: {host}"))
    )
}

/// Takes a text member out of a JSON object on one line.
fn member(name: &str) -> String {
    format!(r#"sed 's/.*"{name}":"\([^"]*\)".*/\1/'"#)
}

/// A word for a shell.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/' | b':' | b'~'));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::{lines, quoted};
    use crate::dev::summary::{Client, Sample};

    #[test]
    fn the_lines_are_for_a_shell() {
        let client = Client {
            client_id: "shop.billing".to_owned(),
            client_secret: Some("authly_cs_x".to_owned().into()),
            client_type: "Service".to_owned(),
            redirect_uris: Vec::new(),
            tenant: "acme".to_owned(),
            issuer: "http://localhost:8080/t/acme".to_owned(),
            token_endpoint: "http://localhost:8080/t/acme/token".to_owned(),
        };
        let mut sample = Sample {
            route: "shop/reports".to_owned(),
            host: "localhost:8081".to_owned(),
            path: "/reports/q3.pdf".to_owned(),
        };
        assert_eq!(
            lines(&client, Some(&sample), "http://localhost:8081"),
            r#"TOKEN=$(curl -s -u shop.billing:authly_cs_x -d grant_type=client_credentials http://localhost:8080/t/acme/token | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
URL=$(curl -s -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{"route":"shop/reports","host":"localhost:8081","path":"/reports/q3.pdf","constraints":{"uses":1}}' http://localhost:8080/t/acme/v1/signed-urls | sed 's/.*"url":"\([^"]*\)".*/\1/')
curl -s -o q3.pdf -w '%{http_code}\n' "$URL"
"#
        );
        sample.host = "files.acme.example".to_owned();
        let lines = lines(&client, Some(&sample), "http://localhost:8081");
        assert!(
            lines.contains(r#"-H 'Host: files.acme.example' "http://localhost:8081${URL#https://files.acme.example}""#),
            "{lines}"
        );
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
