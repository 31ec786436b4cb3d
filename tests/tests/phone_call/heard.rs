//! What is looked for in sound and in packets.

/// The amplitude of a tone in this.
pub(super) fn amplitude(pcm: &[i16], hz: u32, rate_hz: u32) -> f64 {
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (n, sample) in pcm.iter().enumerate() {
        let turn = n as f64 * f64::from(hz) * std::f64::consts::TAU / f64::from(rate_hz);
        real += f64::from(*sample) * turn.cos();
        imaginary += f64::from(*sample) * turn.sin();
    }
    2.0 * real.hypot(imaginary) / pcm.len() as f64
}

/// The IPv4 packets that a capture of Ethernet holds, from this port of UDP.
pub(super) fn packets_from(pcap: &[u8], port: u16) -> Vec<&[u8]> {
    let word = |at: usize| u32::from_le_bytes(pcap[at..at + 4].try_into().unwrap());
    assert_eq!((word(0), word(20)), (0xa1b2_c3d4, 1), "a capture of Ethernet, little-endian");
    let (mut at, mut found) = (24, Vec::new());
    while at + 16 <= pcap.len() {
        let len = word(at + 8) as usize;
        let frame = &pcap[at + 16..at + 16 + len];
        at += 16 + len;
        if len > 43 && frame[12..15] == [0x08, 0x00, 0x45] && frame[23] == 17 && frame[34..36] == port.to_be_bytes() {
            found.push(&frame[14..]);
        }
    }
    found
}

/// Seconds of what was heard.
pub(super) fn seconds(heard: &[i16], rate_hz: u32, from: f64, to: f64) -> &[i16] {
    let at = |seconds: f64| ((seconds * f64::from(rate_hz)) as usize).min(heard.len());
    &heard[at(from)..at(to)]
}

pub(super) fn loudest(pcm: &[i16]) -> u16 {
    pcm.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0)
}

/// The longest silence, in seconds.
pub(super) fn longest_silence(pcm: &[i16], rate_hz: u32) -> f64 {
    let mut longest = 0;
    let mut silent = 0;
    for sample in pcm {
        silent = if sample.unsigned_abs() < 30 { silent + 1 } else { 0 };
        longest = longest.max(silent);
    }
    f64::from(longest) / f64::from(rate_hz)
}
