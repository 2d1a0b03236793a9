//! One pass over a policy source before Cedar's parser sees it: size, count, nesting, templates, and the two types that
//! authors cannot name. Cedar's parser, validator and evaluator recurse over the source's structure, so that is bounded here.
//!
//! Never does: allocate by the source's depth beyond [`MAX_NESTING`], or accept what Cedar refuses: it only refuses more.

/// The longest source, in bytes. The CRD says the same.
pub(crate) const MAX_SOURCE: usize = 32 * 1024;
/// The most policies in one object.
pub(crate) const MAX_POLICIES: usize = 100;
/// The deepest brackets.
const MAX_NESTING: usize = 32;
/// The deepest expression tree: chains of operators nest too. Cedar's evaluator fails when its stack runs low, so
/// `tenant.rs` sees to stack enough for this depth.
pub(crate) const MAX_DEPTH: u32 = 64;

/// The operators that nest within their term.
const NESTING: [&[u8]; 18] = [
    b".", b"!", b"+", b"-", b"*", b"/", b"%", b"<", b">", b"=", b"==", b"!=", b"<=", b">=", b"in", b"has", b"like",
    b"is",
];

/// A refusal at a byte offset.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) offset: usize,
    pub(crate) message: String,
}

/// Refuses what is too large, too deep or not for authors; answers the offset at which each policy starts.
pub(crate) fn scan(source: &str) -> Result<Vec<usize>, Refused> {
    if source.len() > MAX_SOURCE {
        let message = format!("the source has {} bytes: at most {MAX_SOURCE} are accepted, split it", source.len());
        return Err(Refused { offset: source.floor_char_boundary(MAX_SOURCE), message });
    }
    let mut scanner = Scanner { levels: vec![Level::default()], ..Scanner::default() };
    let mut tokens = Tokens { bytes: source.as_bytes(), at: 0 };
    while let Some((offset, token)) = tokens.next() {
        scanner.token(offset, token).map_err(|message| Refused { offset: scanner.blame.unwrap_or(offset), message })?;
    }
    scanner.check_depth().map_err(|message| Refused { offset: source.len(), message })?;
    Ok(scanner.starts)
}

/// Cedar's tokens, as coarse as the scan needs them.
struct Tokens<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Tokens<'a> {
    fn next(&mut self) -> Option<(usize, &'a [u8])> {
        loop {
            let start = self.at;
            let first = *self.bytes.get(start)?;
            let second = self.bytes.get(start + 1).copied().unwrap_or(0);
            self.at += match first {
                b'/' if second == b'/' => self.length(|b| !matches!(b, b'\n' | b'\r')),
                b'"' => self.string(),
                b'_' | b'a'..=b'z' | b'A'..=b'Z' => self.length(|b| b == b'_' || b.is_ascii_alphanumeric()),
                b'&' | b'|' | b':' | b'=' if second == first => 2,
                b'!' | b'<' | b'>' if second == b'=' => 2,
                _ => 1,
            };
            let token = &self.bytes[start..self.at];
            if !first.is_ascii_whitespace() && !token.starts_with(b"//") {
                return Some((start, token));
            }
        }
    }

    fn length(&self, part: impl Fn(u8) -> bool) -> usize {
        self.bytes[self.at..].iter().take_while(|b| part(**b)).count()
    }

    fn string(&self) -> usize {
        let mut escaped = true; // the opening quote is no end
        for (length, byte) in self.bytes[self.at..].iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => return length + 1,
                _ => {}
            }
        }
        self.bytes.len() - self.at
    }
}

/// An upper bound of the tree's depth within one pair of brackets: every `&&`, `||`, `if` nests all the others; other
/// operators nest within their term; a comma starts again.
#[derive(Debug, Default, Clone, Copy)]
struct Level {
    chain: u32,
    term: u32,
    inner: u32,
    deepest_term: u32,
    deepest_item: u32,
}

impl Level {
    fn end_term(&mut self) {
        self.deepest_term = self.deepest_term.max(self.term + self.inner);
        (self.term, self.inner) = (0, 0);
    }

    fn end_item(&mut self) {
        self.end_term();
        self.deepest_item = self.deepest_item.max(self.chain + self.deepest_term);
        (self.chain, self.deepest_term) = (0, 0);
    }
}

#[derive(Default)]
struct Scanner<'a> {
    levels: Vec<Level>,
    starts: Vec<usize>,
    within: bool,
    previous: (usize, &'a [u8]),
    blame: Option<usize>,
}

impl<'a> Scanner<'a> {
    fn token(&mut self, offset: usize, token: &'a [u8]) -> Result<(), String> {
        if !self.within {
            self.within = true;
            self.starts.push(offset);
            if self.starts.len() > MAX_POLICIES {
                return Err(format!(
                    "more than {MAX_POLICIES} policies in one object: move some to another AccessPolicy"
                ));
            }
        }
        self.names(token)?;
        match token {
            b"?" => return Err("templates are not accepted: write the entity in place of the slot".to_owned()),
            b"(" | b"[" | b"{" => {
                self.top().term += 1;
                self.levels.push(Level::default());
                if self.levels.len() > MAX_NESTING {
                    return Err(format!("brackets nest deeper than {MAX_NESTING}: simplify the condition"));
                }
            }
            b")" | b"]" | b"}" => self.close(),
            b"&&" | b"||" | b"if" | b"then" | b"else" | b"when" | b"unless" => {
                let level = self.top();
                level.end_term();
                level.chain += 1;
            }
            b"," => self.top().end_item(),
            b";" => {
                self.check_depth()?;
                if self.levels.len() <= 1 {
                    self.levels = vec![Level::default()];
                    self.within = false;
                }
            }
            _ if NESTING.contains(&token) => self.top().term += 1,
            _ => {}
        }
        self.previous = (offset, token);
        Ok(())
    }

    /// `Namespace` is internal, and there is one Bearer without a name.
    fn names(&mut self, token: &[u8]) -> Result<(), String> {
        let (offset, previous) = self.previous;
        match (previous, token) {
            (b"Bearer", b"::") => {
                self.blame = Some(offset);
                Err("a Bearer has no id: write `principal is Bearer`, or `principal in Client::\"…\"` for whom the URL is meant"
                    .to_owned())
            }
            (b"Namespace", b"::") => {
                self.blame = Some(offset);
                Err("Namespace is internal: name routes and clients instead".to_owned())
            }
            (b"is", b"Namespace") => Err("Namespace is internal: name routes and clients instead".to_owned()),
            _ => Ok(()),
        }
    }

    fn top(&mut self) -> &mut Level {
        if self.levels.is_empty() {
            self.levels.push(Level::default());
        }
        let last = self.levels.len() - 1;
        &mut self.levels[last]
    }

    fn close(&mut self) {
        if self.levels.len() > 1 {
            let depth = self.levels.pop().map_or(0, |mut level| {
                level.end_item();
                level.deepest_item
            });
            let level = self.top();
            level.inner = level.inner.max(depth);
        }
    }

    fn check_depth(&self) -> Result<(), String> {
        let depth = self.levels.iter().rev().fold(0, |inner, level| {
            let mut level = *level;
            level.inner = level.inner.max(inner);
            level.end_item();
            level.deepest_item
        });
        if depth > MAX_DEPTH {
            return Err(format!(
                "the policy's expression is {depth} operators deep: at most {MAX_DEPTH} are accepted; split the policy, or \
                 write `[…].contains(…)` in place of many `||`"
            ));
        }
        Ok(())
    }
}
