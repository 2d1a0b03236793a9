//! `authly audit verify`: what the store finds, as text or JSON, and the exit code (docs/guides/audit.md).

use std::process::ExitCode;

use anyhow::Context;
use authly_model::seal::{Anchor, Seal};
use authly_store::{
    Role, Store,
    verify::{self, AuditReport, Finding, Trusted},
};
use serde_json::{Value, json};

use crate::{
    args::{AuditVerify, Database},
    connect,
    terminal::say,
};

/// Something is wrong with the audit trail. Apart from 1 (it could not be verified) and 2 (wrong arguments), so that an
/// unreachable database never looks like tampering, or the other way round.
const NOT_WHOLE: u8 = 3;

/// Runs the command.
pub(crate) async fn verify(options: AuditVerify) -> anyhow::Result<ExitCode> {
    let trusted = Trusted { anchor: options.anchor, key: options.sealing_key };
    let database =
        Database { database_url: options.jobs_database_url, database_password: options.jobs_database_password };
    let store = Store::connect(connect::login(database, Role::Jobs)).await?;
    let report = verify::verify(&store, trusted).await.context("the audit trail could not be read")?;
    store.close().await;
    match options.output.as_deref() {
        Some("json") => say(serde_json::to_string_pretty(&as_json(&report, options.anchor))?),
        _ => say(text(&report, options.anchor)),
    }
    Ok(if report.is_whole() { ExitCode::SUCCESS } else { ExitCode::from(NOT_WHOLE) })
}

/// A public sealing key as this command prints it.
pub(crate) fn public_key(text: &str) -> Result<[u8; 32], &'static str> {
    let key = text.strip_prefix("ed25519:").and_then(unhex);
    key.ok_or("write it as `authly audit verify` prints it, ed25519: and 64 hexadecimal digits")
}

fn text(report: &AuditReport, anchor: Option<Anchor>) -> String {
    let AuditReport { tenants, chains, records, erased, unsealed, seals, .. } = report;
    let mut lines: Vec<String> = report.findings.iter().map(|finding| format!("FAULT {finding}")).collect();
    if report.more > 0 {
        lines.push(format!("FAULT and {} more", report.more));
    }
    lines.push(format!(
        "tenants: {tenants}, chains: {chains}, records: {records} (payload erased: {erased}), seals: {seals}"
    ));
    lines.extend(report.keys.iter().map(|key| format!("sealing key: {}", spelled(key))));
    if let Some(seal) = &report.last {
        lines.push(format!("last seal: {} of {}", seal.anchor(), seal.at));
    }
    match (anchor, &report.last) {
        (Some(anchor), _) => lines.push(format!("checked up to the anchor, seal {}", anchor.number)),
        (None, Some(_)) => lines.push(
            "no anchor: that records and seals after the last seal were cut off cannot be proven; keep the last seal outside of \
             the database and give it as --anchor next time"
                .to_owned(),
        ),
        (None, None) => lines.push("no seal yet: that records were cut off cannot be proven".to_owned()),
    }
    lines.push(format!("records after the last seal: {unsealed}"));
    let faults = report.findings.len() as u64 + report.more;
    lines.push(if report.is_whole() { "whole".to_owned() } else { format!("NOT WHOLE: {faults} faults") });
    lines.join("\n")
}

fn as_json(report: &AuditReport, anchor: Option<Anchor>) -> Value {
    let last = |seal: &Seal| json!({"seal": seal.anchor().to_string(), "at": seal.at.to_string()});
    json!({
        "whole": report.is_whole(),
        "faults": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "moreFaults": report.more,
        "tenants": report.tenants,
        "chains": report.chains,
        "records": report.records,
        "erased": report.erased,
        "unsealed": report.unsealed,
        "seals": report.seals,
        "sealingKeys": report.keys.iter().map(spelled).collect::<Vec<_>>(),
        "lastSeal": report.last.as_ref().map(last),
        "anchor": anchor.map(|anchor| anchor.to_string()),
    })
}

fn finding(finding: &Finding) -> Value {
    match finding {
        Finding::Chain { tenant, writer, fault } => {
            json!({"tenant": tenant.to_string(), "writer": writer.to_string(), "fault": fault.to_string()})
        }
        Finding::Seal { number, fault } => json!({"seal": number, "fault": fault.to_string()}),
    }
}

fn spelled(key: &[u8; 32]) -> String {
    key.iter().fold("ed25519:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{public_key, spelled};
    use crate::args::Arguments;
    use clap::Parser;

    #[test]
    fn wrong_arguments_are_told_from_a_trail_that_cannot_be_read() {
        let key = std::array::from_fn(|n| u8::try_from(n * 7).unwrap_or_default());
        assert_eq!(public_key(&spelled(&key)), Ok(key));
        let command = ["authly", "audit", "verify", "--jobs-database-url", "postgres://jobs@localhost/authly"];
        for (flag, value) in [("--sealing-key", "ed25519:00"), ("--anchor", "seal:1:00"), ("--output", "yaml")] {
            let error = Arguments::try_parse_from(command.into_iter().chain([flag, value])).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{flag}");
        }
        let good = spelled(&key);
        assert!(Arguments::try_parse_from(command.into_iter().chain(["--sealing-key", good.as_str()])).is_ok());
    }
}
