//! The sixteen digits of DTMF, and telephone event codes.

use core::fmt;

/// Frequencies of the rows of the key pad, in Hz: the low group of ITU-T Q.23.
pub const ROWS_HZ: [u32; 4] = [697, 770, 852, 941];
/// Frequencies of the columns of the key pad, in Hz: the high group of ITU-T Q.23.
pub const COLUMNS_HZ: [u32; 4] = [1_209, 1_336, 1_477, 1_633];

/// What stands on the keys, row by row.
const KEYS: [[Digit; 4]; 4] = [
    [Digit::One, Digit::Two, Digit::Three, Digit::A],
    [Digit::Four, Digit::Five, Digit::Six, Digit::B],
    [Digit::Seven, Digit::Eight, Digit::Nine, Digit::C],
    [Digit::Star, Digit::Zero, Digit::Pound, Digit::D],
];

/// A digit of dual-tone multi-frequency signalling (DTMF): its sign on the key pad, its two frequencies (ITU-T Q.23),
/// and its code as a telephone event (RFC 4733, 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
#[allow(missing_docs, reason = "their names say which they are")]
pub enum Digit {
    Zero = 0,
    One = 1,
    Two = 2,
    Three = 3,
    Four = 4,
    Five = 5,
    Six = 6,
    Seven = 7,
    Eight = 8,
    Nine = 9,
    /// `*`.
    Star = 10,
    /// `#`, which E.161 calls square.
    Pound = 11,
    A = 12,
    B = 13,
    C = 14,
    D = 15,
}

impl Digit {
    /// All digits, in the order of their event codes.
    pub const ALL: [Self; 16] = [
        Self::Zero,
        Self::One,
        Self::Two,
        Self::Three,
        Self::Four,
        Self::Five,
        Self::Six,
        Self::Seven,
        Self::Eight,
        Self::Nine,
        Self::Star,
        Self::Pound,
        Self::A,
        Self::B,
        Self::C,
        Self::D,
    ];

    /// The digit with this sign: `0` to `9`, `*`, `#`, `A` to `D` or `a` to `d`; `None` for other signs.
    pub const fn from_char(sign: char) -> Option<Self> {
        let code = match sign {
            '0'..='9' => sign as u8 - b'0',
            '*' => 10,
            '#' => 11,
            'A'..='D' => sign as u8 - b'A' + 12,
            'a'..='d' => sign as u8 - b'a' + 12,
            _ => return None,
        };
        Some(Self::ALL[code as usize])
    }

    /// Sign of the digit: one of `0123456789*#ABCD`.
    pub const fn as_char(self) -> char {
        b"0123456789*#ABCD"[self as usize] as char
    }

    /// The digit in a row and a column of the key pad, each 0 to 3.
    pub const fn at(row: usize, column: usize) -> Option<Self> {
        if row < 4 && column < 4 { Some(KEYS[row][column]) } else { None }
    }

    /// Row on the key pad, 0 to 3.
    pub const fn row(self) -> usize {
        match self {
            Self::One | Self::Two | Self::Three | Self::A => 0,
            Self::Four | Self::Five | Self::Six | Self::B => 1,
            Self::Seven | Self::Eight | Self::Nine | Self::C => 2,
            Self::Star | Self::Zero | Self::Pound | Self::D => 3,
        }
    }

    /// Column on the key pad, 0 to 3.
    pub const fn column(self) -> usize {
        match self {
            Self::One | Self::Four | Self::Seven | Self::Star => 0,
            Self::Two | Self::Five | Self::Eight | Self::Zero => 1,
            Self::Three | Self::Six | Self::Nine | Self::Pound => 2,
            Self::A | Self::B | Self::C | Self::D => 3,
        }
    }

    /// Frequency of the row, in Hz: 697 to 941.
    pub const fn row_hz(self) -> u32 {
        ROWS_HZ[self.row()]
    }

    /// Frequency of the column, in Hz: 1,209 to 1,633.
    pub const fn column_hz(self) -> u32 {
        COLUMNS_HZ[self.column()]
    }

    /// Code as a telephone event, 0 to 15.
    pub const fn event_code(self) -> EventCode {
        EventCode(self as u8)
    }
}

impl fmt::Display for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Write::write_char(f, self.as_char())
    }
}

/// The code of a telephone event: a number from IANA's registry "audio/telephone-event event codes" (RFC 4733, 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EventCode(pub u8);

impl EventCode {
    /// The hook flash (RFC 2833, 3.10).
    pub const FLASH: Self = Self(16);

    /// The digit with this code; `None` for codes above 15.
    pub const fn digit(self) -> Option<Digit> {
        if self.0 < 16 { Some(Digit::ALL[self.0 as usize]) } else { None }
    }
}

impl From<Digit> for EventCode {
    fn from(digit: Digit) -> Self {
        digit.event_code()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_comes_back_from_its_sign_its_code_and_its_place() {
        for (code, digit) in Digit::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(digit.event_code().0), code);
            assert_eq!(digit.event_code().digit(), Some(digit));
            assert_eq!(Digit::from_char(digit.as_char()), Some(digit));
            assert_eq!(Digit::from_char(digit.as_char().to_ascii_lowercase()), Some(digit));
            assert_eq!(Digit::at(digit.row(), digit.column()), Some(digit));
        }
        assert_eq!(std::format!("{}{}{}", Digit::Seven, Digit::Star, Digit::D), "7*D");
    }

    #[test]
    fn frequencies_are_those_of_the_recommendation() {
        let hz = |sign| Digit::from_char(sign).map(|digit| (digit.row_hz(), digit.column_hz()));
        assert_eq!([hz('1'), hz('5'), hz('#')], [Some((697, 1_209)), Some((770, 1_336)), Some((941, 1_477))]);
        assert_eq!([hz('0'), hz('*'), hz('D')], [Some((941, 1_336)), Some((941, 1_209)), Some((941, 1_633))]);
    }

    #[test]
    fn what_is_no_digit_is_none() {
        for sign in ['E', 'e', ' ', '+', 'Ä', '\0', '/', ':'] {
            assert_eq!(Digit::from_char(sign), None);
        }
        assert_eq!((EventCode::FLASH.digit(), EventCode(255).digit()), (None, None));
        assert_eq!((Digit::at(4, 0), Digit::at(0, 4)), (None, None));
    }
}
