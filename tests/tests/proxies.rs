//! The attack list of signed-url.md through nginx, Caddy and HAProxy, which ask forward-auth. Their configurations are the fenced blocks of
//! docs/guides/forward-auth.md with nothing but names and ports replaced.

use std::{path::Path, process::Command, time::Duration};

use anyhow::ensure;
use authly_tests::{
    attacks::{self, Attack, world::World},
    dev::repository,
    process::{Process, eventually, free_port},
    raw::{self, Answer},
    scratch::Scratch,
};
use futures::{StreamExt, stream};

/// What a proxy makes harmless although Authly would refuse it: proxy, how the cases begin, and why the backend sees nothing but what was
/// signed, which is checked.
const HARMLESS: &[(&str, &str, &str)] = &[
    ("nginx", "host: default port of http", "it serves http, whose default port says nothing"),
    ("nginx", "host: absolute form of another host", "it tells and sends on the Host header"),
    ("nginx", "header: a control byte", "it drops the header"),
    ("nginx", "client: two origins", "before 1.23 it reads the first, and sends on the same"),
    ("nginx", "client: two user agents", "before 1.23 it reads the first, and sends on the same"),
    ("nginx", "client: an alias of the user agent", "it drops names with underscores"),
    ("caddy", "host: default port of http", "it serves http, whose default port says nothing"),
    ("caddy", "host: absolute form with user info", "it drops the user info"),
    ("caddy", "header: a folded line", "it joins the lines"),
    ("caddy", "client: two user agents", "it sends on the first, to both"),
    ("haproxy", "host: default port of http", "it serves http, whose default port says nothing"),
    ("haproxy", "host: two that agree", "it makes one of them"),
    ("haproxy", "host: absolute form with user info", "it tells and sends on the Host header"),
    ("haproxy", "header: a control byte", "it decides nothing"),
    ("haproxy", "header: a folded line", "it joins the lines"),
    ("haproxy", "client: an alias of the user agent", "it takes names with underscores off"),
];

/// What a proxy refuses although it is good, as the guide says.
const SPOILT: &[(&str, &str)] = &[("caddy", "path: sub-delimiters that some escape")];

/// Whether the case has this name, or is one of a group of this name.
fn is(attack: &Attack, name: &str) -> bool {
    attack.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(','))
}

/// The fenced block of this language.
fn block(language: &str) -> String {
    let guide = std::fs::read_to_string(repository().join("docs/guides/forward-auth.md")).unwrap();
    let (_, rest) = guide.split_once(&format!("\n```{language}\n")).expect("a block of this language");
    rest.split_once("\n```").unwrap().0.to_owned() + "\n"
}

struct Proxy {
    name: &'static str,
    port: u16,
    _process: Process,
}

impl Proxy {
    async fn start(name: &'static str, world: &World, folder: &Path) -> Self {
        let port = free_port().unwrap();
        let gateway = format!("127.0.0.1:{}", world.gateway.port);
        let ours = |text: String| {
            let text = text.replace("authly-gateway:8081", &gateway);
            text.replace("files:80", &format!("127.0.0.1:{}", world.echo.port))
        };
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let command = match name {
            "nginx" => {
                let block = ours(block("nginx")).replace("listen 80;", &format!("listen 127.0.0.1:{port};"));
                let scratch = folder.display();
                let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                    .map(|kind| format!("{kind}_temp_path {scratch}/{kind};\n"))
                    .concat();
                let around = format!(
                    "daemon off; pid {scratch}/nginx.pid; error_log stderr;\nevents {{}}\nhttp {{ access_log off;\n{paths}{block}}}\n"
                );
                let mut command = Command::new("/usr/sbin/nginx");
                command.arg("-c").arg(file("nginx.conf", &around));
                command
            }
            "caddy" => {
                let block = ours(block("caddyfile"))
                    .replace("http://cdn.example.com {", &format!("http://:{port} {{\nbind 127.0.0.1"));
                let around = format!("{{\nadmin off\nauto_https off\n}}\n{block}");
                let mut command = Command::new("caddy");
                command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file("Caddyfile", &around));
                command.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
                command
            }
            _ => {
                let script = file("authly.lua", &ours(block("lua")));
                let block = ours(block("haproxy"))
                    .replace("/etc/haproxy/authly.lua", &script.to_string_lossy())
                    .replace("bind :80", &format!("bind 127.0.0.1:{port}"));
                let mut command = Command::new("/usr/sbin/haproxy");
                command.arg("-db").arg("-f").arg(file("haproxy.cfg", &block));
                command
            }
        };
        let mut process = Process::spawn(name, folder, command).unwrap();
        let good = Attack::good(&world.forge, "/reports/q3.pdf");
        let ready = eventually("the proxy serves", Duration::from_secs(20), || async {
            let answer = good.send(port).await?;
            ensure!(answer.status == 200, "{name} answers {}: {}", answer.status, answer.body);
            Ok(())
        });
        let ready = ready.await;
        process.check().unwrap();
        ready.unwrap_or_else(|error| panic!("{error:?}\n{}", process.output()));
        Self { name, port, _process: process }
    }

    /// Runs the list; answers what is wrong.
    async fn attack(&self, world: &World, list: &[Attack]) -> Vec<String> {
        let before = world.echo.seen();
        let port = self.port;
        let answers: Vec<Answer> = stream::iter(list)
            .map(|attack| async move { attack.send(port).await.unwrap() })
            .buffered(8)
            .collect()
            .await;
        let (mut wrong, mut passed) = (Vec::new(), 0);
        for (attack, answer) in list.iter().zip(&answers) {
            println!("{:<8} {:<60} {} {}", self.name, attack.name, answer.status, answer.reason());
            passed += usize::from(answer.status == 200);
            let harmless = HARMLESS.iter().any(|(proxy, name, _)| *proxy == self.name && is(attack, name));
            let spoilt = SPOILT.contains(&(self.name, &attack.name));
            let verdict = match (harmless, spoilt) {
                (true, _) => attack.is_what_was_signed(answer),
                (_, true) if answer.status == 403 => Ok(()),
                _ => attack.judge_behind(answer),
            };
            wrong.extend(verdict.err().map(|error| format!("{}, {}: {error}", self.name, attack.name)));
        }
        if world.echo.seen() - before != passed {
            wrong.push(format!("{}: the backend saw what was refused", self.name));
        }
        let unknown = HARMLESS.iter().filter(|(proxy, ..)| *proxy == self.name);
        let unknown = unknown.filter(|(_, name, _)| !list.iter().any(|attack| is(attack, name)));
        wrong.extend(unknown.map(|(proxy, name, _)| format!("{proxy}: no case is called {name}")));
        println!("{}: {} cases, {passed} reached the backend", self.name, list.len());
        wrong
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_caddy_and_haproxy() {
    let world = World::start().await.unwrap();
    let folder = Scratch::new("proxies").unwrap();
    let list = attacks::all(&world);
    let mut wrong = Vec::new();
    let mut proxies = Vec::new();
    for name in ["nginx", "caddy", "haproxy"] {
        let own = folder.path().join(name);
        std::fs::create_dir(&own).unwrap();
        let proxy = Proxy::start(name, &world, &own).await;
        wrong.extend(proxy.attack(&world, &list).await);
        proxies.push(proxy);
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));

    // Without a gateway nothing passes, and it is told as a failure of ours.
    let good = Attack::good(&world.forge, "/reports/q3.pdf");
    world.gateway.process.signal("KILL").unwrap();
    for proxy in &proxies {
        let answer = eventually("the gateway is gone", Duration::from_secs(10), || async {
            let answer = good.send(proxy.port).await?;
            ensure!(answer.status != 200);
            Ok(answer)
        });
        let answer = answer.await.unwrap();
        println!("{}: {} without a gateway", proxy.name, answer.status);
        assert!((502..=504).contains(&answer.status), "{}: {}", proxy.name, answer.status);
    }
    let answer =
        raw::exchange(proxies[0].port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "nginx says when to try again");
}
