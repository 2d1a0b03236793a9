//! The library against the bare primitives over the same bytes, interleaved in one run.
//!
//! Owns the numbers behind two statements: verification costs hardly more than its signature check, and dalek is the
//! faster verifier here. Never gates on absolute times: only the ratio of the medians counts, over interleaved rounds.
//! The AVX2 code behind both is up to 20 % slower at some stack addresses, which differ from process to process, so
//! every round runs at another depth of the stack. Governed by "What to beat". Run: `cargo bench -p authly-signed-url`;
//! `-- --check` fails if an aim is missed.

#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use authly_signed_url::*;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, ParsedPublicKey};
use ed25519_dalek::{Signer as _, Verifier as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

const REPEAT: u32 = 20;
const ROUNDS: usize = 512;
const DEPTHS: usize = 128;

type Work<'a> = Box<dyn FnMut() + 'a>;

struct Row<'a> {
    path: &'static str,
    ours: Work<'a>,
    baseline: Work<'a>,
    /// The highest ratio that will do; `None` for what is only reported.
    aim: Option<f64>,
}

fn row<'a>(path: &'static str, aim: Option<f64>, ours: impl FnMut() + 'a, baseline: impl FnMut() + 'a) -> Row<'a> {
    Row { path, ours: Box::new(ours), baseline: Box::new(baseline), aim }
}

fn main() -> ExitCode {
    let seed = [7; 32];
    let (key, hmac_key) = (SigningKey::ed25519_seed(&seed), SigningKey::hmac(&seed));
    let (public, hmac_public) = (key.verifying_key(), hmac_key.verifying_key());
    let dalek = ed25519_dalek::SigningKey::from_bytes(&seed);
    let dalek_public = dalek.verifying_key();
    let aws = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let aws_public = ParsedPublicKey::new(&ED25519, dalek_public.as_bytes()).unwrap();
    let raw_mac = Hmac::<Sha256>::new_from_slice(&seed).unwrap();

    let host = Host::parse("cdn.example.com").unwrap();
    let (plain_claims, rich_claims) = (claims(), rich_claims());
    let (path, query) =
        ("/t/acme/reports/2026/q3%20final.pdf", "/t/acme/reports/q3.pdf?v=2&disposition=attachment%3Binline");
    let (plain_url, rich_url) =
        (sign(&host, path, &plain_claims, &key).unwrap(), sign(&host, query, &rich_claims, &key).unwrap());
    let hmac_url = sign(&host, path, &plain_claims, &hmac_key).unwrap();
    let token_url = sign_prefix(&host, "/videos/42/", &plain_claims, &key).unwrap().target() + "seg1.ts";
    let plain_input = prepare(&host, path, &plain_claims).unwrap().signing_input().to_vec();
    let rich_input = prepare(&host, query, &rich_claims).unwrap().signing_input().to_vec();
    let token_input = prepare_prefix(&host, "/videos/42/", &plain_claims).unwrap().signing_input().to_vec();
    let (plain_signature, rich_signature) = (dalek.sign(&plain_input), dalek.sign(&rich_input));
    let token_signature = dalek.sign(&token_input);

    let verify = |target: &str, key: &VerifyingKey| {
        black_box(parse_unverified(&host, black_box(target)).unwrap().verify(key).unwrap());
    };
    let raw = |input: &[u8], signature| dalek_public.verify(black_box(input), signature).unwrap();
    let raw_hmac = || {
        let mut mac = raw_mac.clone();
        mac.update(black_box(&plain_input));
        black_box(mac.finalize().into_bytes());
    };
    let parse = || {
        black_box(parse_unverified(&host, black_box(plain_url.target())).unwrap());
    };
    let sign_here = || {
        black_box(sign(&host, black_box(path), &plain_claims, &key).unwrap());
    };
    let sign_elsewhere = || {
        let unsigned = prepare(&host, black_box(path), &plain_claims).unwrap();
        let signature = aws.sign(unsigned.signing_input());
        black_box(unsigned.with_signature(signature.as_ref()).unwrap());
    };
    let plain = || verify(plain_url.target(), &public);
    let raw_plain = || raw(&plain_input, &plain_signature);
    let rows = [
        row("verify Ed25519, plain URL / dalek verify", Some(1.10), plain, raw_plain),
        row(
            "verify Ed25519, all parameters / dalek verify",
            Some(1.10),
            || verify(rich_url.target(), &public),
            || raw(&rich_input, &rich_signature),
        ),
        row(
            "verify Ed25519, prefix token / dalek verify",
            Some(1.10),
            || verify(&token_url, &public),
            || raw(&token_input, &token_signature),
        ),
        row("verify Ed25519, plain URL / aws-lc-rs verify, parsed key", None, plain, || {
            aws_public.verify_sig(black_box(&plain_input), &plain_signature.to_bytes()).unwrap();
        }),
        row("verify Ed25519, plain URL / dalek verify_strict", None, plain, || {
            dalek_public.verify_strict(black_box(&plain_input), &plain_signature).unwrap();
        }),
        row(
            "verify HMAC, plain URL / HMAC-SHA-256, kept key",
            None,
            || verify(hmac_url.target(), &hmac_public),
            raw_hmac,
        ),
        row("parse only, plain URL / HMAC-SHA-256, kept key", None, parse, raw_hmac),
        row("sign Ed25519, plain URL / dalek sign", Some(1.15), sign_here, || {
            black_box(dalek.sign(black_box(&plain_input)));
        }),
        row("sign elsewhere (prepare, aws-lc-rs) / aws-lc-rs sign", None, sign_elsewhere, || {
            black_box(aws.sign(black_box(&plain_input)));
        }),
    ];
    report(rows)
}

fn report<'a>(rows: impl IntoIterator<Item = Row<'a>>) -> ExitCode {
    println!("| path | ours µs | baseline µs | ratio | aim |\n|---|---|---|---|---|");
    let mut missed = false;
    for row in rows {
        missed |= run(row);
    }
    let check = std::env::args().any(|argument| argument == "--check");
    if check && missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Runs both in turn, prints one row, says whether the aim was missed.
fn run(mut row: Row<'_>) -> bool {
    let (mut ours, mut baseline) = (Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS));
    for round in 0..ROUNDS {
        // Factors prime to the number of depths: both sides see every depth equally often.
        ours.push(at_depth(round * 7 % DEPTHS, &mut row.ours));
        baseline.push(at_depth(round * 11 % DEPTHS, &mut row.baseline));
    }
    let (ours, baseline) = (median(ours), median(baseline));
    let ratio = ours / baseline;
    let aim = row.aim.map_or("–".to_owned(), |aim| format!("≤ {aim:.2}"));
    println!("| {} | {ours:.2} | {baseline:.2} | {ratio:.3} | {aim} |", row.path);
    row.aim.is_some_and(|aim| ratio > aim)
}

/// Runs below `depth` frames of some 112 bytes each, so that all stack addresses within a page occur.
#[inline(never)]
fn at_depth(depth: usize, work: &mut Work<'_>) -> f64 {
    let frame = black_box([depth; 7]);
    let time = if depth == 0 { time(work) } else { at_depth(depth - 1, work) };
    black_box(frame);
    time
}

/// Microseconds for one call, of a few.
fn time(work: &mut Work<'_>) -> f64 {
    let start = Instant::now();
    (0..REPEAT).for_each(|_| work());
    start.elapsed().as_secs_f64() * 1e6 / f64::from(REPEAT)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn claims() -> Claims<'static> {
    let id = UrlId::new(1_795_436_400, Some([1; 6]), Some([2; 6]), [3; 8]).unwrap();
    Claims::new(Kid([1; 9]), id, 1_795_440_000)
}

fn rich_claims() -> Claims<'static> {
    let mut claims = claims();
    claims.not_before = Some(1_795_436_500);
    claims.methods = Methods::new(["GET", "PUT"]).unwrap();
    claims.who = Some(Who::parse("c.shop.billing").unwrap());
    claims.constraints.uses = Some(3);
    claims.constraints.network = Some(Network::from_cidr("10.1.0.0/16").unwrap());
    claims.constraints.origin = Some(HeaderDigest::of(b"https://app.acme.example"));
    claims.constraints.policy = Some("night".into());
    claims
}
