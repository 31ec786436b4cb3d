//! The conversion between a serial audio peripheral (SAI, I2S) and the frame pump: two slots a frame as the peripheral's
//! registers have them, mono `i16` inside.
//!
//! The peripheral's DMA runs in a ring; a HAL's driver reads and writes as many slots as it's given. [`serve`] is the task
//! between such a driver and a [`Pump`]: it takes one slot of each frame, and plays each sample in both.
//!
//! Use it where a HAL has a driver of the peripheral, with a ring of its own; where the DMA's interrupt is your own, call
//! [`Pump::half_transfer`] there. Limits: two slots a frame, one microphone.
//!
//! The future may be dropped midway only for good: samples that a driver had already copied would be lost. The phone's side,
//! which is dropped whenever a packet comes first, is the pump's port, and loses nothing.
//!
//! ```
//! # use embassy_futures::block_on;
//! # use host_embedded::pump::Pump;
//! use host_embedded::slots::{Bits24, SlotReader, SlotWriter, serve};
//!
//! # struct Rx(u32);
//! # impl SlotReader<u32> for Rx {
//! #     type Error = &'static str;
//! #     async fn read(&mut self, slots: &mut [u32]) -> Result<(), &'static str> {
//! #         slots.fill(0x00_3000);
//! #         self.0 += 1;
//! #         if self.0 > 2 { Err("the ring was overrun") } else { Ok(()) }
//! #     }
//! # }
//! # struct Tx(u32);
//! # impl SlotWriter<u32> for Tx {
//! #     type Error = &'static str;
//! #     async fn write(&mut self, _: &[u32]) -> Result<(), &'static str> { self.0 += 1; Ok(()) }
//! # }
//! # let (mut rx, mut tx) = (Rx(0), Tx(0));
//! static PUMP: Pump<80, 3> = Pump::new();
//!
//! // 10 ms at 8 kHz, 24 bits a slot, the microphone in the left one.
//! let mut frames = [[0; 2]; 80];
//! let why = block_on(serve::<Bits24, _, _, 80, 3>(&PUMP, &mut rx, &mut tx, &mut frames, 0));
//! # assert_eq!(why, host_embedded::slots::Stopped::Reader("the ring was overrun"));
//! # assert_eq!(PUMP.counters().captured, 2);
//! // An overrun, say: both directions are started again, and it's called again.
//! # let _ = why;
//! ```

use crate::pump::Pump;

/// The layout of a sample in a slot's register.
///
/// A peripheral whose slots are 16 bits in the upper half of a word:
///
/// ```
/// use host_embedded::slots::SlotFormat;
///
/// struct UpperHalf;
///
/// impl SlotFormat for UpperHalf {
///     type Word = u32;
///
///     fn sample(word: u32) -> i16 {
///         (word >> 16) as i16
///     }
///     fn word(sample: i16) -> u32 {
///         u32::from(sample as u16) << 16
///     }
/// }
///
/// assert_eq!(UpperHalf::word(-2), 0xfffe_0000);
/// assert_eq!(UpperHalf::sample(UpperHalf::word(-2)), -2);
/// ```
pub trait SlotFormat {
    /// The register.
    type Word: Copy;

    /// Returns the nearest 16 bits.
    fn sample(word: Self::Word) -> i16;

    /// Returns the same sound in a slot.
    fn word(sample: i16) -> Self::Word;
}

/// 16 bits in a register of 16.
#[derive(Clone, Copy, Debug)]
pub enum Bits16 {}

impl SlotFormat for Bits16 {
    type Word = u16;

    fn sample(word: u16) -> i16 {
        word as i16
    }

    fn word(sample: i16) -> u16 {
        sample as u16
    }
}

/// The format of 24 bits at the lower end of a register of 32, as SAI has them; the bits above are ignored when read, and written
/// as 0.
#[derive(Clone, Copy, Debug)]
pub enum Bits24 {}

impl SlotFormat for Bits24 {
    type Word = u32;

    fn sample(word: u32) -> i16 {
        Bits32::sample(word << 8)
    }

    fn word(sample: i16) -> u32 {
        Bits32::word(sample) >> 8
    }
}

/// 32 bits; also 24 bits or fewer at the upper end.
#[derive(Clone, Copy, Debug)]
pub enum Bits32 {}

impl SlotFormat for Bits32 {
    type Word = u32;

    fn sample(word: u32) -> i16 {
        // Rounded: bits that are cut off would be a DC of half a step.
        ((word as i32).saturating_add(0x8000) >> 16) as i16
    }

    fn word(sample: i16) -> u32 {
        (i32::from(sample) << 16) as u32
    }
}

/// A peripheral's receiving side.
#[allow(async_fn_in_trait, reason = "a phone has one core and one executor: its futures need not be Send")]
pub trait SlotReader<W> {
    /// The reason why it stopped.
    type Error;

    /// Waits until all these slots have come.
    ///
    /// # Errors
    /// An error if some were lost.
    async fn read(&mut self, slots: &mut [W]) -> Result<(), Self::Error>;
}

/// A peripheral's sending side.
#[allow(async_fn_in_trait, reason = "a phone has one core and one executor: its futures need not be Send")]
pub trait SlotWriter<W> {
    /// The reason why it stopped.
    type Error;

    /// Waits until all these slots have room.
    ///
    /// # Errors
    /// An error if there was a gap before them.
    async fn write(&mut self, slots: &[W]) -> Result<(), Self::Error>;
}

/// The side that stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Stopped<R, W> {
    /// The receiving one.
    Reader(R),
    /// The sending one.
    Writer(W),
}

/// Carries frames between a peripheral and a pump until one side stops. The microphone is in slot `microphone`, 0 or 1 (any value
/// but 0 counts as 1); the played sound is in both. `frames` is room for a frame; its initial content is played first.
pub async fn serve<F: SlotFormat, R, W, const FRAME: usize, const DEPTH: usize>(
    pump: &Pump<FRAME, DEPTH>,
    reader: &mut R,
    writer: &mut W,
    frames: &mut [[F::Word; 2]; FRAME],
    microphone: usize,
) -> Stopped<R::Error, W::Error>
where
    R: SlotReader<F::Word>,
    W: SlotWriter<F::Word>,
{
    let mut captured = [0; FRAME];
    let mut playback = [0; FRAME];
    loop {
        if let Err(error) = reader.read(frames.as_flattened_mut()).await {
            return Stopped::Reader(error);
        }
        for (sample, frame) in captured.iter_mut().zip(frames.iter()) {
            *sample = F::sample(frame[usize::from(microphone != 0)]);
        }
        pump.half_transfer(&captured, &mut playback);
        for (frame, &sample) in frames.iter_mut().zip(&playback) {
            *frame = [F::word(sample); 2];
        }
        if let Err(error) = writer.write(frames.as_flattened()).await {
            return Stopped::Writer(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use core::future::{Future, poll_fn};
    use core::pin::pin;
    use core::task::Poll;
    use std::vec::Vec;

    use embassy_futures::block_on;

    use super::*;
    use crate::port::AudioPort;

    #[test]
    fn samples_are_the_same_in_every_format_and_rounded() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(Bits16::sample(Bits16::word(sample)), sample);
            assert_eq!(Bits24::sample(Bits24::word(sample)), sample);
            assert_eq!(Bits32::sample(Bits32::word(sample)), sample);
        }
        assert_eq!(Bits24::word(-2), 0xff_fe00);
        // Half a step is rounded up, less than half down, and the largest stays the largest.
        assert_eq!(
            [0x00_007f, 0x00_0080, 0xff_ff7f, 0xff_ff80, 0x7f_ffff].map(Bits24::sample),
            [0, 1, -1, 0, i16::MAX]
        );
        assert_eq!([0x7fff, 0x8000, 0x7fff_ffff, 0x8000_0000].map(Bits32::sample), [0, 1, i16::MAX, i16::MIN]);
        // What is above 24 bits is of no account.
        assert_eq!(Bits24::sample(0xaa00_0200), 2);
    }

    /// A line of frames, and what was played.
    struct Codec {
        frames: Vec<[[u16; 2]; 4]>,
        played: Vec<u16>,
    }

    struct Rx<'a>(&'a core::cell::RefCell<Codec>);
    struct Tx<'a>(&'a core::cell::RefCell<Codec>, usize);

    impl SlotReader<u16> for Rx<'_> {
        type Error = ();
        async fn read(&mut self, slots: &mut [u16]) -> Result<(), ()> {
            let mut codec = self.0.borrow_mut();
            if codec.frames.is_empty() {
                return Err(());
            }
            slots.copy_from_slice(codec.frames.remove(0).as_flattened());
            Ok(())
        }
    }

    impl SlotWriter<u16> for Tx<'_> {
        type Error = &'static str;
        async fn write(&mut self, slots: &[u16]) -> Result<(), &'static str> {
            if self.1 == 0 {
                return Err("a gap");
            }
            self.1 -= 1;
            self.0.borrow_mut().played.extend(slots);
            Ok(())
        }
    }

    #[test]
    fn one_slot_is_heard_and_both_are_played_until_a_side_stops() {
        let frame = |first: u16| core::array::from_fn(|i| [first + i as u16, 900]);
        for (microphone, heard) in [(0, [10, 11, 12, 13]), (1, [900; 4])] {
            let pump: Pump<4, 3> = Pump::new();
            let codec =
                core::cell::RefCell::new(Codec { frames: Vec::from([frame(10), frame(20)]), played: Vec::new() });
            let (mut rx, mut tx) = (Rx(&codec), Tx(&codec, 9));
            let mut port = pump.port();
            block_on(port.write(&[1, -2, 3, -4])).expect("it has room");
            let mut room = [[0; 2]; 4];
            let stopped = block_on(serve::<Bits16, _, _, 4, 3>(&pump, &mut rx, &mut tx, &mut room, microphone));
            assert_eq!(stopped, Stopped::Reader(()));
            let mut pcm = [0; 4];
            block_on(port.read(&mut pcm)).expect("no frame was lost");
            assert_eq!(pcm, heard);
            assert_eq!(codec.borrow().played[..8], [1, 1, 0xfffe, 0xfffe, 3, 3, 0xfffc, 0xfffc]);
            assert_eq!(codec.borrow().played[8..], [0; 8]);
        }
        let pump: Pump<4, 3> = Pump::new();
        let codec = core::cell::RefCell::new(Codec { frames: Vec::from([frame(1)]), played: Vec::new() });
        let (mut rx, mut tx) = (Rx(&codec), Tx(&codec, 0));
        let stopped = block_on(serve::<Bits16, _, _, 4, 3>(&pump, &mut rx, &mut tx, &mut [[0; 2]; 4], 0));
        assert_eq!(stopped, Stopped::Writer("a gap"));
    }

    /// The phone's side is dropped at any time and loses nothing: the frame that comes next is there.
    #[test]
    fn a_read_that_is_dropped_loses_no_frame() {
        let pump: Pump<4, 3> = Pump::new();
        let mut port = pump.port();
        let mut pcm = [0; 4];
        {
            let mut read = pin!(port.read(&mut pcm));
            block_on(poll_fn(|context| {
                assert!(read.as_mut().poll(context).is_pending());
                Poll::Ready(())
            }));
        }
        let frames = Vec::from([[[7, 0]; 4], [[8, 0]; 4]]);
        let codec = core::cell::RefCell::new(Codec { frames, played: Vec::new() });
        let (mut rx, mut tx) = (Rx(&codec), Tx(&codec, 9));
        block_on(serve::<Bits16, _, _, 4, 3>(&pump, &mut rx, &mut tx, &mut [[0; 2]; 4], 0));
        for expected in [7, 8] {
            block_on(port.read(&mut pcm)).expect("no frame was lost");
            assert_eq!(pcm, [expected; 4]);
        }
        // Then it waits.
        let waits = block_on(embassy_futures::select::select(port.read(&mut pcm), async {
            embassy_futures::yield_now().await;
        }));
        assert!(matches!(waits, embassy_futures::select::Either::Second(())));
    }
}
