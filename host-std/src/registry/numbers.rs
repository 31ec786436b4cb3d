//! RTP payload types for the formats of an offer: numbers kept from before, wished ones, static ones, then free ones.
//!
//! Dynamic numbers are 96-127 (RFC 3551, 6); when they run out, 35-63 follow. 64-95 are kept clear of RTCP's packet
//! types (RFC 5761, 4), wished or not. An answer needs none of this: it keeps the offer's numbers.

use dsp_core::time::PayloadType;

use super::CodecFormat;

/// The payload types that are in use.
pub(crate) struct PayloadTypesInUse {
    taken: [bool; 128],
}

impl PayloadTypesInUse {
    /// Creates a set with these payload types in use.
    pub(crate) fn new(taken: impl IntoIterator<Item = PayloadType>) -> Self {
        let mut numbers = Self { taken: [false; 128] };
        taken.into_iter().for_each(|number| numbers.take(number));
        numbers
    }

    /// Marks a number as used.
    pub(crate) fn take(&mut self, number: PayloadType) {
        self.taken[usize::from(number.get())] = true;
    }

    /// Takes this number, if it's free and may be used.
    pub(crate) fn take_if_free(&mut self, number: PayloadType) -> Option<PayloadType> {
        let usable = !(64..96).contains(&number.get()) && !self.taken[usize::from(number.get())];
        usable.then(|| self.take(number))?;
        Some(number)
    }

    /// Takes a free dynamic number; but 101, while others are free: half the world thinks that it is telephone events.
    pub(crate) fn take_dynamic(&mut self) -> Option<PayloadType> {
        let mut dynamic = (96..128).filter(|number| *number != 101).chain(35..64).chain([101]);
        let number = dynamic.find(|number| !self.taken[usize::from(*number)]).and_then(PayloadType::new)?;
        self.take(number);
        Some(number)
    }

    /// Numbers for `formats`, as far as there are any. `kept` are those that they had before in this session: a number
    /// never changes its meaning (RFC 3264, 8.3.2).
    pub(crate) fn assign(&mut self, formats: &[CodecFormat], kept: &[Option<PayloadType>]) -> Vec<Option<PayloadType>> {
        let mut numbers = kept.to_vec();
        for wish in [|format: &CodecFormat| format.payload_type, CodecFormat::static_payload_type] {
            for (number, format) in numbers.iter_mut().zip(formats).filter(|(number, _)| number.is_none()) {
                *number = wish(format).and_then(|wanted| self.take_if_free(wanted));
            }
        }
        for number in numbers.iter_mut().filter(|number| number.is_none()) {
            *number = self.take_dynamic();
        }
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assign(formats: &[CodecFormat]) -> Vec<Option<u8>> {
        let numbers = PayloadTypesInUse::new([]).assign(formats, &vec![None; formats.len()]);
        numbers.into_iter().map(|number| number.map(PayloadType::get)).collect()
    }

    #[test]
    fn clashes_are_resolved() {
        let wish = |number| CodecFormat::new("X", 8_000, 1).with_payload_type(PayloadType::new(number).unwrap());
        let formats = [CodecFormat::opus(), wish(96), wish(96), CodecFormat::pcmu(), wish(72), wish(0)];
        // The wish for 0 was heard before PCMU's static number was given.
        assert_eq!(assign(&formats), [97, 96, 98, 99, 100, 0].map(Some));
    }

    #[test]
    fn dynamic_numbers_run_out_in_order() {
        let numbers = assign(&vec![CodecFormat::opus(); 70]);
        assert_eq!(numbers[..6], [96, 97, 98, 99, 100, 102].map(Some));
        assert_eq!(numbers[31..60].to_vec(), (35..64).map(Some).collect::<Vec<_>>());
        assert_eq!(numbers[60..62], [Some(101), None]);
    }
}
