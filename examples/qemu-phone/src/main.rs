//! A desk phone on the boards AN385, AN386, AN500 and AN505 of Arm's MPS2, as QEMU emulates them: RTP, RTCP and SRTP
//! over the board's Ethernet, a codec chip whose sound is in files, and offers and answers in files instead of a SIP
//! stack.
//!
//! You learn how the parts of a phone's firmware fit together on embassy's executor and network stack: interrupt,
//! pump, phone, transport, tones and a watch over the call. `README.md` beside it says how to build and call it.

#![no_std]
#![no_main]

mod arguments;
mod call;
mod chip;
mod clock;
mod codecs;
mod guard;
mod lan9118;
mod port;
mod registers;
mod semihosting;
mod signalling;
mod socket;
mod user;

use core::sync::atomic::{AtomicBool, Ordering};

use cortex_m::peripheral::NVIC;
use cortex_m_rt::{ExceptionFrame, entry, exception};
use embassy_executor::{Spawner, raw};
use embassy_net::{Config, Ipv4Address, Ipv4Cidr, Runner, StackResources, StaticConfigV4};
use embassy_time::{Duration, Timer};
use host_embedded::desk::{Request, Signal};
use host_embedded::phone::{Phone, PhoneOf};
use host_embedded::pump::Pump;
use host_embedded::stream::{G711Stream, PhoneStream};
use static_cell::{ConstStaticCell, StaticCell};

use arguments::Arguments;
use call::Connected;
use codecs::{WideParts, wide};
use lan9118::Lan9118;
use registers::{ETHERNET_INTERRUPT, Line, TIMER1_INTERRUPT};
use semihosting::say;
use signalling::Signalling;
use socket::{PhoneSocket, Room};
use user::{User, Wish};

/// This end in the emulator's network, and its gateway.
const ADDRESS: Ipv4Cidr = Ipv4Cidr::new(Ipv4Address::new(10, 0, 2, 15), 24);
const GATEWAY: Ipv4Address = Ipv4Address::new(10, 0, 2, 2);
/// The port of RTP and RTCP, and that of a third one's.
const PORT: u16 = 5004;
const THIRD_PORT: u16 = 5006;
/// Of the range for local use.
const HARDWARE_ADDRESS: [u8; 6] = [0x02, 0x00, 0x00, 0x00, 0x00, 0x01];

static COMMAND_LINE: ConstStaticCell<[u8; 1_024]> = ConstStaticCell::new([0; 1_024]);
static ARGUMENTS: StaticCell<Arguments<'static>> = StaticCell::new();
static DEVICE: StaticCell<Lan9118> = StaticCell::new();
static RESOURCES: StaticCell<StackResources<3>> = StaticCell::new();
static ROOM: ConstStaticCell<Room> = ConstStaticCell::new(Room::new());
static THIRD_ROOM: ConstStaticCell<Room> = ConstStaticCell::new(Room::new());

#[embassy_executor::task]
async fn net(mut runner: Runner<'static, &'static mut Lan9118>) {
    runner.run().await;
}

/// A task is to be run.
static PENDING: AtomicBool = AtomicBool::new(false);

/// What the executor calls for that, also in interrupts.
#[unsafe(export_name = "__pender")]
fn pend(_: *mut ()) {
    PENDING.store(true, Ordering::Release);
}

/// The executor's loop. embassy's own waits for an event (WFE), which the emulator doesn't: it would keep one of the host's
/// processors busy all the time.
#[entry]
fn main() -> ! {
    static EXECUTOR: StaticCell<raw::Executor> = StaticCell::new();
    let executor = EXECUTOR.init(raw::Executor::new(core::ptr::null_mut()));
    executor.spawner().spawn(phone(executor.spawner()).expect("it's spawned once"));
    loop {
        // SAFETY: it's called here alone, and not from within itself.
        unsafe { executor.poll() };
        // An interrupt that comes from now on ends the wait at once, and is taken behind it.
        cortex_m::interrupt::disable();
        if !PENDING.swap(false, Ordering::AcqRel) {
            cortex_m::asm::wfi();
        }
        // SAFETY: they were on before.
        unsafe { cortex_m::interrupt::enable() };
    }
}

#[embassy_executor::task]
async fn phone(spawner: Spawner) {
    let peripherals = cortex_m::Peripherals::take().expect("nobody took them before");
    clock::start(peripherals.SYST);
    let arguments = ARGUMENTS.init(Arguments::parse(semihosting::command_line(COMMAND_LINE.take())));

    let device = DEVICE.init(Lan9118::start(HARDWARE_ADDRESS));
    // SAFETY: all that the interrupt uses is there, and nobody masks by priority.
    unsafe { NVIC::unmask(Line(ETHERNET_INTERRUPT)) };
    let address = StaticConfigV4 { address: ADDRESS, gateway: Some(GATEWAY), dns_servers: Default::default() };
    let mut seed = [0; 8];
    semihosting::random(&mut seed);
    let config = Config::ipv4_static(address);
    let (stack, runner) =
        embassy_net::new(device, config, RESOURCES.init(StackResources::new()), u64::from_le_bytes(seed));
    spawner.spawn(net(runner).expect("it's spawned once"));
    stack.wait_config_up().await;
    let socket = PhoneSocket::bind(stack, ROOM.take(), PORT);

    let third = PhoneSocket::bind(stack, THIRD_ROOM.take(), THIRD_PORT);

    let mut signalling = Signalling::new(arguments, arguments.ends, arguments.offers);
    let mut user = User::new(arguments.script, arguments.rate_hz());
    if arguments.rings() {
        signalling.offered().await;
        user.signal(Signal::Invite);
        if arguments.rate_hz() == 16_000 {
            ring(&chip::WIDE, arguments, &mut user).await
        } else {
            ring(&chip::NARROW, arguments, &mut user).await
        };
    } else if arguments.offers {
        user.lift();
        user.signal(Signal::Called);
    } else {
        user.signal(Signal::Invite);
        user.lift();
    }
    let agreed = signalling.begin().await;
    user.signal(Signal::Answered);
    say!("codec={}", agreed.format.name);
    let config = call::config(&agreed);
    let network = call::network(socket, &agreed, &config);
    let own_clock = arguments.drift.is_some();
    if agreed.format.name == "G722" {
        let parts = wide(agreed.format.payload_type);
        let phone = PhoneOf::<WideParts, 160, 0>::with_parts(config, parts).expect("what was agreed on can be sent");
        chip::start(16_000, arguments);
        let connected = Connected { arguments, signalling, agreed, network, socket: third, user, stack };
        call::run(phone, port::wide(own_clock), connected, |config, agreed| {
            let parts = wide(agreed.format.payload_type);
            PhoneStream::with_parts(config, parts).expect("what was agreed on can be sent")
        })
        .await;
    } else {
        let phone = Phone::new(config).expect("what was agreed on can be sent");
        chip::start(8_000, arguments);
        let connected = Connected { arguments, signalling, agreed, network, socket: third, user, stack };
        call::run(phone, port::narrow(own_clock), connected, |config, _| {
            G711Stream::new(config).expect("what was agreed on can be sent")
        })
        .await;
    }
    chip::stop();
    // The goodbye leaves.
    Timer::after(Duration::from_millis(50)).await;
    semihosting::exit(true)
}

/// Rings until the receiver is lifted, with the codec chip at the rate of the call to come.
async fn ring<const TICK: usize>(pump: &Pump<TICK, { chip::DEPTH }>, arguments: &Arguments<'_>, user: &mut User) {
    chip::start(arguments.rate_hz(), arguments);
    let mut port = pump.port();
    loop {
        if let Some(path) = user.apply(None::<&mut Phone>) {
            chip::set_path(path);
        }
        user.tones.tick(&mut port).await;
        if let Some(Wish::Of(Request::Answer)) = user.tick(clock::now()) {
            break;
        }
    }
    if let Some(path) = user.apply(None::<&mut Phone>) {
        chip::set_path(path);
    }
    user.tones.tick(&mut port).await;
}

#[exception]
unsafe fn DefaultHandler(interrupt: i16) {
    match interrupt {
        TIMER1_INTERRUPT => chip::interrupt(),
        ETHERNET_INTERRUPT => lan9118::interrupt(),
        other => panic!("interrupt {other}"),
    }
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    panic!("{frame:?}")
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    say!("panic={info}");
    semihosting::exit(false)
}
