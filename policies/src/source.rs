//! From an author's text to validated Cedar policies: bounded, parsed, strict, level 1; every error with its place in that text.
//!
//! Never does: qualify or guard (`qualify.rs`): what is validated is what the author wrote, so places are the author's.

use std::collections::BTreeSet;

use cedar_policy::{Policy, PolicyId, PolicySet, ValidationMode, ValidationResult, ValidationWarning};
use miette::Diagnostic;

use crate::{
    scan::{self, scan},
    vocabulary::vocabulary,
};

/// How far a policy may follow entities (Cedar RFC 76): 1 = ancestors of principal, resource and context's entities.
const LEVEL: u32 = 1;
/// The most errors that one source answers.
const MAX_ERRORS: usize = 20;
/// The longest message, in characters.
const MAX_MESSAGE: usize = 500;
/// For parsing and validation, which recurse: an order of magnitude above what `scan` lets through.
const STACK: usize = 16 * 1024 * 1024;

/// Why a policy source is refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct PolicyError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, and where possible what to write.
    pub message: String,
}

/// The policies of a source in its order, parsed and validated.
pub(crate) fn read(source: &str) -> Result<Vec<Policy>, Vec<PolicyError>> {
    let starts = scan(source).map_err(|refused| vec![place(source, refused.offset, refused.message)])?;
    let set: PolicySet = source.parse().map_err(|errors: cedar_policy::ParseErrors| {
        let found = errors.iter().map(|error| diagnosed(source, error, 0));
        bounded(found)
    })?;
    validate(source, &set, &starts)?;
    let policies: Vec<Policy> =
        (0..starts.len()).filter_map(|n| set.policy(&PolicyId::new(format!("policy{n}"))).cloned()).collect();
    if policies.len() != starts.len() || set.num_of_policies() != starts.len() || set.num_of_templates() != 0 {
        return Err(vec![place(source, 0, "only plain policies are accepted, each ended by `;`".to_owned())]);
    }
    Ok(policies)
}

fn validate(source: &str, set: &PolicySet, starts: &[usize]) -> Result<(), Vec<PolicyError>> {
    let vocabulary = vocabulary().map_err(|message| vec![place(source, 0, message)])?;
    let result = vocabulary.validator.validate_with_level(set, ValidationMode::Strict, LEVEL);
    let start = |id: &PolicyId| {
        let number: &str = id.as_ref();
        number.strip_prefix("policy").and_then(|n| n.parse::<usize>().ok()).and_then(|n| starts.get(n)).copied()
    };
    let errors = bounded(result.validation_errors().map(|e| diagnosed(source, e, start(e.policy_id()).unwrap_or(0))));
    if !errors.is_empty() {
        return Err(errors);
    }
    let warnings = bounded(refused_warnings(&result).map(|w| diagnosed(source, w, start(w.policy_id()).unwrap_or(0))));
    if !warnings.is_empty() {
        return Err(warnings);
    }
    // Cedar answers a check that ran out of stack without an error.
    if result.validation_passed() { Ok(()) } else { Err(vec![place(source, 0, "too deep to validate".to_owned())]) }
}

/// A policy that can never apply is a mistake, and text that displays otherwise than it reads is worse.
fn refused_warnings(result: &ValidationResult) -> impl Iterator<Item = &ValidationWarning> {
    // What says why comes in place of what says only that.
    let explained = |id: &PolicyId| {
        let same =
            |w: &ValidationWarning| matches!(w, ValidationWarning::InvalidActionApplication(_)) && w.policy_id() == id;
        result.validation_warnings().any(same)
    };
    result.validation_warnings().filter(move |warning| match warning {
        ValidationWarning::ImpossiblePolicy(_) => !explained(warning.policy_id()),
        ValidationWarning::InvalidActionApplication(_)
        | ValidationWarning::BidiCharsInString(_)
        | ValidationWarning::BidiCharsInIdentifier(_) => true,
        _ => false,
    })
}

fn diagnosed<D: Diagnostic + ?Sized>(source: &str, error: &D, fallback: usize) -> PolicyError {
    let label = error.labels().and_then(|mut labels| labels.next());
    let offset = label.as_ref().map_or(fallback, miette::LabeledSpan::offset);
    let mut message = unnumbered(&error.to_string());
    let details =
        [label.as_ref().and_then(|l| l.label()).map(str::to_owned), error.help().map(|help| help.to_string())];
    for detail in details.into_iter().flatten() {
        message.push_str(": ");
        message.push_str(&unnumbered(&detail));
    }
    place(source, offset, message)
}

/// Cedar names policies by numbers of its own; line and column say it better.
fn unnumbered(text: &str) -> String {
    let mut rest = text;
    let mut clean = String::with_capacity(text.len());
    while let Some((before, after)) = rest.split_once("for policy `policy") {
        clean.push_str(before);
        let number = after.trim_start_matches(|c: char| c.is_ascii_digit());
        rest = ["`, ", "`: "].iter().find_map(|end| number.strip_prefix(end)).unwrap_or(number);
    }
    clean + rest
}

/// The same error appears once for each kind of request that it concerns; once is enough.
fn bounded(found: impl Iterator<Item = PolicyError>) -> Vec<PolicyError> {
    found.collect::<BTreeSet<_>>().into_iter().take(MAX_ERRORS).collect()
}

pub(crate) fn place(source: &str, offset: usize, message: String) -> PolicyError {
    let before = &source[..source.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    PolicyError {
        line: before.bytes().filter(|b| *b == b'\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        message: printable(&message),
    }
}

/// Messages quote the author's text: no more of it than helps, and nothing that changes how a terminal shows the rest.
fn printable(message: &str) -> String {
    let is_bidi =
        |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut clean = String::with_capacity(message.len());
    for c in message.chars().take(MAX_MESSAGE) {
        if c.is_control() || is_bidi(c) { clean.extend(c.escape_default()) } else { clean.push(c) }
    }
    if message.chars().nth(MAX_MESSAGE).is_some() {
        clean.push('…');
    }
    clean
}

/// Runs work that recurses over policy sources on a stack of its own size, whatever thread asks.
pub(crate) fn on_wide_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("policies".to_owned()).stack_size(STACK);
        thread.spawn_scoped(scope, work).ok()?.join().ok()
    })
}

/// Why nothing could be said about a source.
pub(crate) fn unreadable() -> Vec<PolicyError> {
    let message =
        format!("the policy could not be checked: try again, or shorten it (at most {} bytes)", scan::MAX_SOURCE);
    vec![PolicyError { line: 1, column: 1, message }]
}
