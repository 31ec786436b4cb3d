//! SRTP beside libsrtp: a packet of 172 bytes (20 ms of G.711) protected and unprotected, under a suite of each kind.
//! Prints a table.
//!
//! Both take turns in short rounds, back and forth, so that whatever else the machine does changes both: what is told
//! is the median of the ratios of rounds that lie side by side, and the fastest round of each. It needs the feature
//! `c-peers`.

#[cfg(feature = "c-peers")]
fn main() {
    // `cargo test --benches` only wants to know that it runs.
    let rounds = if std::env::args().any(|word| word == "--bench") { beside::ROUNDS } else { 2 };
    println!("| SRTP, 172 bytes | ours, ns | libsrtp, ns | ratio |");
    println!("|---|---|---|---|");
    for (_, profile) in media_core_benches::protected::SUITES {
        beside::row(profile, rounds);
    }
}

#[cfg(not(feature = "c-peers"))]
fn main() {
    println!("there is nothing beside ours without the feature c-peers");
}

#[cfg(feature = "c-peers")]
mod beside {
    use std::hint::black_box;
    use std::time::Instant;

    use dsp_core::guard::PacketGuard;
    use dsp_core::guard::srtp::SrtpProfile;
    use media_core_benches::protected::{PACKET, TAG, growing_packet, guards, libsrtps};

    pub(super) const ROUNDS: usize = 1_000;
    /// Packets of a round.
    const PACKETS: usize = 256;

    /// The next packets in sequence, with room for the tag.
    fn packets(seq: &mut u16) -> Vec<Vec<u8>> {
        let packet = |_| {
            *seq = seq.wrapping_add(1);
            growing_packet(*seq)
        };
        (0..PACKETS).map(packet).collect()
    }

    /// Nanoseconds a packet.
    fn timed(packets: &mut [Vec<u8>], mut one: impl FnMut(&mut Vec<u8>)) -> f64 {
        let began = Instant::now();
        packets.iter_mut().for_each(|packet| one(black_box(packet)));
        began.elapsed().as_secs_f64() * 1e9 / PACKETS as f64
    }

    pub(super) fn row(profile: SrtpProfile, rounds: usize) {
        let [mut sender, mut receiver] = guards(profile);
        let [mut their_sender, mut their_receiver] = libsrtps(profile);
        let mut seqs = [0; 2];
        // Ours and theirs, protect and unprotect.
        let mut times = [const { Vec::new() }; 4];
        for round in 0..rounds {
            for step in 0..2 {
                if (round + step) % 2 == 0 {
                    let mut packets = packets(&mut seqs[0]);
                    packets.iter_mut().for_each(|packet| packet.resize(PACKET + TAG, 0));
                    let mut len = 0;
                    times[0].push(timed(&mut packets, |packet| len = sender.protect_rtp(packet, PACKET).unwrap()));
                    times[1].push(timed(&mut packets, |packet| {
                        black_box(receiver.unprotect_rtp(&mut packet[..len]).unwrap());
                    }));
                } else {
                    let mut packets = packets(&mut seqs[1]);
                    times[2].push(timed(&mut packets, |packet| their_sender.protect(packet).unwrap()));
                    times[3].push(timed(&mut packets, |packet| their_receiver.unprotect(packet).unwrap()));
                }
            }
        }
        for (way, name) in ["protect", "unprotect"].into_iter().enumerate() {
            let (ours, theirs) = (&times[way], &times[way + 2]);
            let mut ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
            ratios.sort_by(f64::total_cmp);
            let best = |times: &[f64]| times.iter().fold(f64::MAX, |best, time| best.min(*time));
            let (ours, theirs, ratio) = (best(ours), best(theirs), ratios[ratios.len() / 2]);
            println!("| {}: {name} | {ours:.0} | {theirs:.0} | {ratio:.2} |", profile.sdes_name());
        }
    }
}
