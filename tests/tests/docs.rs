//! Every fenced `sh` block of the README and of docs/ is run here, in order, file by file; one that no case covers fails.
//!
//! A block runs in bash in a copy of nothing: the repository's root. Lines that start a server run in the background of the file's
//! one shell and are stopped at its end. Ports in the docs are the defaults, so files run one after the other.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use authly_tests::{dev::repository, process, scratch::Scratch};

/// How a file's blocks are run.
enum Way {
    /// In one shell, after `authly dev` of the documented command is ready.
    WithDev,
    /// Shown by the suite named: the commands need a cluster, and that suite runs them against the control plane.
    Cluster(&'static str),
}

/// The fence's info string says how: `sh`, `sh dev`, or `sh cluster`.
fn way(info: &str) -> Option<Way> {
    match info {
        "sh" => Some(Way::WithDev),
        "sh cluster" => Some(Way::Cluster("quickstart_cluster.rs")),
        _ => None,
    }
}

fn markdown() -> Vec<PathBuf> {
    let root = repository();
    let mut files = vec![root.join("README.md")];
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn blocks(path: &Path) -> Vec<(usize, String, String)> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String, String)> = None;
    for (number, line) in text.lines().enumerate() {
        if let Some(info) = line.strip_prefix("```") {
            match open.take() {
                Some(block) => blocks.push(block),
                None => open = Some((number + 1, info.trim().to_owned(), String::new())),
            }
        } else if let Some((_, _, body)) = &mut open {
            body.push_str(line);
            body.push('\n');
        }
    }
    assert!(open.is_none(), "{}: a fence is not closed", path.display());
    blocks
}

#[test]
fn every_sh_block_runs() {
    let scratch = Scratch::new("docs").unwrap();
    let mut ran = 0;
    for path in markdown() {
        let name = path.strip_prefix(repository()).unwrap().display().to_string();
        let mut script = String::new();
        for (line, info, body) in blocks(&path) {
            if !(info == "sh" || info.starts_with("sh ") || info == "bash" || info == "shell") {
                continue;
            }
            match way(&info) {
                Some(Way::WithDev) => script.push_str(&format!("echo '== {name}:{line}'\n{body}")),
                Some(Way::Cluster(suite)) => shown_by(suite, &name, line, &body),
                None => panic!(
                    "{name}:{line}: a fence `{info}` is not run: use `sh`, or `sh cluster` with a suite that runs it"
                ),
            }
            ran += 1;
        }
        if !script.is_empty() {
            run(&name, &script, &scratch);
        }
    }
    assert!(ran >= 5, "the README and the guides have blocks to run");
    println!("{ran} blocks");
}

/// Every line of a cluster block must be a command of the suite's: helm install, kubectl apply, get, or reading the Secret.
fn shown_by(suite: &str, name: &str, line: usize, body: &str) {
    let text = std::fs::read_to_string(repository().join("tests/tests").join(suite)).unwrap();
    assert!(text.contains("Release::install") && text.contains("examples/quickstart"), "{suite} runs the quick start");
    let joined = body.replace("\\\n", " ");
    for command in joined.lines().filter(|l| !l.trim().is_empty() && !l.trim_start().starts_with('#')) {
        let known = [
            "helm install authly charts/authly",
            "kubectl create namespace shop",
            "kubectl apply -f examples/quickstart",
            "kubectl get authly",
            "kubectl get secret",
        ];
        assert!(
            known.iter().any(|k| command.trim_start().starts_with(k)),
            "{name}:{line}: `{command}` is not what {suite} runs"
        );
    }
}

fn run(name: &str, script: &str, scratch: &Scratch) {
    let file = scratch.path().join(format!("{}.sh", name.replace('/', "_")));
    let data = scratch.path().join(format!("data-{}", name.replace(['/', '.'], "_")));
    // Servers that a block starts run in the background; their readiness is awaited as the text tells a reader to.
    let prelude = "set -euo pipefail\ncleanup() { for job in $(jobs -p); do kill \"$job\" 2>/dev/null || true; done; wait; }\ntrap cleanup EXIT\n\
         background() { \"$@\" & for _ in $(seq 3000); do [ -s \"$AUTHLY_DATA_DIR/dev.json\" ] && return 0; sleep 0.2; done; return 1; }\n";
    let script: String = script
        .lines()
        .map(|line| if starts_server(line) { format!("background {line}\n") } else { format!("{line}\n") })
        .collect();
    std::fs::write(&file, format!("{prelude}{script}")).unwrap();
    let bin = process::binary().unwrap();
    let folder = bin.parent().unwrap().display().to_string();
    let path =
        format!("{folder}:{}/tests/.venv/bin:{}", repository().display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("bash");
    command.arg(&file).current_dir(repository()).env("PATH", path).stdin(Stdio::null());
    // A reader's shell has none of what cargo and the runner set.
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if name.starts_with("AUTHLY_") || (name.starts_with("CARGO") && name != "CARGO_HOME") {
            command.env_remove(&variable);
        }
    }
    command.env("AUTHLY_DATA_DIR", &data);
    let start = Instant::now();
    let output = command.output().unwrap();
    let shown = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name} after {:?}:\n{shown}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(1500), "{name} took {:?}", start.elapsed());
    println!("{name}: {:?}", start.elapsed());
}

/// A line whose command runs until it is stopped.
fn starts_server(line: &str) -> bool {
    ["cargo run --release -- dev", "authly dev"].iter().any(|server| line.starts_with(server))
}
