//! The destination of a recording: WAV, or Ogg Opus.

use std::error::Error;
use std::path::Path;

use super::{RecordError, RecorderConfig};
use crate::wav::WavSink;

/// The reason why a sink doesn't take sound.
pub type SinkError = Box<dyn Error + Send + Sync>;

/// A destination of interleaved sound, on the thread that writes; it may block.
pub trait SoundSink: Send {
    /// Appends whole frames.
    ///
    /// # Errors
    /// The error that keeps the sound from being written. The recording ends then, and [`SoundSink::finish`] isn't called: the
    /// part that is written must stay readable.
    fn write(&mut self, interleaved: &[i16]) -> Result<(), SinkError>;

    /// Ends the file.
    ///
    /// # Errors
    /// A [`SinkError`] that says why the end can't be written.
    fn finish(self: Box<Self>) -> Result<(), SinkError>;
}

impl SoundSink for WavSink {
    fn write(&mut self, interleaved: &[i16]) -> Result<(), SinkError> {
        Ok(Self::write(self, interleaved)?)
    }

    fn finish(self: Box<Self>) -> Result<(), SinkError> {
        Ok(Self::finish(*self)?)
    }
}

/// Makes the sink of a file.
pub type Opener = Box<dyn FnMut(&Path) -> Result<Box<dyn SoundSink>, SinkError> + Send>;

pub(super) fn opener(config: &RecorderConfig) -> Result<Opener, RecordError> {
    let wrong = |why: String| RecordError { path: config.path.clone(), why };
    let (rate_hz, channels) = (config.sample_rate_hz, config.channels());
    let ending = config.path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_lowercase();
    match ending.as_str() {
        "wav" => Ok(Box::new(move |path| Ok(Box::new(WavSink::create_with(path, rate_hz, channels as u16)?)))),
        #[cfg(feature = "opus")]
        "opus" | "ogg" => {
            if channels > 2 {
                return Err(wrong(format!("{channels} channels; an Ogg Opus file has 1 or 2 here")));
            }
            Ok(Box::new(move |path| Ok(Box::new(opus::OpusSink::create(path, rate_hz, channels as u8)?))))
        }
        #[cfg(not(feature = "opus"))]
        "opus" | "ogg" => Err(wrong("this program is built without Opus".into())),
        _ => Err(wrong("its name must end in .wav, .opus or .ogg".into())),
    }
}

#[cfg(feature = "opus")]
mod opus {
    use std::path::Path;

    use dsp_core::codec::Encoder;

    use super::{SinkError, SoundSink};
    use crate::opus::{MAX_PAYLOAD, OpusApplication, OpusEncoder, OpusEncoderConfig};
    use crate::opus_file::{OpusFileWriter, OpusHead};
    use crate::output::OutputFile;

    /// Ticks of 48 kHz in a frame of 20 ms.
    const FRAME_TICKS: u32 = 960;

    /// An Ogg Opus file that grows by a page a second.
    pub(super) struct OpusSink {
        writer: Option<OpusFileWriter<OutputFile>>,
        encoder: OpusEncoder,
        channels: usize,
        /// Samples of a frame, all channels together; and those that wait for it to be whole.
        frame: usize,
        waiting: Vec<i16>,
        rate_hz: u32,
        frames: u64,
        pre_skip: u64,
    }

    impl OpusSink {
        pub(super) fn create(path: &Path, rate_hz: u32, channels: u8) -> Result<Self, SinkError> {
            let encoder = OpusEncoder::new(OpusEncoderConfig {
                sample_rate_hz: rate_hz,
                channels,
                application: OpusApplication::Audio,
                bitrate_bps: 32_000 * u32::from(channels),
                ..OpusEncoderConfig::default()
            })?;
            let pre_skip = encoder.lookahead() as u64 * 48_000 / u64::from(rate_hz);
            let head = OpusHead { channels, pre_skip: pre_skip as u16, input_rate_hz: rate_hz, gain_q8: 0 };
            // There is no buffer, so that a page is on its way to the disk once it is whole.
            let file = OutputFile::in_place(path)?;
            let frame = rate_hz as usize / 50 * usize::from(channels);
            Ok(Self {
                writer: Some(OpusFileWriter::new(file, head)?),
                encoder,
                channels: usize::from(channels),
                frame,
                waiting: Vec::with_capacity(2 * frame),
                rate_hz,
                frames: 0,
                pre_skip,
            })
        }

        fn encode(&mut self, frame: &[i16]) -> Result<(), SinkError> {
            let mut payload = [0; MAX_PAYLOAD];
            let bytes = self.encoder.encode(frame, &mut payload)?;
            let Some(writer) = &mut self.writer else { return Ok(()) };
            writer.packet(&payload[..bytes], FRAME_TICKS)?;
            Ok(())
        }
    }

    impl SoundSink for OpusSink {
        fn write(&mut self, interleaved: &[i16]) -> Result<(), SinkError> {
            self.frames += (interleaved.len() / self.channels) as u64;
            self.waiting.extend_from_slice(interleaved);
            let waiting = std::mem::take(&mut self.waiting);
            let whole = waiting.len() / self.frame * self.frame;
            for frame in waiting[..whole].chunks(self.frame) {
                self.encode(frame)?;
            }
            self.waiting = waiting;
            self.waiting.drain(..whole);
            Ok(())
        }

        fn finish(mut self: Box<Self>) -> Result<(), SinkError> {
            // The encoder's delay has to come out too.
            let heard = self.frames * 48_000 / u64::from(self.rate_hz);
            let left = self.waiting.len() as u64 / self.channels as u64 * 48_000 / u64::from(self.rate_hz);
            let mut rest = std::mem::take(&mut self.waiting);
            let frames = (left + self.pre_skip).div_ceil(u64::from(FRAME_TICKS)) as usize;
            rest.resize(frames * self.frame, 0);
            for frame in rest.chunks(self.frame) {
                self.encode(frame)?;
            }
            let Some(writer) = self.writer.take() else { return Ok(()) };
            writer.finish(heard)?.finish()?;
            Ok(())
        }
    }
}
