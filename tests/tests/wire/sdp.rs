//! Offer, answer and acceptance agree on both sides (RFC 3264): what one side sends the other expects, under the same
//! number; the keys cross; and a session of re-offers keeps its shape.

use std::net::IpAddr;

use host_std::registry::Registry;
use host_std::sdp::{
    CodecFormat, CodecOrder, CryptoLine, CryptoSuite, Direction, ExtensionKind, ExtensionOptions, FeedbackOptions,
    LocalMedia, LocalStream, MasterKey, Negotiated, NegotiatedStream, NegotiatedTransport, OfferExtensions, SdpError,
    SessionId, SrtpPolicy, accept, answer, offer,
};
use proptest::prelude::*;

fn codec() -> impl Strategy<Value = CodecFormat> {
    prop_oneof![
        Just(CodecFormat::opus()),
        Just(CodecFormat::g722()),
        Just(CodecFormat::pcmu()),
        Just(CodecFormat::pcma()),
        Just(CodecFormat::l16(16_000, 1)),
        Just(CodecFormat::l16(44_100, 2)),
        Just(CodecFormat::new("iLBC", 8_000, 1).with_fmtp("mode=20")),
        Just(CodecFormat::new("iLBC", 8_000, 1).with_fmtp("mode=30")),
        Just(CodecFormat::new("ILBC", 8_000, 1)),
        Just(CodecFormat::new("CN", 8_000, 1)),
    ]
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![
        4 => Just(Direction::SendRecv),
        1 => Just(Direction::SendOnly),
        1 => Just(Direction::RecvOnly),
        1 => Just(Direction::Inactive),
    ]
}

prop_compose! {
    fn side()(
        v6 in proptest::bool::weighted(0.1),
        rtp_port in 1024_u16..65_000,
        rtcp_port in proptest::option::of(1024_u16..65_000),
        codecs in proptest::collection::vec(codec(), 1..6),
        ours in any::<bool>(),
        (ptime, more, mtu) in (1_u32..=6, 0_u32..=5, prop_oneof![Just(1_200_u16), 200_u16..3_000]),
        direction in direction(),
        (rtcp_mux, telephone_event, voip_metrics) in any::<(bool, bool, bool)>(),
        srtp in prop_oneof![Just(SrtpPolicy::Off), Just(SrtpPolicy::Offered), Just(SrtpPolicy::Required)],
        (suites, turned) in (1_usize..=6, 0_usize..6),
        keys in any::<[[u8; 32]; 6]>(),
    ) -> LocalMedia {
        let mut order = CryptoSuite::ALL;
        order.rotate_left(turned);
        let line = |((suite, half), tag): ((CryptoSuite, [u8; 32]), u32)| {
            let key = [half, half].concat();
            let key = MasterKey::of(suite.profile(), &key[..suite.profile().master_bytes()]).unwrap();
            CryptoLine { tag, suite, key }
        };
        let crypto = order.into_iter().zip(keys).take(suites).zip(1..).map(line).collect();
        LocalMedia {
            dtls: None,
            ice: None,
            registry: Registry::builtin(),
            address: if v6 { "2001:db8::1" } else { "192.0.2.1" }.parse::<IpAddr>().unwrap(),
            rtp_port,
            rtcp_port,
            codec_order: if ours { CodecOrder::Ours } else { CodecOrder::Offer },
            bundle: Vec::new(),
            streams: vec![LocalStream {
                codecs,
                ptime_ms: ptime * 10,
                max_ptime_ms: (ptime + more).min(6) * 10,
                direction,
                telephone_event,
                redundancy: 1,
                ask_redundancy: ours,
                voip_metrics,
                closed: false,
            }],
            mtu,
            rtcp_mux,
            srtp,
            crypto,
            crypto_answered: Vec::new(),
            unencrypted: Default::default(),
            extensions: ExtensionOptions { offer: OfferExtensions::Always, ..ExtensionOptions::default() },
            feedback: FeedbackOptions { profile: v6, ..FeedbackOptions::default() },
            session: SessionId { username: "-".into(), id: 42, version: 7 },
            previous: None,
        }
    }
}

fn codecs(local: &LocalMedia) -> &[CodecFormat] {
    &local.streams[0].codecs
}

/// What `sender` sends is what `receiver` expects.
fn assert_crossed(sender: &Negotiated, receiver: &Negotiated) {
    for (ours, theirs) in sender.streams.iter().flatten().zip(receiver.streams.iter().flatten()) {
        for kind in ExtensionKind::ALL {
            assert_eq!(ours.extensions.sent(kind), theirs.extensions.received(kind));
        }
        assert_eq!(ours.feedback, theirs.feedback);
    }
    assert_transports_crossed(sender, receiver);
    assert_streams_crossed(sender.stream(0).unwrap(), receiver.stream(0).unwrap());
}

fn assert_transports_crossed(sender: &Negotiated, receiver: &Negotiated) {
    let (from, to) = (&sender.transport, &receiver.transport);
    let keys = |side: &NegotiatedTransport| side.srtp.clone().map(|keys| (keys.suite, keys.outgoing, keys.incoming));
    let turned = keys(to).map(|(suite, outgoing, incoming)| (suite, incoming, outgoing));
    assert_eq!(keys(from), turned);
    assert_eq!(from.rtcp_mux, to.rtcp_mux);
}

fn assert_streams_crossed(sender: &NegotiatedStream, receiver: &NegotiatedStream) {
    assert_eq!(sender.send.len(), receiver.receive.len());
    for (sent, expected) in sender.send.iter().zip(&receiver.receive) {
        assert_eq!(sent.payload_type, expected.payload_type);
        assert!(sent.format.same_encoding(&expected.format));
        assert_eq!(sent.format.fmtp, expected.format.fmtp, "a sender obeys the receiver's parameters");
    }
    assert_eq!(sender.send_events, receiver.receive_events);
    assert_eq!(sender.direction, receiver.direction.reversed());
}

fn assert_where(negotiated: &Negotiated, other: &LocalMedia) {
    let transport = &negotiated.transport;
    assert_eq!(transport.remote_rtp, (other.address, other.rtp_port).into());
    let rtcp_port = if transport.rtcp_mux { other.rtp_port } else { other.rtcp_port.unwrap_or(other.rtp_port + 1) };
    assert_eq!(transport.remote_rtcp, (other.address, rtcp_port).into());
    let stream = negotiated.stream(0).unwrap();
    let best = &stream.send[0].format;
    let registry = Registry::builtin();
    let codec = registry.find(best).unwrap();
    let frames = codec.describe(&codec.agree(&stream.receive[0].format, best).unwrap()).frames;
    assert!(frames.has(stream.send_ptime_ms * 1_000), "{best} has no {} ms", stream.send_ptime_ms);
    // A codec whose only frame is longer has no choice.
    assert!(stream.send_ptime_ms <= other.streams[0].max_ptime_ms.max(frames.packet_ms(10)), "{best}");
    assert_eq!(stream.send_ptime_ms % 10, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn both_sides_agree(a in side(), b in side()) {
        let Ok(offered) = offer(&a) else {
            prop_assert!(codecs(&a).iter().all(|codec| codec.name == "CN"), "only a side without a codec can't offer");
            return Ok(());
        };
        match answer(&b, &offered) {
            Ok((answered, at_b)) => {
                prop_assert_eq!(a.address.is_ipv4(), b.address.is_ipv4());
                let at_a = accept(&a, &offered, &answered).unwrap();
                assert_crossed(&at_a, &at_b);
                assert_crossed(&at_b, &at_a);
                assert_where(&at_a, &b);
                assert_where(&at_b, &a);
                let required = a.srtp == SrtpPolicy::Required || b.srtp == SrtpPolicy::Required;
                prop_assert!(!required || at_a.transport.srtp.is_some());
                let off = a.srtp == SrtpPolicy::Off || b.srtp == SrtpPolicy::Off;
                prop_assert!(!off || at_a.transport.srtp.is_none());
            }
            Err(error) => {
                let common = codecs(&a).iter().any(|ours| {
                    ours.name != "CN" && codecs(&b).iter().any(|theirs| theirs.same_encoding(ours))
                });
                let explained = match error {
                    SdpError::Family { .. } => a.address.is_ipv4() != b.address.is_ipv4(),
                    SdpError::NoCommonCodec { .. } => !common,
                    SdpError::SrtpOff(..) => a.srtp == SrtpPolicy::Required && b.srtp == SrtpPolicy::Off,
                    SdpError::SrtpRequired(..) => a.srtp == SrtpPolicy::Off && b.srtp == SrtpPolicy::Required,
                    SdpError::Crypto(..) => {
                        !a.crypto.iter().any(|ours| b.crypto.iter().any(|theirs| theirs.suite == ours.suite))
                    }
                    SdpError::Local(_) => codecs(&b).iter().all(|codec| codec.name == "CN"),
                    _ => false,
                };
                prop_assert!(explained, "{}", error);
            }
        }
    }

    /// A re-offer keeps the payload types, and the session's version grows by one exactly when the text changes.
    #[test]
    fn sessions_go_on(a in side(), b in side(), held in direction()) {
        let (mut a, mut b) = (a, b);
        (a.srtp, b.srtp) = (SrtpPolicy::Off, SrtpPolicy::Off);
        b.address = a.address;
        let Ok(offered) = offer(&a) else { return Ok(()) };
        let Ok((answered, at_b)) = answer(&b, &offered) else { return Ok(()) };

        a.previous = Some(offered.clone());
        prop_assert_eq!(&offer(&a).unwrap(), &offered);

        b.previous = Some(answered.clone());
        b.streams[0].direction = held;
        let again = offer(&b).unwrap();
        let version = |text: &str| text.lines().nth(1).unwrap().split(' ').nth(2).unwrap().parse::<u64>().unwrap();
        prop_assert_eq!(version(&again), if again == answered { 7 } else { 8 });
        let (_, at_a) = answer(&a, &again).unwrap();
        for codec in &at_b.stream(0).unwrap().receive {
            let mut kept = at_a.stream(0).unwrap().send.iter().filter(|other| other.format.same_encoding(&codec.format));
            prop_assert!(kept.any(|other| other.payload_type == codec.payload_type));
        }
    }

    /// Streams over one port are held, closed, opened and added by either side in any order: both sides see the same ones
    /// in the same places, and what goes on keeps its name and numbers.
    #[test]
    fn bundles_go_on(
        a in side(),
        b in side(),
        codecs in proptest::collection::vec(proptest::collection::vec(codec(), 1..4), 1..5),
        steps in proptest::collection::vec((any::<bool>(), 0_usize..4, direction(), 0_u8..4), 1..12),
    ) {
        let mut sides = [a, b];
        sides[1].address = sides[0].address;
        for side in &mut sides {
            (side.rtcp_mux, side.mtu) = (true, 1_200);
            side.srtp = if side.srtp == SrtpPolicy::Off { SrtpPolicy::Off } else { SrtpPolicy::Offered };
        }
        // Streams meet in their order, so those of one place shall have something in common.
        for side in &mut sides {
            side.streams = codecs.iter().cloned().map(LocalStream::of).collect();
        }
        if sides.iter().any(|side| offer(side).is_err()) {
            return Ok(());
        }
        let mut before: Option<Negotiated> = None;
        for (who, which, direction, action) in steps {
            let (first, second) = sides.split_at_mut(1);
            let (from, to) = if who { (&mut first[0], &mut second[0]) } else { (&mut second[0], &mut first[0]) };
            let changed = from.clone();
            let count = from.streams.len();
            let stream = &mut from.streams[which % count];
            match action {
                // What was closed before it was there has no place at the other side.
                _ if before.is_none() => {}
                0 => stream.direction = direction,
                1 => stream.closed = true,
                _ => stream.closed = false,
            }
            let Ok(offered) = offer(from) else {
                *from = changed;
                continue;
            };
            let Ok((answered, at_to)) = answer(to, &offered) else {
                *from = changed;
                continue;
            };
            let at_from = accept(from, &offered, &answered).unwrap();
            prop_assert_eq!(&at_from.transport.bundle, &at_to.transport.bundle);
            assert_transports_crossed(&at_from, &at_to);
            for at in 0..count {
                let (Some(one), Some(other)) = (at_from.stream(at), at_to.stream(at)) else {
                    prop_assert!(at_from.stream(at).is_none() && at_to.stream(at).is_none(), "{}\n{}", offered, answered);
                    let went_on = before.as_ref().is_some_and(|before| before.stream(at).is_some());
                    let closed = from.streams[at].closed || to.streams[at].closed;
                    prop_assert!(closed || !went_on, "stream {} is lost\n{}\n{}", at, offered, answered);
                    continue;
                };
                prop_assert!(!from.streams[at].closed && !to.streams[at].closed);
                assert_streams_crossed(one, other);
                prop_assert_eq!(&one.mid, &other.mid);
                let before = before.as_ref().and_then(|before| before.stream(at));
                prop_assert!(before.is_none_or(|before| before.mid.is_none() || before.mid == one.mid));
            }
            for (side, text, agreed) in [(from, offered, &at_from), (to, answered, &at_to)] {
                (side.previous, side.bundle) = (Some(text), agreed.transport.bundle.clone());
            }
            before = Some(at_from);
        }
    }
}

/// A call in the manner of RFC 3264, 10.1: audio taken, video refused in its place.
#[test]
fn audio_taken_video_refused() {
    let alice = "v=0\r\no=alice 2890844526 2890844526 IN IP4 192.0.2.101\r\ns=\r\nc=IN IP4 192.0.2.101\r\nt=0 0\r\n\
                 m=audio 49170 RTP/AVP 0 8 97\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
                 a=rtpmap:97 iLBC/8000\r\nm=video 51372 RTP/AVP 31 32\r\na=rtpmap:31 H261/90000\r\n\
                 a=rtpmap:32 MPV/90000\r\n";
    let bob =
        LocalMedia { rtp_port: 49_174, streams: vec![LocalStream::of([CodecFormat::pcmu()])], ..Default::default() };
    let (text, agreed) = answer(&bob, alice).unwrap();
    assert_eq!(agreed.transport.remote_rtp, "192.0.2.101:49170".parse().unwrap());
    assert!(text.contains("m=audio 49174 RTP/AVP 0\r\n"));
    assert!(text.ends_with("m=video 0 RTP/AVP 31 32\r\n"));
}
