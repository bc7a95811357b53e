//! Changes inputs, as a seed decides.

/// Numbers at which parsers fail.
const ODD: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];

/// Makes inputs.
pub(crate) struct Mutator(u64);

impl Mutator {
    /// Of a seed and a name, so that every target has its own.
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self((hash ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1)
    }

    fn word(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Less than `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.word() >> 33).unwrap() % end
    }

    /// An input made of those there are, at most `max` bytes long.
    pub(crate) fn next(&mut self, corpus: &[Vec<u8>], max: usize) -> Vec<u8> {
        let mut input = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(6) {
            self.change(&mut input, corpus);
        }
        input.truncate(max);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let rest = input.len() - at;
        match self.below(8) {
            0 if rest > 0 => input[at] ^= 1 << self.below(8),
            1 if rest > 0 => input[at] = self.word() as u8,
            2 => input.insert(at, self.word() as u8),
            3 if rest > 0 => drop(input.drain(at..at + 1 + self.below(rest))),
            4 => input.truncate(at),
            5 => {
                // A number, of any width, in either order of its bytes.
                let (mut bytes, width) =
                    (ODD[self.below(ODD.len())].to_le_bytes(), 1 << self.below(4));
                if self.below(2) == 0 {
                    bytes[..width].reverse();
                }
                let end = (at + width).min(input.len());
                input.splice(at..end, bytes[..width].iter().copied());
            }
            6 => {
                let length = self.below(rest.min(64) + 1);
                let part = input[at..at + length].repeat(1 + self.below(4));
                input.splice(at..at, part);
            }
            _ => {
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
        }
    }
}
