//! Adds a codec of your own to a call: eight bits for each sample, the upper ones of 16, under a name of its own.
//!
//! You learn what the registry needs to know about a codec. Its name in SDP, its packets and its sound follow from
//! that.
//!
//! The registration is ten lines. The rest is the codec itself, and a call that proves that it works.

use std::error::Error;

use dsp_core::codec::{CodecInfo, DecodeError, Decoder, EncodeError, Encoder};
use dsp_core::time::Instant;
use host_std::registry::{Codec, CodecDescription, CodecFormat, Made, Registry, Terms};
use host_std::session::{Call, CallConfig};
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::virtual_time::VirtualTime;

struct EightBits;

const INFO: CodecInfo = CodecInfo { name: "X-L8", sample_rate_hz: 16_000, rtp_clock_hz: 16_000, channels: 1 };

impl Codec for EightBits {
    fn formats(&self) -> Vec<CodecFormat> {
        vec![CodecFormat::new(INFO.name, INFO.rtp_clock_hz, INFO.channels)]
    }
    fn describe(&self, _: &CodecFormat) -> CodecDescription {
        CodecDescription { bit_rate_bps: [128_000; 2], ..CodecDescription::new(INFO.sample_rate_hz, INFO.channels) }
    }
    fn encoder(&self, _: &Terms<'_>) -> Made<dyn Encoder + Send> {
        Ok(Box::new(EightBits))
    }
    fn decoder(&self, _: &Terms<'_>) -> Made<dyn Decoder + Send> {
        Ok(Box::new(EightBits))
    }
}

impl Encoder for EightBits {
    fn info(&self) -> CodecInfo {
        INFO
    }
    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, EncodeError> {
        let (need, got) = (pcm.len(), payload.len());
        let payload = payload.get_mut(..need).ok_or(EncodeError::OutputTooSmall { need, got })?;
        payload.iter_mut().zip(pcm).for_each(|(byte, sample)| *byte = (sample >> 8) as u8);
        Ok(need)
    }
    fn reset(&mut self) {}
}

impl Decoder for EightBits {
    fn info(&self) -> CodecInfo {
        INFO
    }
    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        if payload.is_empty() { Err(DecodeError::Empty) } else { Ok(payload.len() as u32) }
    }
    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        self.duration(payload)?;
        let (need, got) = (payload.len(), pcm.len());
        let pcm = pcm.get_mut(..need).ok_or(DecodeError::OutputTooSmall { need, got })?;
        pcm.iter_mut().zip(payload).for_each(|(sample, byte)| *sample = i16::from(*byte as i8) << 8 | 0x80);
        Ok(need)
    }
    fn reset(&mut self) {}
}

fn main() -> Result<(), Box<dyn Error>> {
    let registry = Registry::builtin().with(EightBits);
    let codecs = vec![registry.named("x-l8").ok_or("not registered")?, CodecFormat::pcmu()];
    let call = |port| -> Result<Call, Box<dyn Error>> {
        Ok(Call::new(CallConfig { codecs: codecs.clone(), registry: registry.clone(), ..CallConfig::new(port)? })?)
    };
    let addresses = ["127.0.0.1:4000".parse()?, "127.0.0.1:5000".parse()?];
    let network = NetworkConfig { loss_percent: 5.0, jitter_ms: 10.0, ..NetworkConfig::default() };
    let mut both = VirtualTime::connect([call(4_000)?, call(5_000)?], addresses, network, 0.0, 1)?;
    both.ends[0].speech = (0..16_000).map(|n| (8_000.0 * (f64::from(n) * 0.1).sin()) as i16).collect();
    both.run_until(Instant::from_millis(10_000));
    let heard = &both.ends[1].call;
    let stats = heard.stats().receiver;
    println!("{} at {:?} Hz", heard.codec().ok_or("no codec")?, heard.sample_rate_hz());
    println!(
        "{} packets came, {} samples decoded, {} concealed",
        stats.reception.received, stats.decoded_samples, stats.concealed_samples
    );
    assert!(heard.codec().is_some_and(|codec| codec.is_named("X-L8")) && stats.decoded_samples > 120_000);
    Ok(())
}
