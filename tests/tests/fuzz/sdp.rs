//! Fuzzing of the SDP reader: whatever the other side writes, `answer` and `accept` return, what they agree on is
//! within its bounds, and our answer can be read back.
//!
//! Plain `cargo test` runs bolero's random engine for a second a target; `BOLERO_RANDOM_TEST_TIME_MS` sets another
//! time.

use std::collections::HashSet;

use bolero::check;
use host_std::registry::{Registry, Terms};
use host_std::sdp::{
    CandidateKind, CodecFormat, CryptoLine, CryptoSuite, Direction, ExtensionKind, ExtensionOptions, FeedbackOptions,
    IceCandidate, IceCredentials, LocalIce, LocalMedia, LocalStream, MAX_CANDIDATES, MAX_STREAMS, MasterKey,
    Negotiated, OfferExtensions, SdpError, SrtpPolicy, Unencrypted, accept, answer, offer,
};

/// A description with a bit of everything.
const SEED: &str = "v=0\r
o=- 20518 0 IN IP4 203.0.113.1\r
s=-\r
i=x\r
b=AS:64\r
c=IN IP4 203.0.113.1\r
t=0 0\r
r=7d 1h 0 25h\r
a=sendrecv\r
m=audio 54400/2 RTP/SAVPF 0 8 9 96 97 101 102\r
c=IN IP4 198.51.100.9/3\r
a=rtpmap:0 PCMU/8000/1\r
a=rtpmap:96 opus/48000/2\r
a=fmtp:96 minptime=10; useinbandfec=1\r
a=rtpmap:97 L16/16000\r
a=rtpmap:101 telephone-event/8000\r
a=fmtp:101 0-15,16,255-0\r
a=rtpmap:102 telephone-event/48000\r
a=ptime:20\r
a=maxptime:60.5\r
a=rtcp:53020 IN IP6 ::ffff:126.16.64.4\r
a=rtcp-mux\r
a=rtcp-rsize\r
a=rtcp-fb:* transport-cc\r
a=rtcp-fb:96 nack\r
a=rtcp-fb:* trr-int 2000\r
a=extmap-allow-mixed\r
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level vad=off\r
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r
a=extmap:4/sendonly urn:ietf:params:rtp-hdrext:csrc-audio-level\r
a=extmap:4097 urn:ietf:params:rtp-hdrext:sdes:mid\r
a=ice-ufrag:8hhY\r
a=ice-pwd:asd88fgpdd777uzjYhagZg\r
a=ice-options:ice2 trickle\r
a=candidate:1 1 UDP 2130706431 203.0.113.141 8998 typ host generation 0\r
a=candidate:2 1 UDP 1694498815 2001:db8::3 45664 typ srflx raddr 203.0.113.141 rport 8998\r
a=candidate:3 1 udp 1 7f3c2a10.local 9 typ host\r
a=candidate:4 2 tcp 1 203.0.113.141 9 typ relay tcptype active\r
a=remote-candidates:1 203.0.113.1 5000 2 203.0.113.1 5001\r
a=end-of-candidates\r
a=inactive\r
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4 KDR=1\r
a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^31 WSH=64\r
m=video 53000 RTP/AVP 32\r
m=audio 54500 RTP/AVP 0\r
m=image 1 udptl t38\r
";

/// Several streams over one port, with what BUNDLE may get wrong: names that two have or nobody has, numbers that two
/// streams have, sections without a port.
const BUNDLED: &str = "v=0\r
o=- 20518 0 IN IP4 203.0.113.1\r
s=-\r
c=IN IP4 203.0.113.1\r
t=0 0\r
a=group:BUNDLE foo bar nobody zen\r
a=group:LS foo bar\r
m=audio 54400 RTP/AVP 0 9\r
a=mid:foo\r
a=rtcp-mux\r
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r
m=audio 0 RTP/AVP 96 0 101\r
a=mid:bar\r
a=bundle-only\r
a=extmap:200 urn:ietf:params:rtp-hdrext:sdes:mid\r
a=rtpmap:96 PCMU/8000\r
a=rtpmap:101 telephone-event/8000\r
a=sendonly\r
m=video 54400 RTP/AVP 32\r
a=mid:zen\r
m=audio 54402 RTP/AVP 0\r
a=mid:foo2\r
m=audio 0 RTP/AVP 97\r
a=mid:over\r
a=rtpmap:97 L16/16000\r
a=inactive\r
";

/// Pieces that are likely to hit a special case.
const PIECES: [&str; 44] = [
    "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\n",
    "a=extmap:4096/recvonly urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n",
    "a=extmap:15 urn:ietf:params:rtp-hdrext:csrc-audio-level\r\n",
    "a=rtcp-fb:* transport-cc\r\n",
    "a=rtcp-fb:0 trr-int 60000\r\n",
    "0",
    "65535",
    "65536",
    "-1",
    "4294967296",
    "99999999999999999999",
    "",
    " ",
    "\r",
    "\n",
    "\r\n",
    "/",
    ":",
    "=",
    "m=audio 1 RTP/AVP 0\r\n",
    "m=audio 0 RTP/AVP 0\r\n",
    "a=mid:foo\r\n",
    "a=mid:bar\r\n",
    "a=mid:0\r\n",
    "a=mid:1\r\n",
    "a=group:BUNDLE 0 1\r\n",
    "a=group:BUNDLE bar foo\r\n",
    "a=bundle-only\r\n",
    "a=inactive\r\n",
    "a=rtcp-mux\r\n",
    "c=IN IP4 0.0.0.0\r\n",
    "a=",
    "a=rtpmap:",
    "a=crypto:3 AEAD_AES_256_GCM inline:AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=|2^20|1:4\r\n",
    " UNENCRYPTED_SRTCP",
    " KDR=1",
    "|1:4",
    "|2^20",
    "|",
    ";",
    "\0",
    "\u{feff}",
    "é",
    "*",
];

fn local(srtp: SrtpPolicy, streams: usize) -> LocalMedia {
    let key = |tag: u8, suite| CryptoLine { tag: tag.into(), suite, key: MasterKey::from_bytes(&[tag; 30]) };
    LocalMedia {
        rtp_port: 4000,
        streams: vec![
            LocalStream::of([
                CodecFormat::opus(),
                CodecFormat::pcmu(),
                CodecFormat::g722(),
                CodecFormat::l16(16_000, 1),
            ]);
            streams
        ],
        srtp,
        crypto: vec![key(1, CryptoSuite::AesCm128HmacSha1_80), key(2, CryptoSuite::AesCm128HmacSha1_32)],
        crypto_answered: vec![CryptoLine {
            tag: 3,
            suite: CryptoSuite::AeadAes256Gcm,
            key: MasterKey::of(CryptoSuite::AeadAes256Gcm.profile(), &[7; 44]).unwrap(),
        }],
        unencrypted: Unencrypted { rtp: false, rtcp: true },
        extensions: ExtensionOptions { offer: OfferExtensions::Always, ..ExtensionOptions::default() },
        feedback: FeedbackOptions { profile: srtp != SrtpPolicy::Off, ..FeedbackOptions::default() },
        ..Default::default()
    }
}

fn ice(lite: bool) -> LocalIce {
    let here = "192.0.2.1:4000".parse().unwrap();
    LocalIce {
        credentials: IceCredentials::from_random(&[7; 32]),
        lite,
        required: false,
        candidates: vec![IceCandidate::new(CandidateKind::Host, here, here, u16::MAX)],
        complete: true,
        selected: None,
        hides_host: false,
    }
}

/// What holds of every agreement: something to send in each stream, and payload types that tell the streams apart.
fn assert_sound(local: &LocalMedia, agreed: &Negotiated) {
    assert!(local.srtp != SrtpPolicy::Required || agreed.transport.srtp.is_some());
    assert!(agreed.transport.remote_rtp.port() != 0 && agreed.transport.remote_rtcp.port() != 0);
    assert_eq!(agreed.streams.len(), local.streams.len());
    let streams: Vec<_> = agreed.streams.iter().flatten().collect();
    assert!(!streams.is_empty() && streams.len() + agreed.refused.len() <= MAX_STREAMS);
    if let Ok(ice) = &agreed.transport.ice {
        let remote = &ice.remote;
        assert!(local.ice.is_some() && agreed.transport.rtcp_mux && !(ice.lite && remote.lite));
        assert!(remote.candidates.len() <= MAX_CANDIDATES && remote.selected.len() <= 2);
        assert!(remote.credentials.ufrag.len() >= 4 && remote.credentials.pwd.len() >= 22);
        assert!(remote.candidates.iter().all(|one| one.priority < 1 << 31 && one.address.port() != 0));
    }
    let bundle = &agreed.transport.bundle;
    assert!(streams.len() == 1 || bundle.len() == streams.len() && agreed.transport.rtcp_mux);
    assert!(bundle.iter().all(|mid| streams.iter().any(|stream| stream.mid.as_ref() == Some(mid))));
    let mut numbers = HashSet::new();
    for stream in &streams {
        assert!((10..=60).contains(&stream.send_ptime_ms));
        assert!(!stream.send.is_empty() && stream.send.len() == stream.receive.len());
        let own = stream.receive.iter().map(|codec| codec.payload_type);
        let own = own.chain(stream.receive_events.iter().map(|events| events.payload_type)).collect::<HashSet<_>>();
        assert!(own.into_iter().all(|number| numbers.insert(number)), "{agreed:?}");
    }
    for stream in &streams {
        let mut ids = HashSet::new();
        for kind in ExtensionKind::ALL {
            let Some(extension) = stream.extensions.get(kind) else { continue };
            assert!(extension.id != 0 && extension.id != 15 && ids.insert(extension.id), "{agreed:?}");
            assert!(extension.direction != Direction::Inactive);
        }
        let numbered = stream.extensions.get(ExtensionKind::TransportSequence).is_some();
        assert_eq!(numbered, stream.feedback.transport_wide);
        assert!(stream.feedback.early || !stream.feedback.transport_wide);
        assert!(stream.mid.is_some() || stream.extensions.get(ExtensionKind::Mid).is_none());
    }
    for refused in &agreed.refused {
        assert_short(&refused.to_string());
    }
}

fn assert_short(message: &str) {
    assert!(message.len() < 600 && !message.contains(char::is_control), "{message}");
}

fn survives(text: &[u8]) {
    for (policy, streams, lite) in [
        (SrtpPolicy::Off, 1, None),
        (SrtpPolicy::Offered, 1, Some(false)),
        (SrtpPolicy::Required, 1, None),
        (SrtpPolicy::Off, 3, Some(true)),
        (SrtpPolicy::Offered, 3, Some(false)),
    ] {
        let mut local = LocalMedia { ice: lite.map(ice), ..local(policy, streams) };
        let ours = offer(&local).unwrap();
        if let Ok(agreed) = accept(&local, &ours, text) {
            assert_sound(&local, &agreed);
        }
        let (answered, agreed) = match answer(&local, text) {
            Ok(answered) => answered,
            Err(error) => {
                assert_short(&error.to_string());
                continue;
            }
        };
        assert_sound(&local, &agreed);
        // Our own text can be read again: as an offer by anybody, and as what we said before.
        assert!(!matches!(answer(&local, &answered), Err(SdpError::Syntax(_))), "{answered}");
        (local.previous, local.bundle) = (Some(answered), agreed.transport.bundle.clone());
        // The same offer again finds every stream where it was.
        let (_, same) = answer(&local, text).unwrap();
        assert_eq!((&same.streams, &same.transport), (&agreed.streams, &agreed.transport));
        // With so few free numbers a further stream may find none.
        let Ok(again) = offer(&local) else {
            assert!(streams > 1);
            continue;
        };
        local.previous = Some(again.clone());
        assert_eq!(offer(&local).unwrap(), again);
        // Any text as the answer to that.
        if let Ok(agreed) = accept(&local, &again, text) {
            assert_sound(&local, &agreed);
        }
    }
}

/// Unless the seed is agreed on, its mutations don't reach deep.
#[test]
fn the_seed_is_taken() {
    for policy in [SrtpPolicy::Off, SrtpPolicy::Offered, SrtpPolicy::Required] {
        let (_, agreed) = answer(&local(policy, 1), SEED).unwrap();
        assert_eq!(agreed.transport.remote_rtp.port(), if policy == SrtpPolicy::Off { 54_500 } else { 54_400 });
    }
    let (_, agreed) = answer(&local(SrtpPolicy::Offered, 3), BUNDLED).unwrap();
    assert_eq!(agreed.streams.iter().flatten().count(), 2);
    assert_eq!(agreed.transport.bundle, ["foo", "bar"]);
    let with_ice = LocalMedia { ice: Some(ice(false)), ..local(SrtpPolicy::Required, 1) };
    let (_, agreed) = answer(&with_ice, SEED).unwrap();
    let stream = agreed.streams[0].as_ref().unwrap();
    assert!(stream.feedback.transport_wide && agreed.transport.rtcp_reduced_size);
    assert!(stream.extensions.received(ExtensionKind::MixerLevels) == Some(4) && !stream.extensions.is_empty());
    let remote = agreed.transport.ice.unwrap().remote;
    assert_eq!((remote.candidates.len(), remote.hidden, remote.selected.len(), remote.trickle), (2, 1, 1, true));
    survives(SEED.as_bytes());
    survives(BUNDLED.as_bytes());
}

/// Numbers that stand where a stream was rejected are none of ours: reused there, each stream's are its own.
#[test]
fn numbers_of_a_rejected_stream_are_not_kept_where_it_was() {
    mutated(BUNDLED, &[(41_734, 80, 166), (17_487, 222, 113), (49_431, 130, 198), (1_073, 250, 174)]);
}

/// A stream in the group of an answer that has no codec of ours is refused, and is not in what was agreed on.
#[test]
fn what_is_refused_in_an_answer_shares_no_transport() {
    mutated(BUNDLED, &[(7_135, 161, 246)]);
}

#[test]
fn fuzz_sdp_answer() {
    check!().with_max_len(4_096).for_each(survives);
}

#[test]
fn fuzz_sdp_mutated() {
    check!().with_type::<Vec<(u16, u8, u8)>>().for_each(|edits| mutated(SEED, edits));
}

#[test]
fn fuzz_sdp_bundles_mutated() {
    check!().with_type::<Vec<(u16, u8, u8)>>().for_each(|edits| mutated(BUNDLED, edits));
}

/// The seed with some edits: a place, what to do there, and with what.
fn mutated(seed: &str, edits: &[(u16, u8, u8)]) {
    let mut text = seed.as_bytes().to_vec();
    for &(place, action, with) in edits.iter().take(12) {
        let at = usize::from(place) % (text.len() + 1);
        let piece = PIECES[usize::from(with) % PIECES.len()].as_bytes();
        match action % 5 {
            0 if at < text.len() => text[at] = with,
            1 => drop(text.splice(at..at, piece.iter().copied())),
            2 => drop(text.splice(at..(at + usize::from(with) % 16).min(text.len()), piece.iter().copied())),
            // Cutting off is rare, or nothing would be left of most.
            3 if with < 16 => text.truncate(at),
            _ => {
                // A line said twice, elsewhere.
                let line = seed.lines().nth(usize::from(with) % seed.lines().count()).unwrap_or_default();
                drop(text.splice(at..at, format!("\r\n{line}\r\n").into_bytes()));
            }
        }
    }
    survives(&text);
}

/// Any text as the parameters of every codec, from either side: whatever they agree on, the encoder makes packets that
/// the decoder takes.
#[test]
fn fuzz_fmtp() {
    check!().with_type::<(u8, String, String)>().for_each(|(which, ours, theirs)| {
        let registry = Registry::builtin();
        let codecs: Vec<_> = registry.codecs().collect();
        let codec = codecs[usize::from(*which) % codecs.len()];
        // Parameters that mean something, beside the input's own.
        let seasoned = |text: &str| match text.len() % 4 {
            0 => text.to_owned(),
            1 => format!("mode={};{text}", if which & 64 == 0 { "20" } else { "30" }),
            2 => format!("{text};maxaveragebitrate={}", u32::from(*which) * 100),
            _ => format!("cbr=1;stereo=0;usedtx=1;{text}"),
        };
        let format = codec.offer(&codec.formats()[0]);
        let (ours, theirs) = (format.clone().with_fmtp(seasoned(ours)), format.with_fmtp(seasoned(theirs)));
        let Some(agreed) = codec.agree(&ours, &theirs) else { panic!("{ours:?} {theirs:?}") };
        let terms = Terms { ours: &agreed, theirs: &theirs };
        let (mut encoder, mut decoder) = (codec.encoder(&terms).unwrap(), codec.decoder(&terms).unwrap());
        let description = codec.describe(&agreed);
        let ms = description.frames.packet_ms(20);
        let pcm = vec![0; (description.sample_rate_hz * ms / 1_000) as usize];
        let (mut payload, mut heard) = (vec![0; 8_000], vec![0; 2 * pcm.len()]);
        let len = encoder.encode(&pcm, &mut payload).unwrap();
        // Nothing is the word of an encoder that pauses, which the first frame isn't.
        assert_eq!(decoder.decode(&payload[..len], &mut heard), Ok(pcm.len()));
    });
}
