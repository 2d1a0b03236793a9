//! Fuzzing as a test: mutations of a committed corpus are given to a parser, which must neither panic nor break a promise that the target
//! states. It needs no instrumentation, so it runs with every `cargo test`; the parser of signed URLs is fuzzed with coverage besides
//! (`signed-url/fuzz`).
//!
//! Never ships: a development dependency of the crates that parse. The inputs are the same at every run; with `AUTHLY_LONG` they are many
//! more, from a seed of their own, which is printed.
#![allow(clippy::expect_used, clippy::panic)] // it is part of tests

mod mutate;

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
};

use mutate::Mutator;

/// How many more inputs `AUTHLY_LONG` gives.
const LONG: usize = 50;

/// Gives the seeds of `fuzzing/corpus/<target>`, and `count` mutations of them, to the target.
///
/// # Panics
/// As the target does, after it printed the input; and without a corpus.
pub fn run(target: &str, count: usize, check: impl Fn(&[u8])) {
    let seeds = corpus(target);
    let (count, state) = match std::env::var_os("AUTHLY_LONG") {
        Some(_) => (count * LONG, (u64::from(std::process::id()) << 20) | 1),
        None => (count, 0x9e37_79b9_7f4a_7c15),
    };
    println!("{target}: {} seeds, {count} mutations, state {state:#x}", seeds.len());
    for seed in &seeds {
        one(target, seed, &check);
    }
    let mut mutator = Mutator::new(state, &seeds);
    for _ in 0..count {
        one(target, &mutator.mutation(), &check);
    }
}

fn one(target: &str, input: &[u8], check: &impl Fn(&[u8])) {
    // What overflows the stack ends the process before anything can be printed: it stays in this file.
    if let Some(last) = std::env::var_os("AUTHLY_FUZZ_LAST") {
        std::fs::write(last, input).expect("the file that AUTHLY_FUZZ_LAST names");
    }
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(input))) {
        println!("{target} fails on \"{}\"", input.escape_ascii());
        resume_unwind(panic);
    }
}

/// Every file of the target's folder, in the order of their names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = files.map(|entry| entry.expect("a file of the corpus").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.iter().map(|path| std::fs::read(path).expect("a file of the corpus")).collect()
}
