//! A strict reader of `name=value&name=value`.
//!
//! Owns the order of parameters. Never skips, decodes or tolerates: what is not asked for in turn is refused.
//! Governed by "Native format `sx1`": a contiguous suffix in this order, `sx-s` last.

use crate::Refusal;

/// What has not been read yet; `None` after the last parameter. `Some("")` means that a separator ends the text.
pub(crate) struct Reader<'a>(Option<&'a str>);

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self(Some(text))
    }

    /// The value of the next parameter if it has this name, which includes the `=`.
    pub(crate) fn optional(&mut self, name: &str) -> Option<&'a str> {
        let value = self.0?.strip_prefix(name)?;
        let (value, rest) = match value.split_once('&') {
            Some((value, rest)) => (value, Some(rest)),
            None => (value, None),
        };
        self.0 = rest;
        Some(value)
    }

    /// The value of the next parameter, which must have this name.
    pub(crate) fn required(&mut self, name: &str) -> Result<&'a str, Refusal> {
        self.optional(name).ok_or(ORDER)
    }

    /// Refuses anything that is left.
    pub(crate) fn finish(self) -> Result<(), Refusal> {
        match self.0 {
            None => Ok(()),
            Some(_) => {
                Err(Refusal::NotCanonical("nothing follows the last parameter of the signature; drop what was added"))
            }
        }
    }
}

const ORDER: Refusal = Refusal::NotCanonical(
    "the signature's parameters are sx-k, sx-e, sx-i, sx-n, sx-m, sx-w, sx-c and last sx-s (sx-p in a token), each once, \
     in this order, the first three and the last always; use the link as issued",
);
