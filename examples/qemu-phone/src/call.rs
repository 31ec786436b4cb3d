//! One call: ticks of the phone, reports, pressed keys, changes at their set times, and later offers of both sides.

use core::net::SocketAddr;

use dsp_core::receive::EventPhase;
use dsp_core::rtcp::{Cname, ReporterConfig, RtcpReporter};
use dsp_core::sdp::{Agreed, Direction};
use dsp_core::send::{KeyPress, SenderConfig};
use dsp_core::time::{Duration, Instant, NtpTime, RtpTime, Seq, Ssrc};
use embassy_net::Stack;
use host_embedded::parts::PhoneParts;
use host_embedded::phone::{PhoneConfig, PhoneOf};
use host_embedded::port::AudioPort;
use host_embedded::transport::Transport;
use host_embedded::watch::{CallEvent, CallWatch, Seen, Trouble};

use crate::arguments::{Arguments, key};
use crate::clock;
use crate::guard::Guard;
use crate::semihosting::{random, say};
use crate::signalling::Signalling;
use crate::socket::{PhoneSocket, endpoint};

/// Bytes of the longest datagram that is sent.
const DATAGRAM: usize = 704;
/// The other side's description is looked at each 100 ms.
const LOOK: u32 = 10;

pub(crate) type PhoneNetwork<'a> = Transport<PhoneSocket<'a>, Guard, DATAGRAM>;

/// A source that nobody else is: SSRC, sequence number and timestamp.
fn draw() -> (Ssrc, Seq, RtpTime) {
    let mut bytes = [0; 10];
    random(&mut bytes);
    let [a, b, c, d, e, f, g, h, i, j] = bytes;
    let ssrc = Ssrc(u32::from_le_bytes([a, b, c, d]));
    // Below 2^15, so that SRTP's counter needs no guess (RFC 3711, 3.3.1).
    (ssrc, Seq(u16::from_le_bytes([e, f & 0x7f])), RtpTime(u32::from_le_bytes([g, h, i, j])))
}

/// What the phone sends as, and how.
pub(crate) fn config(agreed: &Agreed) -> PhoneConfig {
    let (ssrc, first_seq, first_timestamp) = draw();
    let payload_type = agreed.format.payload_type;
    let sender = SenderConfig { ssrc, first_seq, first_timestamp, payload_type, ptime_ms: agreed.ptime_ms };
    PhoneConfig { sender, events: agreed.events, ..PhoneConfig::default() }
}

/// RTP and RTCP as they were agreed on.
pub(crate) fn network<'a>(socket: PhoneSocket<'a>, agreed: &Agreed, config: &PhoneConfig) -> PhoneNetwork<'a> {
    let mut seed = [0; 4];
    random(&mut seed);
    let reporter = ReporterConfig {
        ssrc: config.sender.ssrc,
        cname: Cname::new("phone@qemu"),
        seed: u32::from_le_bytes(seed),
        ..ReporterConfig::default()
    };
    let reporter = RtcpReporter::new(reporter, clock::now()).expect("it has a name");
    let mut network = Transport::new(socket, Guard::new(agreed.keys.as_ref()), reporter);
    set_remote(&mut network, agreed);
    network
}

fn set_remote(network: &mut PhoneNetwork<'_>, agreed: &Agreed) {
    // Of another family none is agreed on.
    if let Some(remote) = endpoint(SocketAddr::new(agreed.address, agreed.port)) {
        network.set_remote(remote);
    }
}

/// A boot's time stands for the wall clock.
fn ntp(now: Instant) -> NtpTime {
    NtpTime::default().plus(now.since(Instant::ZERO))
}

/// The trouble's name in what is printed.
fn name(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::LinkDown => "link down",
        Trouble::NoPackets => "silence",
        Trouble::Flood => "flood",
        Trouble::Refused => "strangers",
        Trouble::Overrun => "overrun",
        Trouble::Underrun => "underrun",
    }
}

/// A time that is due once.
fn due(at: &mut Option<Duration>, since: Duration) -> bool {
    at.take_if(|at| since >= *at).is_some()
}

/// Talks until the time is over.
pub(crate) async fn run<P: PhoneParts, A: AudioPort<TICK>, const TICK: usize>(
    mut phone: PhoneOf<P, TICK, 0>,
    mut port: A,
    mut network: PhoneNetwork<'_>,
    mut signalling: Signalling<'_>,
    arguments: &Arguments<'_>,
    mut agreed: Agreed,
    stack: Stack<'_>,
) {
    let Arguments { mut keys_at, mut hold_at, mut resume_at, mut source_at, .. } = *arguments;
    let begun = clock::now();
    let mut watch = CallWatch::new(begun);
    let (mut ticks, mut worst, mut overruns, mut underruns, mut unsent) = (0u32, Duration::ZERO, 0, 0, 0);
    loop {
        let tick = phone.tick(&mut port, &mut network).await;
        let now = clock::now();
        ticks += 1;
        worst = worst.max(tick.took);
        overruns += tick.overrun;
        underruns += tick.underrun;
        unsent += tick.unsent;
        let (received, receives) = (phone.receiver_stats().received, agreed.direction.receives());
        let counters = network.counters();
        let seen = Seen {
            now,
            link_up: stack.is_link_up(),
            received,
            expected: receives,
            refused: counters.refused.wrapping_add(counters.foreign),
            goodbye: network.next_report().is_some_and(|report| report.bye),
        };
        watch.tick(&tick, &seen);
        let mut left = false;
        while let Some(event) = watch.next_event() {
            match event {
                CallEvent::Began(trouble) => say!("{}=begins", name(trouble)),
                CallEvent::Over(trouble) => say!("{}=over", name(trouble)),
                CallEvent::Left => {
                    say!("goodbye=theirs");
                    left = true;
                }
            }
        }
        if agreed.rtcp_mux {
            network.report(now, phone.receiver_stats().reception, phone.send_info(ntp(now)));
        }
        while let Some(told) = phone.next_event(now) {
            let sign = told.event.digit().map_or('?', |digit| digit.as_char());
            match told.phase {
                EventPhase::Began => say!("key={sign}"),
                _ => say!("key over={sign} {} ms", told.duration.as_millis()),
            }
        }
        let since = now.since(begun);
        if due(&mut keys_at, since) {
            for event in arguments.keys.chars().filter_map(key) {
                if phone.press(KeyPress::of(event)).is_err() {
                    say!("refused=a key");
                }
            }
        }
        if due(&mut hold_at, since) {
            signalling.offer(Direction::SendOnly);
        }
        if due(&mut resume_at, since) {
            signalling.offer(Direction::SendRecv);
        }
        if due(&mut source_at, since) {
            let packets = phone.send_stats().packets;
            let (ssrc, seq, timestamp) = draw();
            phone.change_source(ssrc, seq, timestamp);
            network.change_source(now, ssrc, packets);
        }
        if ticks.is_multiple_of(LOOK)
            && let Some(changed) = signalling.poll()
        {
            // With what was sent and heard until then.
            say!("direction={} {} {}", changed.direction.name(), network.counters().sent, received);
            if !network.guard().set(changed.keys.as_ref()) {
                say!("refused=the keys");
            } else {
                phone.set_sending(changed.direction.sends());
                if (changed.address, changed.port) != (agreed.address, agreed.port) {
                    set_remote(&mut network, &changed);
                }
                agreed = changed;
            }
        }
        // A SIP stack would be told of the goodbye, and hang up once BYE has come.
        if left || since >= Duration::from_millis(1_000 * arguments.seconds) {
            break;
        }
    }
    let now = clock::now();
    network.leave(now, phone.receiver_stats().reception, phone.send_info(ntp(now)));
    let (stats, counters) = (phone.receiver_stats(), network.counters());
    say!("ticks={ticks}");
    say!("milliseconds={}", now.since(begun).as_millis());
    say!("worst tick, us={}", worst.as_micros());
    say!("overruns={overruns}");
    say!("underruns={underruns}");
    say!("unencoded={unsent}");
    say!("sent={}", counters.sent);
    say!("unsent={}", counters.unsent);
    say!("foreign={}", counters.foreign);
    say!("refused packets={}", counters.refused);
    say!("reports={}", counters.reports);
    say!("reports sent={}", counters.reports_sent);
    say!("round trip, us={}", network.reporter().round_trip().unwrap_or_default().as_micros());
    say!("received={}", stats.received);
    say!("lost={}", stats.total.lost());
    say!("late={}", stats.late);
    say!("undecodable={}", stats.undecodable + stats.unknown_payload);
    say!("sources={}", stats.ssrc_changes);
    say!("concealed, samples={}", stats.concealed_samples);
}
