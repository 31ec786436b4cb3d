//! The meaning of a tone.

use super::progress::{ANSAM, CED, CNG, Country, ProgressTone, Segment};

/// What a tone says: call progress (ITU-T E.180), or a fax or a modem (T.30, V.25, V.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ToneSignal {
    /// A call progress tone.
    Progress(ProgressTone),
    /// A fax calls (T.30).
    Cng,
    /// A fax or a modem answers (V.25).
    Ced,
    /// A modem answers by V.8.
    Ansam,
}

impl ToneSignal {
    /// All signals.
    pub const ALL: [Self; 9] = [
        Self::Progress(ProgressTone::Dial),
        Self::Progress(ProgressTone::Busy),
        Self::Progress(ProgressTone::Ringing),
        Self::Progress(ProgressTone::Congestion),
        Self::Progress(ProgressTone::CallWaiting),
        Self::Progress(ProgressTone::Information),
        Self::Cng,
        Self::Ced,
        Self::Ansam,
    ];

    /// Name of the signal, on command lines and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Progress(ProgressTone::Dial) => "dial",
            Self::Progress(ProgressTone::Busy) => "busy",
            Self::Progress(ProgressTone::Ringing) => "ringing",
            Self::Progress(ProgressTone::Congestion) => "congestion",
            Self::Progress(ProgressTone::CallWaiting) => "call-waiting",
            Self::Progress(ProgressTone::Information) => "information",
            Self::Cng => "cng",
            Self::Ced => "ced",
            Self::Ansam => "ansam",
        }
    }

    /// The signal with this name; `None` if there is none.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.name().eq_ignore_ascii_case(name))
    }

    /// The segments of the tone in a country. Those of faxes and modems are the same everywhere.
    pub const fn segments(self, country: &Country) -> &'static [Segment] {
        match self {
            Self::Progress(tone) => country.tone(tone),
            Self::Cng => &CNG,
            Self::Ced => &CED,
            Self::Ansam => &ANSAM,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_name_of_its_own() {
        for signal in ToneSignal::ALL {
            assert_eq!(ToneSignal::of(signal.name()), Some(signal));
        }
        assert_eq!(ToneSignal::of("BUSY"), Some(ToneSignal::Progress(ProgressTone::Busy)));
        assert_eq!(ToneSignal::of("engaged"), None);
    }
}
