//! Keys between two calls of ours: suites, identifiers, what stays in the clear, and keys that are used up.

use std::net::{Ipv4Addr, SocketAddr};

use dsp_core::guard::GuardError;
use dsp_core::guard::srtp::{KeyAge, KeyTerms, Mki};
use dsp_core::time::{Duration, Instant};
use host_std::registry::CodecFormat;
use host_std::sdp::{CryptoSuite, Unencrypted};
use host_std::session::{Call, CallConfig, Channel, Ending, Identity, Incoming, SrtpOptions};
use media_core_tests::books::Books;
use media_core_tests::tick::Device;

/// Two calls of ours, and the books of what each sends.
struct Pair {
    calls: [Call; 2],
    devices: Vec<Device>,
    now: Instant,
    books: Books,
    sent: [u32; 2],
    refused: Vec<GuardError>,
}

impl Pair {
    fn new(options: [SrtpOptions; 2]) -> Self {
        let mut side = 0;
        let calls = options.map(|srtp_options| {
            side += 1;
            let identity = Identity::seeded(side);
            let codecs = vec![CodecFormat::pcmu()];
            let config =
                CallConfig { codecs, srtp_options, ..CallConfig::with_identity(4_000 + 2 * side as u16, identity) };
            Call::new(config).unwrap()
        });
        Self {
            calls,
            devices: Vec::new(),
            now: Instant::ZERO,
            books: Books::default(),
            sent: [0; 2],
            refused: Vec::new(),
        }
    }

    /// The call with this number offers; what is agreed on is the same on both sides.
    fn agree(&mut self, offerer: usize) -> (CryptoSuite, String, String) {
        let offer = self.calls[offerer].offer().unwrap();
        let answer = self.calls[1 - offerer].answer(self.now, &offer).unwrap();
        self.calls[offerer].accept(self.now, &answer).unwrap();
        if self.devices.is_empty() {
            self.devices = self.calls.iter().map(|call| Device::with_tick(call, 20)).collect();
        }
        let [ours, theirs] = [0, 1].map(|side| self.calls[side].negotiated_transport().unwrap().srtp.clone().unwrap());
        assert!(ours.suite == theirs.suite && ours.outgoing == theirs.incoming && ours.incoming == theirs.outgoing);
        assert_eq!(ours.outgoing.terms(), theirs.incoming.terms());
        (ours.suite, offer, answer)
    }

    fn talk(&mut self, ticks: u32) {
        for _ in 0..ticks {
            for side in 0..2 {
                let mut sent: Vec<(Channel, Vec<u8>)> = Vec::new();
                let speech = |pcm: &mut [i16]| pcm.iter_mut().zip(0i16..).for_each(|(sample, n)| *sample = n * 50);
                self.devices[side].tick(&mut self.calls[side], self.now, speech, |transmit, bytes| {
                    sent.push((transmit.channel, bytes.to_vec()));
                });
                let keys = self.calls[side].negotiated_transport().unwrap().srtp.clone().unwrap();
                let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 4_002 + 2 * side as u16));
                for (channel, mut datagram) in sent {
                    assert!(self.books.enter(&keys.outgoing, keys.suite.profile(), &datagram), "readable with the key");
                    self.sent[side] += 1;
                    if let Incoming::Refused(error) =
                        self.calls[1 - side].receive(self.now, channel, from, &mut datagram)
                    {
                        self.refused.push(error);
                    }
                }
            }
            self.now += Duration::from_millis(20);
        }
    }

    #[track_caller]
    fn assert_heard(&self) {
        for call in &self.calls {
            let stats = call.stats();
            assert!(stats.total.received > 100 && stats.refused == 0, "{stats:?}");
        }
        assert!(self.books.twice.is_empty(), "{:?}", self.books.twice);
    }
}

#[test]
fn a_call_under_each_suite_is_heard_through_new_keys_and_other_suites() {
    for (n, suite) in CryptoSuite::ALL.into_iter().enumerate() {
        // What every phone has is offered as it is; the others by whoever wants them.
        let wanted = SrtpOptions { offered: vec![suite], answered: CryptoSuite::ALL.into(), ..SrtpOptions::default() };
        let offered = if n < 2 { SrtpOptions::default() } else { wanted };
        let taken = if n < 2 { SrtpOptions::only([suite]) } else { SrtpOptions::default() };
        let mut pair = Pair::new([offered, taken]);
        let (agreed, offer, answer) = pair.agree(0);
        assert_eq!(agreed, suite);
        assert!(answer.contains(suite.name()) && answer.matches("a=crypto").count() == 1, "{offer}{answer}");
        pair.talk(400);
        pair.calls[0].rekey().unwrap();
        pair.agree(0);
        pair.talk(100);
        // The other side's offer has its own order: from there on the suite may be another.
        pair.agree(1);
        pair.talk(100);
        pair.assert_heard();
    }
}

#[test]
fn identifiers_and_what_stays_clear_are_agreed_on() {
    let terms = KeyTerms { mki: Mki::new(255, 1), ..KeyTerms::default() };
    for suite in CryptoSuite::ALL {
        let mut offered = SrtpOptions { terms, ..SrtpOptions::only([suite]) };
        let mut pair = Pair::new([offered.clone(), SrtpOptions::default()]);
        let (_, offer, answer) = pair.agree(0);
        assert!(offer.contains("|255:1\r\n") && !answer.contains('|'), "{offer}{answer}");
        pair.talk(300);
        pair.calls[0].rekey().unwrap();
        let (_, offer, _) = pair.agree(0);
        assert!(offer.contains("|0:1\r\n"), "the next key has another identifier: {offer}");
        pair.talk(300);
        pair.assert_heard();
        // Reports in the clear: only by policy, and then both ways.
        offered.terms = KeyTerms { clear_rtcp: true, ..KeyTerms::default() };
        let mut pair = Pair::new([offered.clone(), SrtpOptions::default()]);
        let offer = pair.calls[0].offer().unwrap();
        let error = pair.calls[1].answer(Instant::ZERO, &offer).unwrap_err();
        let words = std::error::Error::source(&error).unwrap().to_string();
        assert!(words.contains("UNENCRYPTED_SRTCP"), "{words}");
        let unencrypted = Unencrypted { rtp: false, rtcp: true };
        let mut pair = Pair::new([offered, SrtpOptions { unencrypted, ..SrtpOptions::default() }]);
        let (_, _, answer) = pair.agree(0);
        assert!(answer.contains(" UNENCRYPTED_SRTCP\r\n"), "{answer}");
        pair.talk(600);
        pair.assert_heard();
    }
}

#[test]
fn a_key_that_is_nearly_used_up_is_replaced_by_the_next_offer_or_ends_the_call() {
    let terms = KeyTerms { lifetime_packets: 200, ..KeyTerms::default() };
    let short = SrtpOptions { terms, ..SrtpOptions::default() };
    for offerer in [0, 1] {
        let mut pair = Pair::new([short.clone(), SrtpOptions::default()]);
        let (_, offer, _) = pair.agree(0);
        assert!(offer.contains("|200\r\n"), "{offer}");
        let mut renewed = 0;
        for _ in 0..600 {
            pair.talk(1);
            if pair.calls[offerer].key_age() != KeyAge::Fresh {
                pair.agree(offerer);
                assert_eq!([0, 1].map(|side| pair.calls[side].key_age()), [KeyAge::Fresh; 2]);
                renewed += 1;
            }
        }
        assert!((5..=6).contains(&renewed), "{renewed}");
        pair.assert_heard();
        // Without a new offer nothing passes any more, and the call says why.
        pair.talk(250);
        assert_eq!(pair.calls[0].key_age(), KeyAge::Over);
        assert_eq!(pair.calls[0].should_end(pair.now), Some(Ending::KeysOver));
        assert!(pair.books.twice.is_empty() && pair.refused.is_empty());
        let sent = pair.sent;
        pair.talk(50);
        assert_eq!(pair.sent[0], sent[0], "nothing is sent under a key that is over");
        // It isn't over for good.
        pair.agree(offerer);
        pair.talk(50);
        assert!(pair.sent[0] > sent[0] + 40 && pair.calls[0].should_end(pair.now).is_none());
    }
}
