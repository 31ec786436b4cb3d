//! Wirings with the pins that none of the defaults has.

use crate::codec_chips::{Wiring, nau88c22, sgtl5000, tlv320aic3104, wm8960, wm8994};

pub(super) fn wm8960() -> wm8960::Wm8960 {
    use wm8960::{Input, Output, Pins, Wm8960};
    let wiring = Wiring {
        handset: Pins { output: Output::SpeakerLeft, input: Input::Differential3 },
        headset: Pins { output: Output::Headphones, input: Input::Single },
        speakerphone: Pins { output: Output::Speakers, input: Input::Differential2 },
        line: Pins { output: Output::HeadphoneLeft, input: Input::Line2 },
    };
    Wm8960 { wiring }
}

pub(super) fn sgtl5000() -> sgtl5000::Sgtl5000 {
    use sgtl5000::{Input, Output, Pins, Sgtl5000};
    let wiring = Wiring {
        handset: Pins { output: Output::LineOut, input: Input::Microphone },
        headset: Pins { output: Output::Headphones, input: Input::LineIn },
        speakerphone: Pins { output: Output::LineOut, input: Input::LineIn },
        line: Pins { output: Output::Headphones, input: Input::LineIn },
    };
    Sgtl5000 { address: 0x2a, vdda_mv: 1_800, vddio_mv: 1_800, vddd: false, capless: false, wiring }
}

pub(super) fn nau88c22() -> nau88c22::Nau88c22 {
    use nau88c22::{Input, Nau88c22, Output, Pins};
    let wiring = Wiring {
        handset: Pins { output: Output::Speaker, input: Input::Single },
        headset: Pins { output: Output::HeadphoneLeft, input: Input::Differential },
        speakerphone: Pins { output: Output::Speaker, input: Input::Line },
        line: Pins { output: Output::HeadphoneLeft, input: Input::Line },
    };
    Nau88c22 { speaker_above_3v6: true, wiring }
}

pub(super) fn tlv320aic3104() -> tlv320aic3104::Tlv320Aic3104 {
    use tlv320aic3104::{Input, Output, Pins, Tlv320Aic3104};
    let wiring = Wiring {
        handset: Pins { output: Output::Headphones, input: Input::Single1 },
        headset: Pins { output: Output::Earpiece, input: Input::Line2 },
        speakerphone: Pins { output: Output::LineOut, input: Input::Single1 },
        line: Pins { output: Output::Headphones, input: Input::Line2 },
    };
    Tlv320Aic3104 { wiring }
}

pub(super) fn wm8994() -> wm8994::Wm8994 {
    use wm8994::{Input, Output, Pins, Wm8994};
    let wiring = Wiring {
        handset: Pins { output: Output::HeadphoneLeft, input: Input::Digital1 },
        headset: Pins { output: Output::Headphones, input: Input::Differential },
        speakerphone: Pins { output: Output::Speakers, input: Input::Digital2 },
        line: Pins { output: Output::Speakers, input: Input::Differential },
    };
    Wm8994 { address: 0x1b, wiring }
}
