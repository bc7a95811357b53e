//! Values of any kind, from one number.

/// Draws values; lists and texts are at most as long as its size says.
#[derive(Clone, Debug)]
pub(crate) struct Draw {
    state: u64,
    size: usize,
}

impl Draw {
    pub(crate) fn new(word: u64, size: usize) -> Self {
        Self { state: word ^ 0x9e37_79b9_7f4a_7c15, size }
    }

    /// How large things are, from 1.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Any number, the odd ones more often.
    pub(crate) fn word(&mut self) -> u64 {
        let word = self.mixed();
        match word % 8 {
            0 => [0, 1, 23, 24, 255, 256, u64::from(u32::MAX), u64::MAX][(word >> 8) as usize % 8],
            1 => word >> 40,
            _ => word,
        }
    }

    fn mixed(&mut self) -> u64 {
        // SplitMix64: a counter and a mixer, so that any start is as good as any other.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Less than `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.mixed() >> 11).unwrap() % end
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.mixed() & 1 == 1
    }

    pub(crate) fn small(&mut self) -> u32 {
        self.word() as u32
    }

    pub(crate) fn signed(&mut self) -> i64 {
        self.word().cast_signed()
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.mixed() as u8)
    }

    pub(crate) fn bytes(&mut self) -> Vec<u8> {
        let length = self.below(self.size * 4 + 1);
        (0..length).map(|_| self.mixed() as u8).collect()
    }

    pub(crate) fn text(&mut self) -> String {
        const LETTERS: [char; 8] = ['a', 'Z', '0', '/', '-', 'é', '日', '\n'];
        let length = self.below(self.size * 3 + 1);
        (0..length).map(|_| LETTERS[self.below(LETTERS.len())]).collect()
    }

    pub(crate) fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let length = self.below(self.size + 1);
        (0..length).map(|_| one(self)).collect()
    }

    pub(crate) fn maybe<T>(&mut self, one: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| one(self))
    }
}
