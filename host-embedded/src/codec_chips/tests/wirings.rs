//! Wirings with the pins that none of the defaults has.

use crate::codec_chips::{Pins, Wiring, nau88c22, sgtl5000, tlv320aic3104, wm8960, wm8994};

pub(super) fn wm8960() -> wm8960::Wm8960 {
    use wm8960::{Wm8960, Wm8960Input, Wm8960Output};
    let wiring = Wiring {
        handset: Pins { output: Wm8960Output::SpeakerLeft, input: Wm8960Input::Differential3 },
        headset: Pins { output: Wm8960Output::Headphones, input: Wm8960Input::Single },
        speakerphone: Pins { output: Wm8960Output::Speakers, input: Wm8960Input::Differential2 },
        line: Pins { output: Wm8960Output::HeadphoneLeft, input: Wm8960Input::Line2 },
    };
    Wm8960 { wiring }
}

pub(super) fn sgtl5000() -> sgtl5000::Sgtl5000 {
    use sgtl5000::{Sgtl5000, Sgtl5000Input, Sgtl5000Output};
    let wiring = Wiring {
        handset: Pins { output: Sgtl5000Output::LineOut, input: Sgtl5000Input::Microphone },
        headset: Pins { output: Sgtl5000Output::Headphones, input: Sgtl5000Input::LineIn },
        speakerphone: Pins { output: Sgtl5000Output::LineOut, input: Sgtl5000Input::LineIn },
        line: Pins { output: Sgtl5000Output::Headphones, input: Sgtl5000Input::LineIn },
    };
    Sgtl5000 { address: 0x2a, vdda_mv: 1_800, vddio_mv: 1_800, vddd: false, capless: false, wiring }
}

pub(super) fn nau88c22() -> nau88c22::Nau88c22 {
    use nau88c22::{Nau88c22, Nau88c22Input, Nau88c22Output};
    let wiring = Wiring {
        handset: Pins { output: Nau88c22Output::Speaker, input: Nau88c22Input::Single },
        headset: Pins { output: Nau88c22Output::HeadphoneLeft, input: Nau88c22Input::Differential },
        speakerphone: Pins { output: Nau88c22Output::Speaker, input: Nau88c22Input::Line },
        line: Pins { output: Nau88c22Output::HeadphoneLeft, input: Nau88c22Input::Line },
    };
    Nau88c22 { speaker_above_3v6: true, wiring }
}

pub(super) fn tlv320aic3104() -> tlv320aic3104::Tlv320Aic3104 {
    use tlv320aic3104::{Tlv320Aic3104, Tlv320Aic3104Input, Tlv320Aic3104Output};
    let wiring = Wiring {
        handset: Pins { output: Tlv320Aic3104Output::Headphones, input: Tlv320Aic3104Input::Single1 },
        headset: Pins { output: Tlv320Aic3104Output::Earpiece, input: Tlv320Aic3104Input::Line2 },
        speakerphone: Pins { output: Tlv320Aic3104Output::LineOut, input: Tlv320Aic3104Input::Single1 },
        line: Pins { output: Tlv320Aic3104Output::Headphones, input: Tlv320Aic3104Input::Line2 },
    };
    Tlv320Aic3104 { wiring }
}

pub(super) fn wm8994() -> wm8994::Wm8994 {
    use wm8994::{Wm8994, Wm8994Input, Wm8994Output};
    let wiring = Wiring {
        handset: Pins { output: Wm8994Output::HeadphoneLeft, input: Wm8994Input::Digital1 },
        headset: Pins { output: Wm8994Output::Headphones, input: Wm8994Input::Differential },
        speakerphone: Pins { output: Wm8994Output::Speakers, input: Wm8994Input::Digital2 },
        line: Pins { output: Wm8994Output::Speakers, input: Wm8994Input::Differential },
    };
    Wm8994 { address: 0x1b, wiring }
}
