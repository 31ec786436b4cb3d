//! Makes offers and answers without a call, by pure functions from text to text.
//!
//! You learn how to answer a phone's offer with one codec of several, what becomes of a stream that you do not want,
//! and how a session continues: a hold is a later offer of the same session.

use std::error::Error;

use host_std::sdp::{CodecFormat, Direction, LocalMedia, LocalStream, accept, answer, offer};

/// What a phone with a camera may send in its INVITE.
const OFFER: &str = "v=0\r\n\
    o=phone 2890844526 1 IN IP4 192.0.2.10\r\n\
    s=-\r\n\
    c=IN IP4 192.0.2.10\r\n\
    t=0 0\r\n\
    m=audio 49170 RTP/AVP 9 0 101\r\n\
    a=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-15\r\n\
    a=rtcp-mux\r\n\
    m=video 49180 RTP/AVP 96\r\n\
    a=rtpmap:96 VP8/90000\r\n";

fn main() -> Result<(), Box<dyn Error>> {
    // What we have: one stream, and of the phone's codecs PCMU only.
    let mut local = LocalMedia {
        address: [192, 0, 2, 20].into(),
        rtp_port: 5_000,
        streams: vec![LocalStream::of([CodecFormat::pcmu()])],
        ..LocalMedia::default()
    };
    let (answered, agreed) = answer(&local, OFFER)?;
    println!("our answer:\n{answered}");
    let audio = agreed.stream(0).ok_or("no audio")?;
    println!(
        "we send {} to {}, {} ms a packet",
        audio.send[0].format.name, agreed.transport.remote_rtp, audio.send_ptime_ms
    );
    println!("digits are payload type {:?}", audio.send_events.first().map(|events| events.payload_type));
    assert!(answered.contains("m=audio 5000 RTP/AVP 0 101\r\n"));
    // The video stays in its place with port 0: refused (RFC 3264, 6).
    assert!(answered.contains("m=video 0 "));

    // The same session goes on: our next offer puts the phone on hold.
    local.previous = Some(answered);
    local.streams[0].direction = Direction::SendOnly;
    let hold = offer(&local)?;
    println!("our later offer:\n{hold}");
    assert!(hold.contains("a=sendonly\r\n") && hold.contains("m=video 0 "));

    // The phone answers it, as it would by these functions too.
    let phone = LocalMedia {
        address: [192, 0, 2, 10].into(),
        rtp_port: 49_170,
        streams: vec![LocalStream::of([CodecFormat::g722(), CodecFormat::pcmu()])],
        ..LocalMedia::default()
    };
    let (held, _) = answer(&phone, &hold)?;
    let agreed = accept(&local, &hold, &held)?;
    let direction = agreed.stream(0).ok_or("no audio")?.direction;
    println!("the phone is held: we are {direction:?}");
    assert_eq!(direction, Direction::SendOnly);

    // What is wrong with a text is said in words.
    let error = answer(&local, "v=0\r\nnonsense").expect_err("that isn't SDP");
    println!("and what can't be read: {error}");
    Ok(())
}
