//! One call after the other, on any board.

use core::net::SocketAddr;

use dsp_core::guard::srtp::MasterKey;
use dsp_core::rtcp::{Cname, ReporterConfig, RtcpReporter};
use dsp_core::send::SenderConfig;
use dsp_core::time::{Duration, Instant, NtpTime, RtpTime, Seq, Ssrc};
use embassy_net::Stack;
use embassy_stm32::gpio::{Input, Output};
use embassy_stm32::peripherals::RNG;
use embassy_stm32::rng::Rng;
use host_embedded::phone::{Phone, PhoneConfig};
use host_embedded::pump::Pump;
use host_embedded::transport::Transport;
use host_embedded::watch::{CallEvent, CallWatch, Seen};
use static_cell::StaticCell;

use crate::guard::Guard;
use crate::log;
use crate::signalling;
use crate::socket::{PhoneSocket, Room, endpoint, now};

/// The port of RTP and RTCP, and that of descriptions.
const PORT: u16 = 5004;
const SIGNALLING_PORT: u16 = 5003;
/// Bytes of the longest datagram that is sent.
const DATAGRAM: usize = 704;
/// A call in which nothing comes any more has ended.
const SILENCE: Duration = Duration::from_millis(10_000);

/// 10 ms at 8 kHz.
pub(crate) const FRAME: usize = 80;
const FRAME_MS: u64 = 10;
/// Frames that wait each way, at most.
pub(crate) const DEPTH: usize = 3;
pub(crate) static PUMP: Pump<FRAME, DEPTH> = Pump::new();

/// Sound that runs from a start of the peripheral until it stops, by the board's clock: what the pump wasn't given of it is lost.
pub(crate) struct Run {
    begun: Instant,
    captured: u32,
}

impl Run {
    pub(crate) fn begin() -> Self {
        Self { begun: now(), captured: PUMP.counters().captured }
    }

    /// The peripheral stood still and starts again now: the call's time goes on by the frames that it didn't carry.
    pub(crate) fn end(self) {
        let due = (now().since(self.begun).as_millis() / FRAME_MS) as u32;
        PUMP.lose(due.saturating_sub(PUMP.counters().captured.wrapping_sub(self.captured)));
    }
}

static MEDIA: StaticCell<Room> = StaticCell::new();
static TEXTS: StaticCell<Room> = StaticCell::new();

/// Bytes that nobody may guess.
pub(crate) fn draw<const BYTES: usize>(rng: &mut Rng<'static, RNG>) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// An offer comes, and sound flows until the blue button is pressed or nothing comes any more. `quiet` silences the codec chip or lets
/// it be heard.
pub(crate) async fn calls(
    stack: Stack<'static>,
    mut rng: Rng<'static, RNG>,
    name: &'static str,
    mut quiet: impl AsyncFnMut(bool),
    mut lamp: Output<'static>,
    button: Input<'static>,
) {
    let mut media = MEDIA.init_with(Room::new).bind(stack, PORT);
    let mut texts = TEXTS.init_with(Room::new).bind(stack, SIGNALLING_PORT);
    let mut port = PUMP.port();
    loop {
        let Some(config) = stack.config_v4() else {
            stack.wait_config_up().await;
            continue;
        };
        log!("offers are taken at {}", defmt::Debug2Format(&config.address));
        let random: [u8; MasterKey::LEN] = draw(&mut rng);
        let session = u32::from_le_bytes(draw(&mut rng));
        let address = config.address.address();
        let agreed = signalling::next(&mut texts, address, PORT, &random, session.into()).await;

        let [a, b, c, d, e, f, g, h, i, j, seed @ ..]: [u8; 14] = draw(&mut rng);
        let ssrc = Ssrc(u32::from_le_bytes([a, b, c, d]));
        let sender = SenderConfig {
            ssrc,
            // Below 2^15, so that SRTP's counter needs no guess (RFC 3711, 3.3.1).
            first_seq: Seq(u16::from_le_bytes([e, f & 0x7f])),
            first_timestamp: RtpTime(u32::from_le_bytes([g, h, i, j])),
            payload_type: agreed.format.payload_type,
            ptime_ms: agreed.ptime_ms,
        };
        let phone = PhoneConfig { sender, events: agreed.events, ..PhoneConfig::default() };
        let Ok(mut phone) = Phone::new(phone) else { continue };
        let reporter = ReporterConfig {
            ssrc,
            cname: Cname::new(name),
            seed: u32::from_le_bytes(seed),
            ..ReporterConfig::default()
        };
        let Ok(reporter) = RtcpReporter::new(reporter, now()) else { continue };
        let Some(remote) = endpoint(SocketAddr::new(agreed.address, agreed.port)) else { continue };
        let guard = Guard::new(agreed.keys.as_ref());
        let mut network = Transport::<_, _, DATAGRAM>::new(PhoneSocket(&mut media), guard, reporter);
        network.set_remote(remote);

        lamp.set_high();
        quiet(false).await;
        let (mut heard, mut last) = (0, now());
        let mut watch = CallWatch::new(last);
        loop {
            let tick = phone.tick(&mut port, &mut network).await;
            let now = now();
            let ntp = NtpTime::default().plus(now.since(Instant::ZERO));
            if agreed.rtcp_mux {
                network.report(now, phone.receiver_stats().reception, phone.send_info(ntp));
            }
            let received = phone.receiver_stats().received;
            if received != heard {
                (heard, last) = (received, now);
            }
            let counters = network.counters();
            let seen = Seen {
                now,
                link_up: stack.is_link_up(),
                received,
                expected: agreed.direction.receives(),
                refused: counters.refused.wrapping_add(counters.foreign),
                goodbye: network.next_report().is_some_and(|report| report.bye),
            };
            watch.tick(&tick, &seen);
            let mut left = false;
            while let Some(event) = watch.next_event() {
                // The SIP stack would be told, too.
                log!("{}", defmt::Debug2Format(&event));
                left |= event == CallEvent::Left;
            }
            if left || button.is_high() || now.since(last) > SILENCE {
                network.leave(now, phone.receiver_stats().reception, phone.send_info(ntp));
                break;
            }
        }
        quiet(true).await;
        lamp.set_low();
        log!("{} packets were heard", heard);
    }
}
