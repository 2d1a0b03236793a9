//! The attack list of signed-url.md, one value a case, so that the same list runs against the gateway as a proxy, as forward-auth, and
//! behind nginx, Caddy and HAProxy.

mod client;
mod crypto;
mod forwarded;
mod host;
mod parameters;
mod path;
mod query;
mod request;
mod token;
pub mod world;

use std::net::{IpAddr, Ipv4Addr};

use crate::{
    forge::Forge,
    raw::{self, Answer},
};

/// The only address that may ask.
const ASKING: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What must come of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Refused with this reason.
    Refused(&'static str),
    /// Refused with 400 or 405 as no request that is served, before anything judges it.
    Malformed,
    /// Goes on, and what the backend gets holds none of these words, whatever their case.
    Passes(Vec<String>),
    /// It cannot be put this way.
    Unasked,
}

/// One case.
#[derive(Debug, Clone)]
pub struct Attack {
    /// Group and name.
    pub name: String,
    method: String,
    target: Vec<u8>,
    /// The values of `Host`; the signed host unless the case is about it.
    hosts: Vec<Vec<u8>>,
    /// Header lines that follow, as they are.
    headers: Vec<Vec<u8>>,
    source: IpAddr,
    /// With the gateway as a proxy.
    pub proxied: Verdict,
    /// With the gateway as forward-auth.
    pub asked: Verdict,
}

impl Attack {
    fn new(group: &str, name: impl AsRef<str>, forge: &Forge, target: impl AsRef<[u8]>) -> Self {
        Self {
            name: format!("{group}: {}", name.as_ref()),
            method: "GET".to_owned(),
            target: target.as_ref().to_vec(),
            hosts: vec![forge.host.as_bytes().to_vec()],
            headers: Vec::new(),
            source: ASKING,
            proxied: Verdict::Unasked,
            asked: Verdict::Unasked,
        }
    }

    /// A good link to this path.
    pub fn good(forge: &Forge, target: &str) -> Self {
        Self::new("good", target, forge, forge.link(target)).without(&[])
    }

    fn refused(self, reason: &'static str) -> Self {
        Self { proxied: Verdict::Refused(reason), asked: Verdict::Refused(reason), ..self }
    }

    fn malformed(self) -> Self {
        Self { proxied: Verdict::Malformed, asked: Verdict::Malformed, ..self }
    }

    /// It goes on, but the backend sees none of these words.
    fn without(self, words: &[&str]) -> Self {
        let verdict = Verdict::Passes(words.iter().map(|word| (*word).to_owned()).collect());
        Self { proxied: verdict.clone(), asked: verdict, ..self }
    }

    fn asked(self, asked: Verdict) -> Self {
        Self { asked, ..self }
    }

    fn proxied(self, proxied: Verdict) -> Self {
        Self { proxied, ..self }
    }

    fn method(self, method: &str) -> Self {
        Self { method: method.to_owned(), ..self }
    }

    fn hosts(self, hosts: &[&str]) -> Self {
        Self { hosts: hosts.iter().map(|host| host.as_bytes().to_vec()).collect(), ..self }
    }

    fn header(mut self, line: impl AsRef<[u8]>) -> Self {
        self.headers.push(line.as_ref().to_vec());
        self
    }

    fn from(self, source: [u8; 4]) -> Self {
        Self { source: IpAddr::from(source), ..self }
    }

    /// Whether the case is a request that means no harm, or one whose harm lies only in what is taken off.
    pub fn passes(&self) -> bool {
        matches!(self.proxied, Verdict::Passes(_)) && matches!(self.asked, Verdict::Passes(_) | Verdict::Unasked)
    }

    /// The target that the backend may see: of a link or token whose form is right, what was asked for without it.
    fn target(&self) -> Option<String> {
        let text = String::from_utf8(self.target.clone()).ok()?;
        let text = match text.strip_prefix("/~sx/") {
            Some(rest) => rest[rest.find('/')?..].to_owned(),
            None => text,
        };
        // The block begins at the later of the two: what stands before it may hold either.
        let end = text.rfind("?sx-k=").max(text.rfind("&sx-k=")).unwrap_or(text.len());
        Some(text[..end].to_owned())
    }

    /// Sends it as a client sends it.
    pub async fn send(&self, port: u16) -> anyhow::Result<Answer> {
        raw::exchange_from(self.source, port, &self.bytes()).await
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = [self.method.as_bytes(), b" ", &self.target, b" HTTP/1.1\r\n"].concat();
        for host in &self.hosts {
            bytes.extend([b"Host: ", host.as_slice(), b"\r\n"].concat());
        }
        self.end(bytes)
    }

    fn end(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        for line in &self.headers {
            bytes.extend([line.as_slice(), b"\r\n"].concat());
        }
        bytes.extend(b"Connection: close\r\n\r\n");
        bytes
    }

    /// Asks about it, as a proxy does that tells the client's request faithfully.
    pub async fn ask(&self, port: u16) -> anyhow::Result<Answer> {
        let mut bytes = format!("GET /forward-auth HTTP/1.1\r\nHost: localhost:{port}\r\n").into_bytes();
        bytes.extend(b"X-Forwarded-Proto: https\r\n");
        for (name, value) in [("Method", self.method.as_bytes()), ("Uri", &self.target)] {
            bytes.extend([b"X-Forwarded-", name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        for host in &self.hosts {
            bytes.extend([b"X-Forwarded-Host: ", host.as_slice(), b"\r\n"].concat());
        }
        raw::exchange_from(self.source, port, &self.end(bytes)).await
    }

    /// What is wrong with the proxy's answer, if anything.
    pub fn judge_proxied(&self, answer: &Answer) -> Result<(), String> {
        match &self.proxied {
            Verdict::Refused(reason) => self.refusal(answer, status(reason), reason),
            // A page behind the link must not leak it.
            Verdict::Passes(_) if answer.header("referrer-policy") != Some("no-referrer") => {
                Err(format!("{} without Referrer-Policy: no-referrer", answer.status))
            }
            Verdict::Passes(without) => passed(answer, without),
            Verdict::Malformed => malformed(answer),
            Verdict::Unasked => Ok(()),
        }
    }

    /// What is wrong with the answer of another proxy, which asked forward-auth and has a backend of its own. What would be refused
    /// may be harmless there, where the proxy takes it off; then the backend sees only what was signed.
    pub fn judge_behind(&self, answer: &Answer) -> Result<(), String> {
        let mild = Vec::new();
        let without = match &self.proxied {
            Verdict::Passes(words) => words,
            _ if self.source != ASKING => &mild,
            _ if (400..500).contains(&answer.status) || answer.status == 0 => return Ok(()),
            _ => return Err(format!("{}, which is no refusal\n{}", answer.status, answer.body)),
        };
        if !matches!(self.asked, Verdict::Passes(_)) && self.source == ASKING && (400..500).contains(&answer.status) {
            return Ok(());
        }
        passed(answer, without)?;
        self.is_what_was_signed(answer)
    }

    /// Whether the backend saw the method, target and host that were signed, and no second value of a header.
    pub fn is_what_was_signed(&self, answer: &Answer) -> Result<(), String> {
        let target = self.target().unwrap_or_default();
        let target =
            target.split_once("://").map_or(target.as_str(), |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
        let line = format!("{} {target} HTTP/1.", self.method);
        let seen = answer.body.to_ascii_lowercase();
        // The default port says nothing else.
        let host = ["", ":80"].iter().any(|port| seen.contains(&format!("\r\nhost: {}{port}\r\n", world::HOST)));
        if host && answer.body.starts_with(&line) && !seen.contains("evil") {
            return Ok(());
        }
        Err(format!("the backend sees another request than {line}{}", answer.body))
    }

    /// What is wrong with the answer of forward-auth, if anything.
    pub fn judge_asked(&self, answer: &Answer) -> Result<(), String> {
        match &self.asked {
            // Whoever may not ask is a client like any other.
            Verdict::Refused(reason) if self.source != ASKING => self.refusal(answer, status(reason), reason),
            Verdict::Refused(reason) => self.refusal(answer, 403, reason),
            Verdict::Passes(_) if answer.status != 204 => Err("it is not permitted".to_owned()),
            Verdict::Passes(_) => match answer.header("authly-target") {
                Some(target) if !target.to_ascii_lowercase().contains("sx-") && !target.contains("~sx") => Ok(()),
                other => Err(format!("Authly-Target is {other:?}")),
            },
            Verdict::Malformed => malformed(answer),
            Verdict::Unasked => Ok(()),
        }
    }

    fn refusal(&self, answer: &Answer, status: u16, reason: &str) -> Result<(), String> {
        if answer.status != status || answer.reason() != reason {
            return Err(format!("{} `{}`, not {status} `{reason}`", answer.status, answer.reason()));
        }
        let headers = (answer.header("cache-control"), answer.header("referrer-policy"));
        if headers != (Some("no-store"), Some("no-referrer")) {
            return Err(format!("its headers are {headers:?}"));
        }
        if self.method == "HEAD" && answer.body.is_empty() {
            return Ok(());
        }
        let problem: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let code = problem["type"].as_str().and_then(|kind| kind.rsplit('/').next());
        let told = problem["detail"].as_str().is_some_and(|detail| detail.len() > 10);
        if code != Some(reason) || !told || answer.body.contains("sx-s=") || answer.body.contains("~sx/") {
            return Err(format!("the problem is not right, or holds the link: {problem}"));
        }
        Ok(())
    }
}

/// The proxy's status for a reason.
fn status(reason: &str) -> u16 {
    match reason {
        "not_canonical" => 400,
        "no_route" => 404,
        "revoked" | "used_up" => 410,
        _ => 403,
    }
}

fn malformed(answer: &Answer) -> Result<(), String> {
    match (answer.status, answer.reason()) {
        (400 | 405, "") => Ok(()),
        other => Err(format!("{other:?}, not 400 or 405")),
    }
}

/// Whether it reached the backend, which answered with what it saw.
pub fn passed(answer: &Answer, without: &[String]) -> Result<(), String> {
    if answer.status != 200 {
        return Err(format!("{} `{}`, not 200", answer.status, answer.reason()));
    }
    let seen = answer.body.to_ascii_lowercase();
    if let Some(word) = without.iter().find(|word| seen.contains(&word.to_ascii_lowercase())) {
        return Err(format!("the backend sees {word}:\n{}", answer.body));
    }
    if ["sx-s=", "~sx", "__host-sx"].iter().any(|secret| seen.contains(secret)) {
        return Err(format!("the backend sees the link:\n{}", answer.body));
    }
    Ok(())
}

/// Every case, and the good requests beside them.
pub fn all(world: &world::World) -> Vec<Attack> {
    let (forge, other) = (&world.forge, &world.other);
    let lists = [
        path::attacks(forge),
        query::attacks(forge),
        parameters::attacks(forge),
        host::attacks(forge, other),
        request::attacks(forge),
        forwarded::attacks(forge),
        token::attacks(forge),
        crypto::attacks(forge, other),
        client::attacks(forge),
        world.spent_attacks(),
    ];
    lists.into_iter().flatten().collect()
}
