//! What a tone says, by name: those of a call's progress (ITU-T E.180), and those of faxes and modems (T.30, V.25, V.8).

use super::progress::{ANSAM, CED, CNG, Country, ProgressTone, Segment};

/// What a tone is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ToneSignal {
    /// One of a call's progress.
    Progress(ProgressTone),
    /// A fax calls (T.30).
    Cng,
    /// A fax or a modem answers (V.25).
    Ced,
    /// A modem answers by V.8.
    Ansam,
}

impl ToneSignal {
    /// All there are.
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

    /// Its name on the command line and in reports.
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

    /// The one with this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.name().eq_ignore_ascii_case(name))
    }

    /// What it is made of in a country; those of faxes and modems are the same everywhere.
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
