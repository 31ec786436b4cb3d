//! What a call logs: a span of its own, and nothing secret in it or in any event, whatever the level.

use std::cell::RefCell;
use std::fmt::{Debug, Write as _};
use std::sync::Once;
use std::time::Duration;

use dsp_core::send::KeyPress;
use dsp_core::tone::EventCode;
use host_std::device::FileIo;
use host_std::registry::CodecFormat;
use host_std::sdp::Direction;
use host_std::session::driver::{Change, Clock, Command, Driver, Ended, Finished, Status};
use host_std::session::{Call, CallConfig, Ending, IceConfig, IceMode, Keying};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

thread_local! {
    /// What was logged on this thread: level, whose it is, and text.
    static LOGGED: RefCell<Vec<(Level, String, String)>> = const { RefCell::new(Vec::new()) };
}

fn keep(level: Level, target: &str, text: String) {
    LOGGED.with_borrow_mut(|logged| logged.push((level, target.into(), text)));
}

/// Keeps all that there is, of all levels.
struct Keeper;

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl<S: Subscriber> Layer<S> for Keeper {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let mut text = Text(format!("span {}", attributes.metadata().name()));
        attributes.record(&mut text);
        keep(*attributes.metadata().level(), attributes.metadata().target(), text.0);
    }

    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut text = Text("recorded".into());
        values.record(&mut text);
        keep(Level::TRACE, "recorded", text.0);
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        keep(*event.metadata().level(), event.metadata().target(), text.0);
    }
}

/// The same of those who use the crate `log`.
struct LogKeeper;

impl log::Log for LogKeeper {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let level = match record.level() {
            log::Level::Error => Level::ERROR,
            log::Level::Warn => Level::WARN,
            log::Level::Info => Level::INFO,
            log::Level::Debug => Level::DEBUG,
            log::Level::Trace => Level::TRACE,
        };
        keep(level, record.target(), record.args().to_string());
    }

    fn flush(&self) {}
}

/// Runs a change on the driver's task; what it gives.
async fn ask<T: Send + 'static>(
    commands: &mpsc::Sender<Command>,
    change: impl FnOnce(&mut Call, dsp_core::time::Instant) -> T + Send + 'static,
) -> T {
    let (answer, answered) = oneshot::channel();
    let change: Change = Box::new(move |call, now| drop(answer.send(change(call, now))));
    assert!(commands.send(Command::Change(change)).await.is_ok());
    answered.await.unwrap()
}

/// What must not be anywhere, each with what it is.
#[derive(Default)]
struct Secrets(Vec<(String, String)>);

impl Secrets {
    fn add(&mut self, what: &str, text: impl Into<String>) {
        self.0.push((what.into(), text.into()));
    }

    /// Bytes in the forms in which programs write them.
    fn add_bytes(&mut self, what: &str, bytes: &[u8]) {
        let first = &bytes[..bytes.len().min(8)];
        self.add(what, first.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        self.add(what, first.iter().map(|byte| format!("{byte:02X}")).collect::<String>());
        self.add(what, format!("{first:?}").trim_matches(['[', ']']).to_owned());
    }

    /// Keys and passwords of a description.
    fn add_description(&mut self, description: &str) {
        for line in description.lines() {
            if let Some((_, key)) = line.split_once("inline:") {
                self.add("a key of SDES", key.split('|').next().unwrap());
            } else if let Some(password) = line.strip_prefix("a=ice-pwd:") {
                self.add("a password of ICE", password);
            }
        }
    }
}

/// A whole call of some seconds between two drivers: keys, digits, hold and resume, a goodbye. What was logged, and what
/// is secret of it.
fn logged_call(keying: Keying, name: Option<&str>) -> (Vec<(Level, String, String)>, Secrets) {
    static LOG: Once = Once::new();
    LOG.call_once(|| {
        log::set_boxed_logger(Box::new(LogKeeper)).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
    LOGGED.take();
    let subscriber = tracing_subscriber::registry().with(Keeper);
    let _here = tracing::subscriber::set_default(subscriber);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let secrets = runtime.block_on(async {
        let clock = Clock::start();
        let mut secrets = Secrets::default();
        let mut ends = Vec::new();
        for _ in 0..2 {
            let socket = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
            let port = socket.local_addr().unwrap().port();
            let mode = if keying == Keying::Dtls { IceMode::Full } else { IceMode::Off };
            let base = CallConfig::new(port).unwrap();
            secrets.add("a CNAME", base.identity.cname.clone());
            let ice = IceConfig { mode, ..IceConfig::default() };
            ends.push((
                Call::new(CallConfig { codecs: vec![CodecFormat::pcmu()], keying, ice, ..base }).unwrap(),
                socket,
            ));
        }
        let (mut first, mut second) = (ends.remove(0), ends.remove(0));
        let offer = first.0.offer().unwrap();
        let answer = second.0.answer(clock.now(), &offer).unwrap();
        first.0.accept(clock.now(), &answer).unwrap();
        secrets.add_description(&offer);
        secrets.add_description(&answer);
        let mut sides = Vec::new();
        for (call, socket) in [first, second] {
            let (commands, from_user) = mpsc::channel(16);
            let (status, watching) = watch::channel(Status::default());
            let audio = Box::new(FileIo::null(8_000));
            let driver = Driver { name: name.map(Into::into), ..Driver::new(call, socket, audio, clock) };
            sides.push((tokio::spawn(driver.run(from_user, status)), commands, watching));
        }
        for (_, _, watching) in &mut sides {
            let talks = watching.wait_for(|status| status.stats.total.total.received > 20);
            tokio::time::timeout(Duration::from_secs(20), talks).await.expect("they talk").unwrap();
        }
        for (_, commands, _) in &sides {
            let keys = ask(commands, |call, _| {
                let keys = call.srtp_keys(host_std::session::Channel::Rtp).expect("there are keys");
                [&keys.outgoing, &keys.incoming].map(|key| key.as_bytes().to_vec())
            });
            keys.await.iter().for_each(|key| secrets.add_bytes("a key of SRTP", key));
            // A secret number, and one digit that nobody takes.
            let press = |code| KeyPress::of(EventCode(code));
            assert!(commands.send(Command::Digits([4, 7, 1, 1].map(press).into())).await.is_ok());
            assert!(commands.send(Command::Digits(vec![press(77)])).await.is_ok());
        }
        for direction in [Direction::SendOnly, Direction::SendRecv] {
            let offer = ask(&sides[0].1, move |call, _| {
                call.set_direction(direction);
                call.offer().unwrap()
            });
            let offer = offer.await;
            secrets.add_description(&offer);
            let answer = ask(&sides[1].1, move |call, now| call.answer(now, &offer).unwrap()).await;
            secrets.add_description(&answer);
            ask(&sides[0].1, move |call, now| call.accept(now, &answer).unwrap()).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        assert!(sides[0].1.send(Command::HangUp).await.is_ok());
        let mut ends = Vec::new();
        for (run, _commands, watching) in sides {
            let Finished { ended, .. } = tokio::time::timeout(Duration::from_secs(20), run).await.unwrap().unwrap();
            assert_eq!(watching.borrow().ended, Some(ended.reason()));
            ends.push(ended);
        }
        assert!(matches!(ends[..], [Ended::HungUp, Ended::Call(Ending::Goodbye)]), "{ends:?}");
        secrets
    });
    (LOGGED.take(), secrets)
}

#[test]
fn nothing_secret_of_an_encrypted_call_is_logged() {
    for keying in [Keying::Described, Keying::Dtls] {
        let (logged, secrets) = logged_call(keying, None);
        let calls: Vec<_> = logged.iter().filter(|(.., text)| text.starts_with("span call ")).collect();
        assert_eq!(calls.len(), 2, "a span for each of the two: {calls:?}");
        assert!(calls.iter().all(|(level, _, text)| *level == Level::INFO && !text.contains("name=")), "{calls:?}");
        assert!(logged.iter().any(|(.., text)| text.contains("digits not sent")), "the test reaches that");
        assert!(secrets.0.len() > 12);
        for (level, target, text) in &logged {
            for (what, secret) in &secrets.0 {
                assert!(!text.contains(secret.as_str()), "{keying:?}: {what} in {level} of {target}: {text}");
            }
            let ours = target.starts_with("host_std") || target.starts_with("dsp_core");
            // Addresses are for whoever asks for TRACE.
            let is_told = *level <= Level::DEBUG;
            assert!(!is_told || !text.contains("127.0.0.1"), "{keying:?}: an address in {level} of {target}: {text}");
            assert!(!ours || !is_told || !text.contains("77"), "{keying:?}: a digit in {level} of {target}: {text}");
        }
        let mut targets: Vec<_> = logged.iter().map(|(level, target, _)| format!("{level} {target}")).collect();
        targets.sort();
        targets.dedup();
        println!("{keying:?}: {} events of {targets:?}", logged.len());
    }
}

#[test]
fn a_call_is_named_in_its_span_where_somebody_asks_for_it() {
    let (logged, _) = logged_call(Keying::Described, Some("line 2"));
    let named = logged.iter().filter(|(.., text)| text.starts_with("span call ") && text.contains("line 2"));
    assert_eq!(named.count(), 2, "{logged:?}");
}
