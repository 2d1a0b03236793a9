//! The mutations: small changes, and pieces of other seeds, which know the words of the language.

/// Bytes that mean something to some parser.
const INTERESTING: &[u8] = b"\0\x01\t\n\r \x1f\x7f\x80\xc0\xff\"'%&()*+,-./0:;<=>?@[\\]^_`{|}~#!$Aaez";

/// Texts that are the end of some range.
const EXTREMES: [&[u8]; 12] = [
    b"0",
    b"-1",
    b"00",
    b"255",
    b"256",
    b"65536",
    b"4294967296",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551616",
    b"1e999",
    b"0.1",
];

/// The longest input.
const MAX_LENGTH: usize = 16 * 1024;

pub(crate) struct Mutator<'s> {
    state: u64,
    seeds: &'s [Vec<u8>],
}

impl<'s> Mutator<'s> {
    pub(crate) fn new(state: u64, seeds: &'s [Vec<u8>]) -> Self {
        Self { state, seeds }
    }

    /// A seed with one to eight changes.
    pub(crate) fn mutation(&mut self) -> Vec<u8> {
        let mut input = self.pick(self.seeds).clone();
        for _ in 0..=self.below(8) {
            self.change(&mut input);
        }
        input.truncate(MAX_LENGTH);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let (from, to) = self.range(input.len());
        match self.below(9) {
            0 if from < input.len() => input[from] ^= 1 << self.below(8),
            1 if from < input.len() => input[from] = *self.pick(INTERESTING),
            2 => input.insert(from, *self.pick(INTERESTING)),
            3 => drop(input.drain(from..to)),
            4 => input.truncate(to),
            5 => drop(input.splice(from..to, self.pick(&EXTREMES).iter().copied())),
            6 => {
                let piece = input[from..to].repeat(1 + self.below(if to - from < 8 { 200 } else { 3 }));
                drop(input.splice(to..to, piece));
            }
            _ => {
                let other = self.pick(self.seeds);
                let (start, end) = self.range(other.len());
                drop(input.splice(from..to, other[start..end].iter().copied()));
            }
        }
    }

    /// Two places in order; mostly near each other.
    fn range(&mut self, length: usize) -> (usize, usize) {
        let from = self.below(length + 1);
        let rest = length - from;
        let most = if self.below(4) == 0 { rest } else { rest.min(16) };
        (from, from + self.below(most + 1))
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Below `end`, which is not zero.
    fn below(&mut self, end: usize) -> usize {
        // xorshift64*, good enough for this and the same everywhere.
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let high = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        usize::try_from(high).unwrap_or(0) % end
    }
}
