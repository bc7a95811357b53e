//! Stretching a secret with scrypt. Slow and hungry on purpose: run it on the CPU pool.

use zeroize::Zeroizing;

/// scrypt's cost (RFC 7914). Memory is `128 * 2^log_n * r` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScryptCost {
    /// Logarithm of N.
    pub log_n: u8,
    /// Block size.
    pub r: u32,
    /// Parallelisation.
    pub p: u32,
}

impl ScryptCost {
    /// For what somebody thought of: 128 MiB and about a third of a second, once per machine.
    pub const THOUGHT_OF: Self = Self { log_n: 17, r: 8, p: 1 };
    /// For what a machine drew: nobody finds that by trying, however cheap a try is. The least that is read.
    pub const DRAWN: Self = Self { log_n: 14, r: 8, p: 1 };

    /// How much work it is, in slots of a passphrase, rounded up; `None` where [`Self::is_bounded`] says no.
    #[must_use]
    pub fn work(self) -> Option<u64> {
        let blocks = |cost: Self| (u64::from(cost.r) * u64::from(cost.p)) << cost.log_n;
        self.is_bounded().then(|| blocks(self).div_ceil(blocks(Self::THOUGHT_OF)))
    }

    /// Whether a cost read from a bucket may be used: at most 512 MiB of memory and 16 times our own work,
    /// so that a hostile slot can neither exhaust memory nor time, and never less than 2^14, which would
    /// help somebody guess.
    #[must_use]
    pub fn is_bounded(self) -> bool {
        let memory =
            u64::from(self.r).checked_mul(128).and_then(|b| b.checked_shl(u32::from(self.log_n)));
        (14..=21).contains(&self.log_n)
            && (1..=32).contains(&self.r)
            && (1..=4).contains(&self.p)
            && memory.is_some_and(|bytes| bytes <= 512 << 20)
    }
}

/// The 32 bytes that `secret` and `salt` stretch to; `None` for a cost out of bounds.
#[must_use]
pub fn stretch(secret: &[u8], salt: &[u8; 32], cost: ScryptCost) -> Option<Zeroizing<[u8; 32]>> {
    if !cost.is_bounded() {
        return None;
    }
    let parameters = scrypt::Params::new(cost.log_n, cost.r, cost.p).ok()?;
    let mut out = Zeroizing::new([0; 32]);
    scrypt::scrypt(secret, salt, &parameters, out.as_mut_slice()).ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_costs_are_refused_before_memory_is_taken() {
        for (log_n, r, p) in [
            (29, 8, 1),
            (21, 8, 1),
            (63, 1, 1),
            (17, u32::MAX, 1),
            (17, 8, 99),
            (0, 8, 1),
            (1, 8, 1),
        ] {
            assert!(
                stretch(b"x", &[0; 32], ScryptCost { log_n, r, p }).is_none(),
                "{log_n} {r} {p}"
            );
        }
        assert!(ScryptCost::THOUGHT_OF.is_bounded() && ScryptCost::DRAWN.is_bounded());
        // 64 GiB: N = 2^26, r = 8.
        assert!(stretch(b"x", &[0; 32], ScryptCost { log_n: 26, r: 8, p: 1 }).is_none());
    }

    #[test]
    fn work_is_counted_in_slots_of_our_own() {
        let work = |log_n, r, p| ScryptCost { log_n, r, p }.work();
        assert_eq!((work(17, 8, 1), work(14, 1, 1), work(18, 8, 1)), (Some(1), Some(1), Some(2)));
        assert_eq!((work(17, 32, 4), work(17, 9, 1)), (Some(16), Some(2)));
        assert_eq!((work(63, 32, 4), work(26, 8, 1)), (None, None));
    }
}
