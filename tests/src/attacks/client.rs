//! Links that are bound to an origin or a user agent.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::Attack;
use crate::forge::Forge;

const ORIGIN: &str = "https://app.example";
const AGENT: &str = "player/1.0 (x; y)";
const PREFIX: &str = "/reports/42/";

fn digest(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text))[..16].to_owned()
}

/// Headers beside a link or token that is bound to both.
const REFUSED: &[(&str, &[&str], &str)] = &[
    ("no origin", &["User-Agent: player/1.0 (x; y)"], "origin_mismatch"),
    ("another origin", &["Origin: https://evil.example", "User-Agent: player/1.0 (x; y)"], "origin_mismatch"),
    (
        "another case of the origin",
        &["Origin: https://APP.example", "User-Agent: player/1.0 (x; y)"],
        "origin_mismatch",
    ),
    (
        "the origin with its port",
        &["Origin: https://app.example:443", "User-Agent: player/1.0 (x; y)"],
        "origin_mismatch",
    ),
    (
        "an origin that only begins so",
        &["Origin: https://app.example.evil", "User-Agent: player/1.0 (x; y)"],
        "origin_mismatch",
    ),
    ("the null origin", &["Origin: null", "User-Agent: player/1.0 (x; y)"], "origin_mismatch"),
    (
        "two origins",
        &["Origin: https://app.example", "Origin: https://evil.example", "User-Agent: player/1.0 (x; y)"],
        "not_canonical",
    ),
    ("the origin as a referer", &["Referer: https://app.example", "User-Agent: player/1.0 (x; y)"], "origin_mismatch"),
    ("no user agent", &["Origin: https://app.example"], "user_agent_mismatch"),
    ("another user agent", &["Origin: https://app.example", "User-Agent: player/1.1"], "user_agent_mismatch"),
    ("a user agent that is no UTF-8", &["Origin: https://app.example", "User-Agent: \u{fc}"], "user_agent_mismatch"),
    (
        "two user agents",
        &["Origin: https://app.example", "User-Agent: player/1.0 (x; y)", "User-Agent: evil"],
        "not_canonical",
    ),
    (
        "an alias of the user agent",
        &["Origin: https://app.example", "User-Agent: player/1.0 (x; y)", "User_Agent: evil"],
        "not_canonical",
    ),
];

pub(super) fn attacks(forge: &Forge) -> Vec<Attack> {
    let constraint = format!("&sx-c=o{}.a{}", digest(ORIGIN), digest(AGENT));
    let token = forge.token_with(PREFIX, &format!("{}{constraint}&sx-p={}", forge.params(), PREFIX.len()));
    let link = forge.link_with("/reports/42/a", &constraint);
    let cookie = format!("Cookie: __Host-sx={token}");
    let ways = [
        ("link", link.as_str(), None),
        ("token", &*format!("/~sx/{token}/reports/42/a"), None),
        ("cookie", "/reports/42/a", Some(cookie.as_str())),
    ]
    .map(|(way, target, cookie)| (way, target.to_owned(), cookie));
    let mut list = Vec::new();
    for (way, target, cookie) in ways {
        let new = |name: &str, headers: &[&str]| {
            let attack = Attack::new("client", format!("{name}, {way}"), forge, &target);
            headers.iter().copied().chain(cookie).fold(attack, Attack::header)
        };
        list.extend(REFUSED.iter().map(|(name, headers, reason)| new(name, headers).refused(reason)));
        let both = [format!("Origin: {ORIGIN}"), format!("User-Agent: {AGENT}")];
        list.push(new("both right", &[&both[0], &both[1]]).without(&[]));
    }
    list
}
