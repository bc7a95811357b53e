//! Recovery codes: a secret that is made to be written down and typed in again (docs/format.md, section 7).

use zeroize::Zeroizing;

use crate::secret::Secret;

/// Crockford's base 32: no I, L, O and U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Groups of a code.
const GROUPS: usize = 7;
/// Characters of a group, the last of which is its check.
const GROUP: usize = 5;
/// Random characters of a code: 140 bits.
const RANDOM: usize = GROUPS * (GROUP - 1);

/// A recovery code: 140 random bits, and a check in every group.
#[derive(Clone, Debug)]
pub struct RecoveryCode(Secret);

/// What is wrong with a typed code, in words that hold nothing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistyped(pub String);

impl RecoveryCode {
    /// The code of so many random bytes, of which five bits each are used.
    #[must_use]
    pub fn new(random: &Zeroizing<[u8; RANDOM]>) -> Self {
        let mut text = String::with_capacity(GROUPS * GROUP);
        for (number, data) in (1..).zip(random.chunks(GROUP - 1)) {
            let data = data.iter().map(|byte| byte & 31);
            text.extend(data.clone().chain([check(number, data)]).map(letter));
        }
        Self(Secret::new(text))
    }

    /// Reads what somebody typed: in any case, with or without hyphens and spaces, O for 0, I and L for 1.
    ///
    /// # Errors
    /// [`Mistyped`]: one wrong character, two that changed places, and groups in another order are always noticed.
    pub fn parse(typed: &str) -> Result<Self, Mistyped> {
        let mut values = Zeroizing::new(Vec::with_capacity(GROUPS * GROUP));
        let mut parts = vec![0_usize];
        for c in typed.chars() {
            if c.is_whitespace() || is_hyphen(c) {
                parts.push(0);
                continue;
            }
            if let Some(part) = parts.last_mut() {
                *part += 1;
            }
            values.push(value(c));
        }
        parts.retain(|length| *length > 0);
        if values.len() != GROUPS * GROUP {
            return Err(Mistyped(wrong_length(values.len(), &parts)));
        }
        let mut text = String::with_capacity(GROUPS * GROUP);
        let mut wrong = Vec::new();
        for (number, group) in (1_u8..).zip(values.chunks(GROUP)) {
            let known: Option<Zeroizing<Vec<u8>>> =
                group.iter().copied().collect::<Option<Vec<u8>>>().map(Zeroizing::new);
            let right = known.filter(|known| {
                let (data, last) = known.split_at(GROUP - 1);
                last == [check(number, data.iter().copied())]
            });
            match right {
                Some(group) => text.extend(group.iter().copied().map(letter)),
                None => wrong.push(number),
            }
        }
        // Before a look at what is wrong, so that it is wiped in any case.
        let code = Self(Secret::new(text));
        if wrong.is_empty() { Ok(code) } else { Err(Mistyped(wrong_groups(&wrong))) }
    }

    /// What goes into scrypt: the 35 characters, upper case, without hyphens.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.0
    }

    /// The code as it is shown: groups with hyphens between them.
    #[must_use]
    pub fn shown(&self) -> Secret {
        let mut text = String::with_capacity(GROUPS * (GROUP + 1));
        for (at, c) in self.0.expose().chars().enumerate() {
            if at > 0 && at % GROUP == 0 {
                text.push('-');
            }
            text.push(c);
        }
        Secret::new(text)
    }
}

/// The check of group `number`, from 1. In the field of 32 elements, modulo x⁵ + x² + 1, each character has a weight
/// of its own, so neither one wrong character nor two that changed places keep the sum; the number keeps groups in
/// their order.
fn check(number: u8, data: impl DoubleEndedIterator<Item = u8>) -> u8 {
    data.rev().fold(0, |sum, value| double(sum ^ value)) ^ number
}

/// Times x.
fn double(value: u8) -> u8 {
    let twice = value << 1;
    if twice & 32 == 0 { twice } else { twice ^ 0b10_0101 }
}

fn letter(value: u8) -> char {
    ALPHABET.get(usize::from(value)).copied().map_or('0', char::from)
}

fn value(typed: char) -> Option<u8> {
    let plain = match typed.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let place = ALPHABET.iter().position(|known| char::from(*known) == plain)?;
    u8::try_from(place).ok()
}

/// Hyphens, dashes and the minus sign: what word processors make of a hyphen.
fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

fn wrong_length(length: usize, parts: &[usize]) -> String {
    let odd = parts.iter().position(|part| *part != GROUP).filter(|_| parts.len() == GROUPS);
    match odd {
        Some(at) => {
            let found = parts.get(at).copied().unwrap_or_default();
            format!("group {} has {found} characters, and each has {GROUP}", at + 1)
        }
        None => format!(
            "it has {length} characters, and a code has {} in {GROUPS} groups",
            GROUPS * GROUP
        ),
    }
}

fn wrong_groups(wrong: &[u8]) -> String {
    match wrong {
        [one] => format!("group {one} is mistyped"),
        all if all.len() == GROUPS => "it is not a recovery code of this program".to_owned(),
        [most @ .., last] => {
            let most: Vec<String> = most.iter().map(u8::to_string).collect();
            format!("groups {} and {last} are mistyped, or not in their order", most.join(", "))
        }
        [] => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code() -> RecoveryCode {
        let mut random = [0; RANDOM];
        random.iter_mut().zip(3_u8..).for_each(|(byte, number)| *byte = number.wrapping_mul(41));
        RecoveryCode::new(&Zeroizing::new(random))
    }

    fn parsed(text: &str) -> Result<String, String> {
        RecoveryCode::parse(text).map(|code| code.0.expose().to_owned()).map_err(|wrong| wrong.0)
    }

    #[test]
    fn the_form_is_that_of_the_document() {
        // docs/format.md, section 7, has this example.
        let random: Vec<u8> = (0..28).collect();
        let code = RecoveryCode::new(&Zeroizing::new(random.try_into().unwrap()));
        assert_eq!(code.shown().expose(), "01230-4567M-89AB9-CDEFS-GHJKJ-MNPQ6-RSTVV");
        assert_eq!(code.secret().expose(), "012304567M89AB9CDEFSGHJKJMNPQ6RSTVV");
        assert_eq!(format!("{code:?}"), "RecoveryCode(Secret(..))");
    }

    #[test]
    fn it_is_read_however_it_is_typed() {
        let (code, plain) = (code(), code().0.expose().to_owned());
        let shown = code.shown().expose().to_owned();
        for typed in [
            plain.clone(),
            shown.clone(),
            shown.to_lowercase(),
            format!("  {}\n", shown.replace('-', " ")),
            shown.replace('-', " \u{2013} "),
            plain.chars().flat_map(|c| [c, ' ']).collect(),
            shown.replace('0', "o").replace('1', "l"),
            shown.replace('0', "O").replace('1', "I"),
        ] {
            assert_eq!(parsed(&typed), Ok(plain.clone()), "{typed}");
        }
    }

    #[test]
    fn every_wrong_character_is_noticed_and_its_group_named() {
        let plain = code().0.expose().to_owned();
        for at in 0..plain.len() {
            for other in ALPHABET.iter().map(|c| char::from(*c)).chain(['U', '*', 'é']) {
                let typed: String = plain
                    .chars()
                    .enumerate()
                    .map(|(i, c)| if i == at { other } else { c })
                    .collect();
                if typed == plain {
                    continue;
                }
                let wrong = format!("group {} is mistyped", at / GROUP + 1);
                assert_eq!(parsed(&typed), Err(wrong), "{at} {other}");
            }
        }
    }

    #[test]
    fn characters_and_groups_that_changed_places_are_noticed() {
        let plain: Vec<char> = code().0.expose().chars().collect();
        let mut swaps = 0;
        for a in 0..plain.len() {
            for b in a + 1..plain.len() {
                let mut typed = plain.clone();
                typed.swap(a, b);
                if typed != plain {
                    swaps += 1;
                    assert!(parsed(&typed.iter().collect::<String>()).is_err(), "{a} {b}");
                }
            }
        }
        assert!(swaps > 500);
        let groups: Vec<String> = plain.chunks(GROUP).map(|group| group.iter().collect()).collect();
        let mut typed = groups.clone();
        typed.swap(1, 4);
        let wrong = "groups 2 and 5 are mistyped, or not in their order";
        assert_eq!(parsed(&typed.join("-")), Err(wrong.into()));
    }

    #[test]
    fn what_is_missing_or_too_much_is_said() {
        let shown = code().shown().expose().to_owned();
        let mut short = shown.clone();
        short.remove(13);
        assert_eq!(parsed(&short), Err("group 3 has 4 characters, and each has 5".into()));
        let wrong = "it has 34 characters, and a code has 35 in 7 groups";
        assert_eq!(parsed(&short.replace('-', "")), Err(wrong.into()));
        assert!(parsed("").is_err() && parsed(&shown.repeat(2)).is_err());
        assert_eq!(
            parsed(&"ABCDE".repeat(7)),
            Err("it is not a recovery code of this program".into())
        );
    }
}
