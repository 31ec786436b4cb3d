//! One call: ticks of the phone, reports, pressed keys, what the user does at set times, later offers of both sides, and
//! a third party that is called into it.

use core::net::SocketAddr;

use dsp_core::receive::EventPhase;
use dsp_core::rtcp::{Cname, ReporterConfig, RtcpReporter};
use dsp_core::sdp::{Agreed, Direction};
use dsp_core::send::{KeyPress, SenderConfig};
use dsp_core::time::{Duration, Instant, NtpTime, RtpTime, Seq, Ssrc};
use embassy_net::Stack;
use host_embedded::desk::Request;
use host_embedded::parts::PhoneParts;
use host_embedded::phone::{PhoneConfig, PhoneOf};
use host_embedded::stream::PhoneStream;
use host_embedded::three_way::ThreeWay;
use host_embedded::transport::Transport;
use host_embedded::watch::{CallEvent, CallWatch, Seen, Trouble};

use crate::arguments::{Arguments, key};
use crate::guard::Guard;
use crate::port::ChipPort;
use crate::semihosting::{random, say};
use crate::signalling::Signalling;
use crate::socket::{PhoneSocket, endpoint};
use crate::user::{User, Wish};
use crate::{chip, clock};

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

/// What a call is made of besides the phone.
pub(crate) struct Connected<'a> {
    pub(crate) arguments: &'a Arguments<'a>,
    pub(crate) signalling: Signalling<'a>,
    pub(crate) agreed: Agreed,
    pub(crate) network: PhoneNetwork<'a>,
    /// For a third one.
    pub(crate) socket: PhoneSocket<'a>,
    pub(crate) user: User,
    pub(crate) stack: Stack<'a>,
}

/// Somebody who is taken into the call.
#[allow(clippy::large_enum_variant, reason = "it lies in the call's task, once")]
enum Third<'a, P: PhoneParts, const TICK: usize> {
    /// Nobody was called yet.
    Nobody(PhoneSocket<'a>),
    /// An offer was made.
    Called(PhoneSocket<'a>, Signalling<'a>),
    /// All three talk.
    Joined(Joined<'a, P, TICK>),
    /// They have left.
    Gone,
}

struct Joined<'a, P: PhoneParts, const TICK: usize> {
    stream: PhoneStream<P>,
    network: PhoneNetwork<'a>,
    three: ThreeWay<TICK>,
}

impl<'a, P: PhoneParts, const TICK: usize> Third<'a, P, TICK> {
    /// The user's key: calls them, or lets them go.
    fn key(self, arguments: &'a Arguments<'a>) -> Self {
        match self {
            Self::Nobody(socket) => {
                let mut signalling = Signalling::new(arguments, arguments.third, true);
                signalling.offer(Direction::SendRecv);
                Self::Called(socket, signalling)
            }
            Self::Joined(mut joined) => {
                joined.leave();
                Self::Gone
            }
            Self::Called(..) | Self::Gone => self,
        }
    }

    /// Looks whether they have answered.
    fn look(self, stream: &impl Fn(PhoneConfig, &Agreed) -> PhoneStream<P>) -> Self {
        let Self::Called(socket, mut signalling) = self else { return self };
        let Some(agreed) = signalling.poll() else { return Self::Called(socket, signalling) };
        say!("third=joined");
        let config = config(&agreed);
        let network = network(socket, &agreed, &config);
        let three = ThreeWay::new().expect("a rate of telephony");
        Self::Joined(Joined { stream: stream(config, &agreed), network, three })
    }
}

impl<P: PhoneParts, const TICK: usize> Joined<'_, P, TICK> {
    fn report(&mut self, now: Instant) {
        self.network.report(now, self.stream.receiver_stats().reception, self.stream.send_info(ntp(now)));
    }

    fn leave(&mut self) {
        let now = clock::now();
        let stats = self.stream.receiver_stats();
        self.network.leave(now, stats.reception, self.stream.send_info(ntp(now)));
        say!("third=left");
        say!("third sent={}", self.network.counters().sent);
        say!("third received={}", stats.received);
    }
}

/// Talks until the time is over, the user hangs up or the other side has left. `stream`: makes the one of a third call.
pub(crate) async fn run<'a, P: PhoneParts, const TICK: usize>(
    mut phone: PhoneOf<P, TICK, 0>,
    mut port: ChipPort<TICK>,
    connected: Connected<'a>,
    stream: impl Fn(PhoneConfig, &Agreed) -> PhoneStream<P>,
) {
    let Connected { arguments, mut signalling, mut agreed, mut network, socket, mut user, stack } = connected;
    let (mut keys_at, mut source_at) = (arguments.keys_at, arguments.source_at);
    let mut third = Third::Nobody(socket);
    let begun = clock::now();
    let mut watch = CallWatch::new(begun);
    let (mut ticks, mut worst, mut overruns, mut underruns, mut unsent) = (0u32, Duration::ZERO, 0, 0, 0);
    loop {
        let tick = match &mut third {
            Third::Joined(Joined { stream, network: theirs, three }) => {
                phone.tick_three(&mut port, &mut network, (stream, theirs), three).await
            }
            _ => phone.tick_with(&mut port, &mut network, &mut user.tones).await,
        };
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
        let mut hung_up = false;
        let mut asked = |request, signalling: &mut Signalling<'_>| match request {
            Request::HangUp => hung_up = true,
            Request::Hold => signalling.offer(Direction::SendOnly),
            Request::Resume => signalling.offer(Direction::SendRecv),
            Request::Press(event) if phone.press(KeyPress::of(event)).is_err() => say!("refused=a key"),
            Request::Press(_) => {}
            Request::Flash => say!("flash=hook"),
            // Before there is a call.
            Request::Answer | Request::Dial | Request::Dialled(_) => {}
        };
        match user.tick(now) {
            Some(Wish::Of(request)) => asked(request, &mut signalling),
            Some(Wish::Join) => third = third.key(arguments),
            None => {}
        }
        if due(&mut keys_at, since) {
            for event in arguments.keys.chars().filter_map(key) {
                if let Some(request) = user.digit(event) {
                    asked(request, &mut signalling);
                }
            }
        }
        if let Some(path) = user.apply(Some(&mut phone)) {
            chip::set_path(path);
        }
        if let Third::Joined(joined) = &mut third {
            joined.report(now);
        }
        if due(&mut source_at, since) {
            let packets = phone.send_stats().packets;
            let (ssrc, seq, timestamp) = draw();
            phone.change_source(ssrc, seq, timestamp);
            network.change_source(now, ssrc, packets);
        }
        if ticks.is_multiple_of(LOOK) {
            third = third.look(&stream);
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
                if phone.set_packet_ms(changed.ptime_ms).is_err() {
                    say!("refused=packets of {} ms", changed.ptime_ms);
                }
                if (changed.address, changed.port) != (agreed.address, agreed.port) {
                    set_remote(&mut network, &changed);
                }
                agreed = changed;
            }
        }
        if hung_up {
            say!("goodbye=ours");
        }
        // A SIP stack would be told of the goodbye, and hang up once BYE has come.
        if left || hung_up || since >= Duration::from_millis(1_000 * arguments.seconds) {
            break;
        }
    }
    if let Third::Joined(joined) = &mut third {
        joined.leave();
    }
    let now = clock::now();
    network.leave(now, phone.receiver_stats().reception, phone.send_info(ntp(now)));
    let (stats, counters) = (phone.receiver_stats(), network.counters());
    if let Some(drift) = port.drift_ppb() {
        say!("drift, ppb={drift}");
    }
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
