//! Secrets that cannot be printed by accident and are wiped when dropped.

use zeroize::{Zeroize, ZeroizeOnDrop};

/// A secret text: an application key or a passphrase. `Debug` shows nothing of it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// Takes the text over.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A passphrase that would be found in fewer tries is weak, as a power of ten. Each try costs scrypt with 128 MiB: a
/// thousand graphics cards make some 50,000 in a second, and need two thirds of a year for so many.
const ENOUGH_TRIES: f64 = 12.0;

/// Why a passphrase is no good.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weakness {
    /// Somebody who tries finds it in so many tries, as a power of ten.
    Guessed(f64),
    /// It has a line end or another control character in it, as from a file with the line ends of Windows. Nobody can
    /// type it, nor see what is missing in what they do type.
    Untypable,
}

impl Weakness {
    /// What is wrong with a passphrase, where it is weak. Looks for words, names, dates, patterns of keys, and what
    /// others use; nothing leaves this machine.
    #[must_use]
    pub fn of(passphrase: &Secret) -> Option<Self> {
        if passphrase.expose().contains(char::is_control) {
            return Some(Self::Untypable);
        }
        let tries = zxcvbn::zxcvbn(passphrase.expose(), &["openclaw", "backblaze", "backup"]);
        let tries = tries.guesses_log10();
        (tries < ENOUGH_TRIES).then_some(Self::Guessed(tries))
    }
}

/// A key of so many characters and more, without white space, was drawn by a machine: those of B2 have 31, others more.
const DRAWN_CHARACTERS: usize = 30;
/// If it takes as many tries, too, as a power of ten. That is as far as the estimate goes, and at a million tries a
/// second more than three hundred thousand years.
const DRAWN_TRIES: f64 = 19.0;

/// Whether nobody finds a key by trying, however little a try costs.
#[must_use]
pub fn is_drawn(key: &str) -> bool {
    key.len() >= DRAWN_CHARACTERS
        && key.bytes().all(|byte| byte.is_ascii_graphic())
        && zxcvbn::zxcvbn(key, &[]).guesses_log10() >= DRAWN_TRIES
}

impl std::fmt::Display for Weakness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Guessed(tries) => write!(
                f,
                "the passphrase is weak: whoever can read the bucket finds it after about 10^{tries:.0} tries, and 10^{ENOUGH_TRIES} \
                 are needed. Take five words that a die or a program chose, or 14 random characters: `openssl rand \
                 -base64 18` makes some"
            ),
            Self::Untypable => f.write_str(
                "the passphrase has a line end or another control character in it, which nobody can type when the backups \
                 are needed. Does it come from a file with the line ends of Windows? Take it out",
            ),
        }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_guessed_is_weak() {
        let weak = |text: &str| Weakness::of(&Secret::new(text.into()));
        for text in [
            "",
            "swordfish",
            "Sommer2026!",
            "correct horse",
            "openclaw-backup",
            "qwertyuiop1234567890",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            let told = weak(text).unwrap_or_else(|| panic!("{text}")).to_string();
            assert!(told.contains("five words"), "{told}");
            assert!(text.is_empty() || !told.contains(text), "{told}");
        }
        for text in [
            "tulip granite orbit velvet mango",
            "correct horse battery staple",
            "9rT4xLq8VbZ2Km",
            "K005Nb1vQ0xDzYw3mJk8RtUeLsHc7aPg",
        ] {
            assert_eq!(weak(text), None, "{text}");
        }
    }

    #[test]
    fn what_nobody_can_type_is_no_passphrase() {
        for text in ["tulip granite orbit velvet mango\r", "tulip\tgranite orbit velvet mango\n"] {
            let weakness = Weakness::of(&Secret::new(text.into())).unwrap();
            assert_eq!(weakness, Weakness::Untypable);
            assert!(!weakness.to_string().contains("tulip"), "{weakness}");
        }
        assert_eq!(Weakness::of(&Secret::new("Tür Bäume Öl über ßtraße drüben".into())), None);
    }

    #[test]
    fn what_a_machine_drew_is_told_from_what_somebody_thought_of() {
        for key in ["K005Nb1vQ0xDzYw3mJk8RtUeLsHc7aPg", "wJalrXUtnFEMIxK7MDENGxbPxRfiCYzzzKEYqq9d"]
        {
            assert!(is_drawn(key), "{key}");
        }
        for key in [
            "",
            "minioadmin",
            "secretsecretsecretsecret",
            "correct horse battery staple with some more words",
            "9rT4xLq8VbZ2Km",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "12345678901234567890123456789012345678901234567890",
            "password1password1password1password1",
        ] {
            assert!(!is_drawn(key), "{key}");
        }
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new("K001abc".into())), "Secret(..)");
    }
}
