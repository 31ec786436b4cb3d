//! Several streams over one port: the texts both ways, and the examples of RFC 9143 with audio in place of video.

use super::*;

fn anna() -> LocalMedia {
    let one = LocalStream { telephone_event: false, ..LocalStream::of([CodecFormat::pcmu(), CodecFormat::pcma()]) };
    let two = LocalStream { telephone_event: false, ..LocalStream::of([CodecFormat::pcmu(), CodecFormat::g722()]) };
    LocalMedia { address: "192.0.2.1".parse().unwrap(), rtp_port: 4000, streams: vec![one, two], ..Default::default() }
}

fn bert() -> LocalMedia {
    let address = "192.0.2.2".parse().unwrap();
    LocalMedia { address, rtp_port: 5000, rtcp_port: Some(5009), ..anna() }
}

fn secure(local: LocalMedia, byte: u8) -> LocalMedia {
    let key = MasterKey::from_bytes(&[byte; 30]);
    let crypto = vec![CryptoLine { tag: 1, suite: CryptoSuite::AesCm128HmacSha1_80, key }];
    LocalMedia { srtp: SrtpPolicy::Required, crypto, ..local }
}

/// One exchange, with what both sides remember for the next one.
fn exchange(from: &mut LocalMedia, to: &mut LocalMedia) -> (String, String, Negotiated, Negotiated) {
    let offered = offer(from).unwrap();
    let (answered, at_answerer) = answer(to, &offered).unwrap();
    let at_offerer = accept(from, &offered, &answered).unwrap();
    (from.previous, to.previous) = (Some(offered.clone()), Some(answered.clone()));
    from.bundle.clone_from(&at_offerer.transport.bundle);
    to.bundle.clone_from(&at_answerer.transport.bundle);
    (offered, answered, at_offerer, at_answerer)
}

fn lines<'a>(text: &'a str, begin: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(begin)).collect()
}

/// Which streams there are, by their best number.
fn numbers(agreed: &Negotiated) -> Vec<Option<u8>> {
    let number = |stream: &NegotiatedStream| stream.receive[0].payload_type.get();
    agreed.streams.iter().map(|stream| stream.as_ref().map(number)).collect()
}

fn reasons(agreed: &Negotiated) -> Vec<String> {
    agreed.refused.iter().map(Refused::to_string).collect()
}

/// A description of alice's, as RFC 9143 writes them.
fn alice(lines: &str) -> String {
    let text =
        format!("v=0\no=alice 2890844526 2890844526 IN IP4 198.51.100.3\ns=\nc=IN IP4 198.51.100.3\nt=0 0\n{lines}");
    text.replace('\n', "\r\n")
}

#[test]
fn two_streams_are_offered_and_answered_over_one_port() {
    let (mut anna, mut bert) = (anna(), bert());
    let (offered, answered, at_anna, at_bert) = exchange(&mut anna, &mut bert);
    assert_eq!(
        offered,
        "v=0\r
o=- 1 1 IN IP4 192.0.2.1\r
s=-\r
c=IN IP4 192.0.2.1\r
t=0 0\r
a=group:BUNDLE 0 1\r
m=audio 4000 RTP/AVP 0 8\r
a=mid:0\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:8 PCMA/8000\r
a=ptime:20\r
a=maxptime:60\r
a=extmap-allow-mixed\r
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r
a=rtcp-mux\r
a=sendrecv\r
m=audio 0 RTP/AVP 96 9\r
a=mid:1\r
a=rtpmap:96 PCMU/8000\r
a=rtpmap:9 G722/8000\r
a=ptime:20\r
a=maxptime:60\r
a=extmap-allow-mixed\r
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r
a=bundle-only\r
a=sendrecv\r
"
    );
    assert_eq!(
        answered,
        "v=0\r
o=- 1 1 IN IP4 192.0.2.2\r
s=-\r
c=IN IP4 192.0.2.2\r
t=0 0\r
a=group:BUNDLE 0 1\r
m=audio 5000 RTP/AVP 0 8\r
a=mid:0\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:8 PCMA/8000\r
a=ptime:20\r
a=maxptime:60\r
a=extmap-allow-mixed\r
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r
a=rtcp-mux\r
a=sendrecv\r
m=audio 5000 RTP/AVP 96 9\r
a=mid:1\r
a=rtpmap:96 PCMU/8000\r
a=rtpmap:9 G722/8000\r
a=ptime:20\r
a=maxptime:60\r
a=extmap-allow-mixed\r
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r
a=sendrecv\r
"
    );
    for (agreed, port) in [(&at_anna, 5000), (&at_bert, 4000)] {
        assert_eq!(numbers(agreed), [Some(0), Some(96)]);
        assert_eq!(agreed.stream(1).unwrap().mid.as_deref(), Some("1"));
        assert_eq!(agreed.transport.bundle, ["0", "1"]);
        assert!(agreed.transport.rtcp_mux && agreed.refused.is_empty());
        assert_eq!((agreed.transport.remote_rtp.port(), agreed.transport.remote_rtcp.port()), (port, port));
    }
    assert_eq!(super::offered(&offered).unwrap().iter().map(|of| of.codecs.len()).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn later_offers_repeat_port_names_and_numbers() {
    let (mut anna, mut bert) = (anna(), bert());
    exchange(&mut anna, &mut bert);
    bert.streams[1].direction = Direction::SendOnly;
    let (offered, answered, at_bert, at_anna) = exchange(&mut bert, &mut anna);
    assert_eq!(lines(&offered, "a=group"), ["a=group:BUNDLE 0 1"]);
    assert_eq!(lines(&offered, "m="), ["m=audio 5000 RTP/AVP 0 8", "m=audio 5000 RTP/AVP 96 9"]);
    assert_eq!(lines(&offered, "a=rtcp"), ["a=rtcp:5009", "a=rtcp-mux"], "in the tagged section alone");
    assert_eq!(lines(&answered, "a=rtcp"), ["a=rtcp-mux"]);
    let directions = |agreed: &Negotiated| [0, 1].map(|at| agreed.stream(at).unwrap().direction);
    assert_eq!(directions(&at_bert), [Direction::SendRecv, Direction::SendOnly], "one alone is on hold");
    assert_eq!(directions(&at_anna), [Direction::SendRecv, Direction::RecvOnly]);
    let again = offer(&bert).unwrap();
    assert_eq!(Some(&again), bert.previous.as_ref(), "nothing new, the same version");
}

#[test]
fn either_stream_closes_and_opens_again_by_either_side() {
    for (closing, ports) in [(0, ["0", "4000"]), (1, ["4000", "0"])] {
        let (mut anna, mut bert) = (anna(), bert());
        exchange(&mut anna, &mut bert);
        anna.streams[closing].closed = true;
        let (offered, answered, at_anna, at_bert) = exchange(&mut anna, &mut bert);
        let port = |line: &str| line.split(' ').nth(1).unwrap().to_owned();
        assert_eq!(lines(&offered, "m=").into_iter().map(port).collect::<Vec<_>>(), ports);
        let group = format!("a=group:BUNDLE {}", 1 - closing);
        assert_eq!([lines(&offered, "a=group"), lines(&answered, "a=group")], [[&*group], [&*group]]);
        assert_eq!(lines(&offered, "a=rtcp-mux").len(), 1, "the other section is the tagged one now");
        let mut expected = [Some(0), Some(96)];
        expected[closing] = None;
        assert_eq!((numbers(&at_anna), numbers(&at_bert)), (expected.to_vec(), expected.to_vec()));
        assert_eq!((reasons(&at_anna), reasons(&at_bert)), (vec![], vec![]));
        assert_eq!(super::offered(&offered).unwrap()[closing], super::Offered::default());

        // Bert, who has not closed it, offers it anew; Anna has, and leaves it closed.
        let (_, _, at_bert, _) = exchange(&mut bert, &mut anna);
        assert_eq!(numbers(&at_bert), expected);
        // Then she opens it, with the numbers it had.
        anna.streams[closing].closed = false;
        let (offered, _, at_anna, at_bert) = exchange(&mut anna, &mut bert);
        assert_eq!(numbers(&at_anna), [Some(0), Some(96)], "{offered}");
        assert_eq!(numbers(&at_bert), [Some(0), Some(96)]);
        assert!(offered.contains("a=rtpmap:96 PCMU/8000\r\n") && lines(&offered, "m=audio 0 ").len() == 1, "{offered}");
        // From now on it's bundled again, and the tagged section is still the same.
        let (offered, ..) = exchange(&mut anna, &mut bert);
        assert_eq!(lines(&offered, "m=audio 4000 ").len(), 2);
        assert_eq!(lines(&offered, "a=group"), [format!("a=group:BUNDLE {} {closing}", 1 - closing)]);
    }
}

#[test]
fn a_stream_is_added_at_the_end_by_either_side() {
    let (mut anna, mut bert) = (anna(), bert());
    let second = anna.streams.remove(1);
    let (offered, answered, _, at_bert) = exchange(&mut anna, &mut bert);
    assert!(!offered.contains("mid") && !answered.contains("mid"));
    assert_eq!(numbers(&at_bert), [Some(0), None]);
    anna.streams.push(second);
    let (offered, _, at_anna, at_bert) = exchange(&mut anna, &mut bert);
    assert_eq!(lines(&offered, "m="), ["m=audio 4000 RTP/AVP 0 8", "m=audio 0 RTP/AVP 96 9"]);
    assert_eq!((numbers(&at_anna), numbers(&at_bert)), (vec![Some(0), Some(96)], vec![Some(0), Some(96)]));
    for local in [&mut anna, &mut bert] {
        local.streams.push(LocalStream::of([CodecFormat::opus()]));
    }
    let (offered, _, at_bert, at_anna) = exchange(&mut bert, &mut anna);
    assert_eq!(lines(&offered, "m=").len(), 3);
    assert_eq!(numbers(&at_anna), numbers(&at_bert));
    assert_eq!(at_anna.transport.bundle, ["0", "1", "2"]);
}

#[test]
fn keys_stand_in_the_tagged_section_and_hold_for_all() {
    let (mut anna, mut bert) = (secure(anna(), 0x11), secure(bert(), 0x22));
    for round in 0..3 {
        // In the last round the tagged section is the second.
        anna.streams[0].closed = round == 1;
        let (offered, answered, at_anna, at_bert) = exchange(&mut anna, &mut bert);
        assert_eq!((lines(&offered, "a=crypto").len(), lines(&answered, "a=crypto").len()), (1, 1), "{offered}");
        let (ours, theirs) = (at_anna.transport.srtp.unwrap(), at_bert.transport.srtp.unwrap());
        assert_eq!((ours.outgoing.clone(), ours.incoming.clone()), (theirs.incoming.clone(), theirs.outgoing.clone()));
        assert_eq!(at_anna.streams.iter().flatten().count(), if round == 1 { 1 } else { 2 }, "{answered}");
        let second = offered.split("m=audio").nth(2).unwrap();
        assert_eq!(second.contains("a=crypto"), round > 0, "{offered}");
    }
    // A packet's room counts the tag of SRTP in every stream, and the stream's name.
    let (_, _, at_anna, _) = exchange(&mut anna, &mut bert);
    let bytes: Vec<_> = at_anna.streams.iter().flatten().map(|stream| stream.least_packet_bytes).collect();
    assert_eq!(bytes, [20 + 8 + 12 + 8 + 160 + 10; 2]);
}

#[test]
fn a_side_without_bundle_takes_the_first_alone() {
    let mut anna = anna();
    let offered = offer(&anna).unwrap();
    let answered = alice("m=audio 49170 RTP/AVP 0\nm=audio 0 RTP/AVP 96\n");
    let agreed = accept(&anna, &offered, &answered).unwrap();
    assert_eq!(numbers(&agreed), [Some(0), None]);
    assert_eq!(reasons(&agreed), ["m= line 2: the answer rejects the audio stream (port 0)"]);
    assert!(agreed.transport.bundle.is_empty() && !agreed.transport.rtcp_mux);
    // It's asked again, and never over a port that such a side would take for another stream's.
    anna.previous = Some(offered.clone());
    assert_eq!(offer(&anna).unwrap(), offered);
    // Closed in favour of the second stream, that one is offered as any stream.
    anna.streams[0].closed = true;
    let offered = offer(&anna).unwrap();
    assert_eq!(lines(&offered, "m="), ["m=audio 0 RTP/AVP 0 8", "m=audio 4000 RTP/AVP 96 9"]);
    let agreed = accept(&anna, &offered, alice("m=audio 0 RTP/AVP 0\nm=audio 49170 RTP/AVP 9\n")).unwrap();
    assert_eq!(numbers(&agreed), [None, Some(9)]);
    // Opened again it must not push out the one that is there.
    (anna.previous, anna.streams[0].closed) = (Some(offered), false);
    assert_eq!(lines(&offer(&anna).unwrap(), "m="), ["m=audio 0 RTP/AVP 0 8", "m=audio 4000 RTP/AVP 96 9"]);
}

#[test]
fn a_further_stream_on_its_own_port_is_refused_with_the_reason() {
    let anna = anna();
    let offered = offer(&anna).unwrap();
    let reason = "m= line 2: the answer wants a port of its own for a further stream, which is only taken over the first \
                  one's";
    let bundled = "a=group:BUNDLE 0 1\nm=audio 10000 RTP/AVP 0\na=mid:0\na=rtcp-mux\nm=audio 10000 RTP/AVP 96\n\
                   a=rtpmap:96 PCMU/8000\na=mid:1\n";
    assert_eq!(numbers(&accept(&anna, &offered, alice(bundled)).unwrap()), [Some(0), Some(96)]);
    for (what, with) in [
        ("a=group:BUNDLE 0 1\n", ""),
        ("BUNDLE 0 1", "BUNDLE 0"),
        ("BUNDLE 0 1", "LS 0 1"),
        ("a=rtcp-mux\n", ""),
        // Names that are exchanged, or that two have, say nothing.
        ("a=mid:1\n", "a=mid:0\n"),
        ("a=mid:1\n", "a=mid:2\n"),
        ("a=mid:1\n", ""),
    ] {
        let agreed = accept(&anna, &offered, alice(&bundled.replace(what, with))).unwrap();
        assert_eq!((numbers(&agreed), &*reasons(&agreed)[0]), (vec![Some(0), None], reason), "{what:?} {with:?}");
    }
    // The same of an offer.
    let offered = bundled.replace("10000 RTP/AVP 96", "10002 RTP/AVP 96");
    assert_eq!(numbers(&answer(&anna, alice(&offered)).unwrap().1), [Some(0), Some(96)]);
    for (what, with) in [("a=group:BUNDLE 0 1\n", ""), ("a=rtcp-mux\n", ""), ("AVP 96", "AVPF 96")] {
        let (text, agreed) = answer(&anna, alice(&offered.replace(what, with))).unwrap();
        assert_eq!((numbers(&agreed), reasons(&agreed).len()), (vec![Some(0), None], 1), "{text}");
        assert!(reasons(&agreed)[0].starts_with("m= line 2: the offer wants a port of its own"));
    }
    let single = LocalMedia { rtcp_mux: false, ..anna };
    assert!(matches!(offer(&single), Err(SdpError::Local(_))));
    assert_eq!(numbers(&answer(&single, alice(&offered)).unwrap().1), [Some(0), None]);
}

#[test]
fn streams_with_the_same_payload_types_cannot_be_told_apart() {
    let offered = |second: &str| {
        alice(&format!(
            "a=group:BUNDLE a b\nm=audio 10000 RTP/AVP 0 8\na=mid:a\na=rtcp-mux\nm=audio 0 RTP/AVP {second}\na=mid:b\n\
             a=bundle-only\na=rtpmap:97 G722/8000\n"
        ))
    };
    let (text, agreed) = answer(&anna(), offered("0 8")).unwrap();
    assert_eq!(numbers(&agreed), [Some(0), None]);
    assert_eq!(
        reasons(&agreed),
        ["m= line 2: the offer has a further stream over the same port with the same payload types as an earlier one"]
    );
    assert_eq!(lines(&text, "a=group"), ["a=group:BUNDLE a"]);
    // Of the others one is enough.
    let (text, agreed) = answer(&anna(), offered("0 97 8")).unwrap();
    assert_eq!(numbers(&agreed), [Some(0), Some(97)]);
    assert_eq!(lines(&text, "m="), ["m=audio 4000 RTP/AVP 0 8", "m=audio 4000 RTP/AVP 97"]);
    // Numbers that the first stream was offered with and didn't take are free.
    let narrow = LocalMedia { streams: vec![LocalStream::of([CodecFormat::pcmu()]), LocalStream::default()], ..anna() };
    assert_eq!(numbers(&answer(&narrow, offered("0 8")).unwrap().1), [Some(0), Some(8)]);
}

/// RFC 9143, 7.2.2 and 7.3.4.
const INITIAL: &str = "a=group:BUNDLE foo bar\nm=audio 10000 RTP/AVP 0 8 97\nb=AS:200\na=mid:foo\na=rtcp-mux\n\
    a=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\na=rtpmap:97 iLBC/8000\na=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\n\
    m=audio 10002 RTP/AVP 9 32\nb=AS:1000\na=mid:bar\na=rtcp-mux\na=rtpmap:9 G722/8000\na=rtpmap:32 MPV/90000\n\
    a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\n";

#[test]
fn initial_offers_of_the_rfc() {
    let bundle_only = INITIAL.replace("10002", "0").replace("bar\na=rtcp-mux", "bar\na=bundle-only");
    for offered in [INITIAL, &bundle_only] {
        let (text, agreed) = answer(&bert(), alice(offered)).unwrap();
        assert_eq!(numbers(&agreed), [Some(0), Some(9)]);
        assert_eq!(agreed.transport.remote_rtp, "198.51.100.3:10000".parse().unwrap());
        assert_eq!(agreed.transport.bundle, ["foo", "bar"]);
        assert_eq!(lines(&text, "a=group"), ["a=group:BUNDLE foo bar"]);
        assert_eq!(lines(&text, "m="), ["m=audio 5000 RTP/AVP 0 8", "m=audio 5000 RTP/AVP 9"]);
        assert_eq!(
            (lines(&text, "a=mid"), lines(&text, "a=rtcp")),
            (vec!["a=mid:foo", "a=mid:bar"], vec!["a=rtcp-mux"])
        );
    }
    // The tagged section is the first of the list, wherever it stands.
    let (text, agreed) = answer(&bert(), alice(&INITIAL.replace("foo bar", "bar foo"))).unwrap();
    assert_eq!(agreed.transport.remote_rtp.port(), 10002);
    assert_eq!((lines(&text, "a=group"), numbers(&agreed)), (vec!["a=group:BUNDLE bar foo"], vec![Some(0), Some(9)]));
    let listed_first = bundle_only.replace("foo bar", "bar foo");
    let (text, agreed) = answer(&bert(), alice(&listed_first)).unwrap();
    assert_eq!((lines(&text, "a=group"), numbers(&agreed)), (vec!["a=group:BUNDLE foo bar"], vec![Some(0), Some(9)]));
    // If it's not taken, the next one with a port is; one without goes with it.
    let wide = LocalStream::of([CodecFormat::g722()]);
    let only_wide = LocalMedia { streams: vec![wide.clone(), wide], ..bert() };
    let (text, agreed) = answer(&only_wide, alice(INITIAL)).unwrap();
    assert_eq!((agreed.transport.remote_rtp.port(), numbers(&agreed)), (10002, vec![Some(9), None]));
    assert_eq!((lines(&text, "a=group"), lines(&text, "m=audio 0").len()), (vec!["a=group:BUNDLE bar"], 1));
    assert!(matches!(answer(&only_wide, alice(&bundle_only)), Err(SdpError::NoCommonCodec { .. })));
}

#[test]
fn one_stream_of_a_group_is_answered_with_group_and_name() {
    let one = LocalMedia { streams: vec![LocalStream::default()], ..bert() };
    let (text, agreed) = answer(&one, alice(INITIAL)).unwrap();
    assert_eq!(
        (lines(&text, "a=group"), lines(&text, "a=mid")),
        (vec!["a=group:BUNDLE foo"], vec!["a=mid:foo", "a=mid:bar"])
    );
    assert_eq!(lines(&text, "m="), ["m=audio 5000 RTP/AVP 0 8", "m=audio 0 RTP/AVP 9 32"]);
    assert_eq!(
        (agreed.streams.len(), agreed.refused.len(), &*agreed.transport.bundle),
        (1, 0, &["foo".to_owned()][..])
    );
    let again = LocalMedia { previous: Some(text), bundle: agreed.transport.bundle, ..one.clone() };
    let offered = offer(&again).unwrap();
    assert_eq!((lines(&offered, "a=group"), lines(&offered, "m=").len()), (vec!["a=group:BUNDLE foo"], 2));
    // Names without a group are repeated (RFC 5888, 9.1), a group without multiplexed RTCP is not.
    for (what, with) in [("a=group:BUNDLE foo bar\n", ""), ("a=rtcp-mux\n", "")] {
        let (text, _) = answer(&one, alice(&INITIAL.replace(what, with))).unwrap();
        assert_eq!((lines(&text, "a=group").len(), lines(&text, "a=mid").len()), (0, 2), "{text}");
    }
}

#[test]
fn a_rejected_group_of_the_rfc() {
    // 18.2: each stream has a port of its own, so that only one is taken.
    let anna = anna();
    let answered = "m=audio 20000 RTP/AVP 0\nb=AS:200\na=rtcp-mux\na=rtpmap:0 PCMU/8000\nm=audio 30000 RTP/AVP 96\n\
                    b=AS:1000\na=rtcp-mux\na=rtpmap:96 PCMU/8000\n";
    let agreed = accept(&anna, offer(&anna).unwrap(), alice(answered)).unwrap();
    assert_eq!((numbers(&agreed), agreed.transport.remote_rtp.port()), (vec![Some(0), None], 20000));
    assert_eq!((agreed.refused[0].media, agreed.transport.rtcp_mux), (1, true));
}

#[test]
fn a_stream_is_added_and_disabled_as_in_the_rfc() {
    let mut bert = LocalMedia { streams: vec![LocalStream::default(); 3], ..bert() };
    bert.streams[1] = LocalStream::of([CodecFormat::g722()]);
    let mut say = |offered: &str| {
        let (text, agreed) = answer(&bert, alice(offered)).unwrap();
        (bert.previous, bert.bundle) = (Some(text.clone()), agreed.transport.bundle.clone());
        (text, agreed)
    };
    assert_eq!(numbers(&say(INITIAL).1), [Some(0), Some(9), None]);
    // 18.3: the new section is the tagged one, and has alone what holds for all.
    let two = INITIAL.replace("10002", "10000").replace("a=rtcp-mux\n", "");
    let zen = "m=audio 10000 RTP/AVP 66\nb=AS:1000\na=mid:zen\na=rtcp-mux\na=rtpmap:66 PCMU/8000\n";
    let (text, agreed) = say(&format!("{}{zen}", two.replace("BUNDLE foo", "BUNDLE zen foo")));
    assert_eq!(numbers(&agreed), [Some(0), Some(9), Some(66)]);
    assert_eq!(agreed.transport.bundle, ["zen", "foo", "bar"]);
    assert!(agreed.transport.rtcp_mux && text.contains("a=group:BUNDLE zen foo bar\r\n"), "{text}");
    let last = text.split("m=audio").last().unwrap();
    assert_eq!((last.contains("a=rtcp-mux"), lines(&text, "a=rtcp-mux").len()), (true, 1), "{text}");
    // 18.5: it's disabled.
    let two = two.replace("a=mid:foo\n", "a=mid:foo\na=rtcp-mux\n");
    let zen = "m=audio 0 RTP/AVP 66\na=mid:zen\na=rtpmap:66 PCMU/8000\n";
    let (text, agreed) = say(&format!("{two}{zen}"));
    assert_eq!((numbers(&agreed), agreed.refused.len()), (vec![Some(0), Some(9), None], 0));
    assert!(text.contains("a=group:BUNDLE foo bar\r\n"), "{text}");
    assert!(text.ends_with("m=audio 0 RTP/AVP 66\r\na=mid:zen\r\na=rtpmap:66 PCMU/8000\r\na=inactive\r\n"), "{text}");
    // Without its name and what its number means it's still ours.
    let (text, _) = say(&format!("{two}m=audio 0 RTP/AVP 66\n"));
    assert!(text.ends_with("m=audio 0 RTP/AVP 66\r\na=mid:zen\r\na=rtpmap:66 PCMU/8000\r\na=inactive\r\n"), "{text}");
    // Another kind of stream takes its place, and then the first is over: ours are still who they were.
    say(&format!("{two}m=video 10000 RTP/AVP 31\na=mid:zen\n"));
    let closed =
        two.replace("BUNDLE foo bar", "BUNDLE bar").replace("m=audio 10000 RTP/AVP 0 ", "m=audio 0 RTP/AVP 0 ");
    let closed = closed.replace("a=mid:bar\n", "a=mid:bar\na=rtcp-mux\n");
    let more = "m=video 0 RTP/AVP 31\na=mid:zen\nm=audio 10000 RTP/AVP 0\na=mid:new\n";
    let (text, agreed) = say(&format!("{}{more}", closed.replace("BUNDLE bar", "BUNDLE bar new")));
    assert_eq!(numbers(&agreed), [None, Some(9), None], "three places are taken, there is no fourth stream: {text}");
    let (_, agreed) =
        say(&format!("{two}m=audio 10000 RTP/AVP 66\na=mid:zen\na=rtpmap:66 PCMU/8000\n")
            .replace("foo bar", "foo bar zen"));
    assert_eq!(numbers(&agreed), [Some(0), Some(9), Some(66)]);
}

#[test]
fn bundled_sections_without_a_port_as_rfc_8843_had_them() {
    let anna = anna();
    let answered = "a=group:BUNDLE 0 1\nm=audio 20000 RTP/AVP 0\na=mid:0\na=rtcp-mux\nm=audio 0 RTP/AVP 96\na=mid:1\n\
                    a=bundle-only\na=rtpmap:96 PCMU/8000\n";
    let agreed = accept(&anna, offer(&anna).unwrap(), alice(answered)).unwrap();
    assert_eq!((numbers(&agreed), agreed.transport.remote_rtp.port()), (vec![Some(0), Some(96)], 20000));
    // Without a group it's merely rejected.
    let agreed = accept(&anna, offer(&anna).unwrap(), alice(&answered.replace("BUNDLE 0 1", "BUNDLE 0"))).unwrap();
    assert_eq!(numbers(&agreed), [Some(0), None]);
}

#[test]
fn names_that_mean_nothing_are_passed_over() {
    let answers = |offered: &str| numbers(&answer(&bert(), alice(offered)).unwrap().1);
    for (what, with) in [
        ("BUNDLE foo bar", "BUNDLE nobody foo foo bar x bar"),
        ("BUNDLE foo bar", "BUNDLE foo bar\na=group:BUNDLE bar foo"),
        ("BUNDLE foo bar", "LS bar\na=group:BUNDLE  foo  bar "),
    ] {
        assert_eq!(answers(&INITIAL.replace(what, with)), [Some(0), Some(9)], "{with}");
    }
    for (what, with) in [
        ("a=mid:bar", "a=mid:foo"),
        ("a=mid:bar", "a=mid:b a r"),
        ("a=mid:bar", "a=mid:"),
        ("a=mid:foo", "a=mid:bar"),
        ("BUNDLE foo bar", "BUNDLE"),
        ("BUNDLE foo bar", "BUNDLE foo\na=group:BUNDLE bar"),
        ("BUNDLE foo bar", "bundle foo bar"),
    ] {
        assert_eq!(answers(&INITIAL.replace(what, with)), [Some(0), None], "{with}");
    }
}

#[test]
fn wishes_that_contradict_themselves() {
    let mut local = anna();
    local.streams.iter_mut().for_each(|stream| stream.closed = true);
    assert!(matches!(offer(&local), Err(SdpError::Local("all streams are closed"))));
    let many = LocalMedia { streams: vec![LocalStream::default(); MAX_STREAMS + 1], ..anna() };
    assert!(matches!(offer(&many), Err(SdpError::Local(_))));
    let crowded = LocalMedia { streams: vec![LocalStream::default(); MAX_STREAMS], ..anna() };
    assert_eq!(
        offer(&crowded).unwrap_err().to_string(),
        "our own media description: there are too few payload types for so many codecs"
    );
    // A closed stream that never was is not written, unless another one comes after it.
    let mut local = anna();
    local.streams[1].closed = true;
    assert!(!offer(&local).unwrap().contains("mid"));
    (local.streams[0].closed, local.streams[1].closed) = (true, false);
    assert_eq!(lines(&offer(&local).unwrap(), "m="), ["m=audio 0 RTP/AVP 0 8", "m=audio 4000 RTP/AVP 96 9"]);
}
