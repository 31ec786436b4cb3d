//! One browser's call: its sockets and its driver, the commands to it while it runs, and its remaining data.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration as StdDuration, Instant as StdInstant, SystemTime};

use dsp_core::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot, watch};

use super::ends::RATE_HZ;
use super::kept::{self, Kept, time_of_day};
use super::problem::Problem;
use super::{Caller, EndError, Follow, Opened, People, Person, Shared, SoundEnd, WebConfig, fragment};
use crate::monitoring::Watched;
use crate::report::Report;
use crate::sdp::SrtpPolicy;
use crate::session::driver::{Clock, Command, Driver, Ended, Finished, Status};
use crate::session::{Call, CallConfig, CallError, Ending, IceConfig, IceMode, IceState, Keying};
use crate::sockets::{SocketConfig, Sockets};

/// The interval at which an end that follows its call is updated.
const FOLLOW_EVERY: StdDuration = StdDuration::from_millis(50);
/// The time after which a silent browser's call ends; its reports come every 5 s at least.
const SILENCE: Duration = Duration::from_secs(15);
/// The time within which a call must carry out a command between two ticks.
const ASKED: StdDuration = StdDuration::from_secs(2);

/// The result of the last offer and answer.
#[derive(Clone, Debug)]
struct Agreed {
    /// The browser's last offer.
    offer: String,
    /// Names the state of ICE: our user name fragment, which a restart changes.
    tag: String,
}

/// The remaining data of a finished call.
#[derive(Clone, Debug)]
pub(super) struct Left {
    /// The reason why it ended, in words.
    pub(super) why: String,
    /// Whether the end was intended.
    pub(super) wanted: bool,
    /// The last numbers.
    pub(super) status: Status,
    pub(super) digits: String,
    report: Arc<Report>,
}

/// A call that runs, or the remaining data of a finished one.
pub(super) struct WebCall {
    commands: mpsc::Sender<Command>,
    status: watch::Receiver<Status>,
    agreed: tokio::sync::Mutex<Agreed>,
    people: Option<People>,
    /// Rate of the sound at the other end, in Hz.
    rate_hz: u32,
    /// The codec, in words.
    codec: Mutex<String>,
    begins: SystemTime,
    /// The reason why we hang up by ourselves.
    why: Mutex<Option<&'static str>>,
    left: Mutex<Option<Left>>,
    ended_at: Mutex<Option<StdInstant>>,
}

/// A call that has answered an offer.
pub(super) struct Begun {
    pub(super) call: Arc<WebCall>,
    pub(super) answer: String,
    pub(super) tag: String,
}

/// Answers an offer, and lets the call run until it is hung up. `place` is dropped when it is over, `unconnected` when it has
/// connected.
pub(super) async fn begin(
    shared: &Arc<Shared>,
    caller: Caller,
    peer: Option<IpAddr>,
    offer: String,
    place: impl Send + 'static,
    unconnected: impl Send + 'static,
) -> Result<Begun, Problem> {
    let Shared { config, end, .. } = &**shared;
    let end = end.clone();
    let address = local_address(config.address, peer).map_err(|error| Problem::Failed(error.to_string()))?;
    let sockets =
        SocketConfig { address: bound(config.address, address), ports: config.ports.clone(), ..Default::default() };
    let sockets = Sockets::open(&sockets, false).map_err(|error| Problem::Busy(error.to_string(), 5))?;
    let rtp = UdpSocket::from_std(sockets.rtp).map_err(|error| Problem::Failed(error.to_string()))?;
    let port = rtp.local_addr().map_err(|error| Problem::Failed(error.to_string()))?.port();
    let mut call = make(config, &*end, address, port).map_err(|error| Problem::Failed(chain(&error)))?;
    let clock = Clock::start();
    let answer = call.answer(clock.now(), &offer).map_err(|error| refusal(&error))?;
    let tag = tag(&answer);
    // The device is opened only now, so that a description that is refused opens none.
    let opened = tokio::task::spawn_blocking(move || end.open(&caller)).await;
    let opened = opened.map_err(|error| Problem::Failed(error.to_string()))?;
    let Opened { audio, follow, people, place: taken } = opened.map_err(|error| match error {
        EndError::Busy(why) => Problem::Busy(why, 10),
        EndError::Broken(error) => Problem::Failed(chain(&*error)),
    })?;
    call.add_tap(Box::new(Kept::new(audio.sample_rate_hz(), audio.channels())));
    let (commands, from_user) = mpsc::channel(16);
    let (told, status) = watch::channel(Status::default());
    let running = Arc::new(WebCall {
        commands: commands.clone(),
        status,
        agreed: tokio::sync::Mutex::new(Agreed { offer, tag: tag.clone() }),
        people,
        rate_hz: audio.sample_rate_hz(),
        codec: Mutex::new(codec(&call)),
        begins: SystemTime::now(),
        why: Mutex::default(),
        left: Mutex::default(),
        ended_at: Mutex::default(),
    });
    let driver = Driver { time_limit: Some(config.call_time), ..Driver::new(call, rtp, audio, clock) };
    let following = follow.map(|follow| tokio::spawn(follow_call(follow, commands)));
    let setup = tokio::spawn(running.clone().watch_setup(config.setup_time, unconnected));
    let own = running.clone();
    let (kept_time, table) = (config.kept_time, Arc::downgrade(shared));
    tokio::spawn(async move {
        let finished = driver.run(from_user, told).await;
        following.inspect(tokio::task::JoinHandle::abort);
        setup.abort();
        own.finish(finished);
        drop((own, taken, place));
        // The remaining data expire with time, whether anybody asks for them or not.
        for wait in [StdDuration::ZERO, kept_time] {
            tokio::time::sleep(wait).await;
            let Some(shared) = table.upgrade() else { return };
            shared.table.clean(&shared.config);
        }
    });
    Ok(Begun { call: running, answer, tag })
}

/// Returns a call of this server, before its offer.
fn make(config: &WebConfig, end: &dyn SoundEnd, address: IpAddr, port: u16) -> Result<Call, CallError> {
    let bind = bound(config.address, address);
    let mut call = CallConfig {
        address,
        bind: Some(bind).filter(|bind| *bind != address),
        srtp: SrtpPolicy::Required,
        keying: Keying::Dtls,
        ice: IceConfig { mode: IceMode::Full, required: true, stun: config.stun.clone(), ..IceConfig::default() },
        metering: true,
        redundancy: 1,
        redundancy_on_loss: true,
        ask_redundancy: true,
        after_silence: Some(SILENCE),
        sound: Some((RATE_HZ, 1)),
        adaptation: config.adaptation,
        ..CallConfig::new(port)?
    };
    end.prepare(&mut call);
    Call::new(call)
}

/// Returns our address for a call of the browser at `peer`: the configured one, or the one on the route to it. Nothing is sent:
/// connecting a socket of UDP asks the routing table.
fn local_address(told: IpAddr, peer: Option<IpAddr>) -> io::Result<IpAddr> {
    match peer.map(|peer| peer.to_canonical()) {
        Some(peer) if told.is_unspecified() => {
            let any: IpAddr = if peer.is_ipv4() { [0, 0, 0, 0].into() } else { [0u16; 8].into() };
            let socket = std::net::UdpSocket::bind((any, 0))?;
            socket.connect((peer, 9))?;
            Ok(socket.local_addr()?.ip())
        }
        _ if told.is_unspecified() => Err(io::Error::other("this server doesn't know at which address it is asked")),
        _ => Ok(told),
    }
}

/// Returns the address to which the call's socket is bound.
fn bound(told: IpAddr, address: IpAddr) -> IpAddr {
    if told.is_unspecified() { address } else { told }
}

/// Returns the entity tag of an answer.
fn tag(answer: &str) -> String {
    format!("\"{}\"", fragment::attribute(answer, "ice-ufrag:").unwrap_or_default())
}

fn codec(call: &Call) -> String {
    let stream = call.negotiated_stream(0);
    stream.zip(call.codec()).map_or_else(String::new, |(stream, codec)| format!("{codec}, {} ms", stream.send_ptime_ms))
}

/// Returns why an offer has no answer.
fn refusal(error: &CallError) -> Problem {
    match error {
        CallError::Sdp(_) => Problem::Impossible(chain(error)),
        _ => Problem::Failed(chain(error)),
    }
}

/// Returns an error and its sources in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        if !line.ends_with(&text) {
            line = format!("{line}: {text}");
        }
        source = error.source();
    }
    line
}

/// Lets an end look at its call, until that is over.
async fn follow_call(mut follow: Follow, commands: mpsc::Sender<Command>) {
    loop {
        tokio::time::sleep(FOLLOW_EVERY).await;
        let (back, gone) = oneshot::channel();
        let change = move |call: &mut Call, _: Instant| {
            follow(call);
            let _ = back.send(follow);
        };
        if commands.send(Command::Change(Box::new(change))).await.is_err() {
            return;
        }
        match gone.await {
            Ok(again) => follow = again,
            Err(_) => return,
        }
    }
}

impl WebCall {
    /// Ends a call that has not come about in time. `unconnected` is held until then.
    async fn watch_setup(self: Arc<Self>, time: StdDuration, unconnected: impl Send) {
        let mut status = self.status.clone();
        let connected = status.wait_for(|status| status.stats.last_heard.is_some());
        if tokio::time::timeout(time, connected).await.is_err() {
            self.hang_up("no packet of the browser arrived").await;
        }
        drop(unconnected);
    }

    /// Hangs up because the browser's user wants it.
    pub(super) async fn hang_up_wanted(&self) {
        let _ = self.commands.send(Command::HangUp).await;
    }

    /// Hangs up, for this reason.
    pub(super) async fn hang_up(&self, why: &'static str) {
        lock(&self.why).get_or_insert(why);
        // A call that has ended already needs no command.
        let _ = self.commands.send(Command::HangUp).await;
    }

    /// Makes a change between two ticks and returns its result; `None` if the call is over.
    async fn ask<T: Send + 'static>(&self, change: impl FnOnce(&mut Call, Instant) -> T + Send + 'static) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let change = move |call: &mut Call, now: Instant| drop(answer.send(change(call, now)));
        self.commands.send(Command::Change(Box::new(change))).await.ok()?;
        tokio::time::timeout(ASKED, answered).await.ok()?.ok()
    }

    /// Checks an `If-Match` against the present state: whether it names that, and not any.
    fn check(agreed: &Agreed, wanted: &str) -> Result<(), Problem> {
        let named = wanted.split(',').map(str::trim).any(|tag| tag == "*" || tag == agreed.tag);
        if named { Ok(()) } else { Err(Problem::Changed) }
    }

    /// Takes a later offer; its answer, and the tag.
    pub(super) async fn reoffer(&self, wanted: &str, offer: String) -> Result<(String, String), Problem> {
        let mut agreed = self.agreed.lock().await;
        Self::check(&agreed, wanted)?;
        self.answer(&mut agreed, offer).await
    }

    async fn answer(&self, agreed: &mut Agreed, offer: String) -> Result<(String, String), Problem> {
        let text = offer.clone();
        let answer = self.ask(move |call, now| call.answer(now, &text).map(|answer| (answer, codec(call)))).await;
        let (answer, codec) = answer.ok_or(Problem::Gone)?.map_err(|error| refusal(&error))?;
        *lock(&self.codec) = codec;
        *agreed = Agreed { offer, tag: tag(&answer) };
        Ok((answer, agreed.tag.clone()))
    }

    /// Takes a fragment: candidates (`None`), or a restart of ICE, with the answer's fragment and the new tag.
    pub(super) async fn patch(&self, wanted: &str, text: String) -> Result<Option<(String, String)>, Problem> {
        let fragment = fragment::read(&text)
            .ok_or_else(|| Problem::Malformed("neither credentials nor candidates are in it".into()))?;
        let mut agreed = self.agreed.lock().await;
        Self::check(&agreed, wanted)?;
        if fragment.restarts(&agreed.offer) {
            if wanted.trim() != "*" {
                // A client that restarts ICE doesn't name the state that ends (RFC 9725, 4.3.2).
                return Err(Problem::Changed);
            }
            let offer = fragment.offer(&agreed.offer).ok_or_else(|| Problem::Malformed("no credentials".into()))?;
            let (answer, tag) = self.answer(&mut agreed, offer).await?;
            return Ok(Some((fragment::of_answer(&answer), tag)));
        }
        let taken = self.ask(move |call, now| call.trickle(now, &text)).await;
        taken.map(|_| None).ok_or(Problem::Gone)
    }

    /// Returns the report, so far or of all of it.
    pub(super) async fn report(&self) -> Option<Arc<Report>> {
        if let Some(left) = self.left() {
            return Some(left.report);
        }
        let (title, settings) = self.title();
        let kept = self.ask(|call, _| call.tap::<Kept>().cloned().map(|kept| kept.report(call, title, settings)));
        match kept.await {
            Some(report) => report.map(Arc::new),
            // It ended meanwhile.
            None => self.left().map(|left| left.report),
        }
    }

    fn title(&self) -> (String, Vec<(String, String)>) {
        let codec = lock(&self.codec).clone();
        let title = format!("browser call of {}", time_of_day(self.begins));
        (title, vec![("codec".into(), codec), ("protection".into(), "DTLS-SRTP".into())])
    }

    /// Returns the present numbers, or the last ones.
    pub(super) fn status(&self) -> Status {
        *self.status.borrow()
    }

    /// Returns the data of the call for a monitor: nothing in them identifies the caller.
    pub(super) fn watched(self: &Arc<Self>) -> (Watched, watch::Receiver<Status>) {
        // The record of a call for its report is not kept longer for this.
        let call = Arc::downgrade(self);
        let codec = move || call.upgrade().map_or_else(String::new, |call| call.codec());
        (Watched::new("browser", self.rate_hz, codec), self.status.clone())
    }

    /// Returns the remaining data, if the call is over.
    pub(super) fn left(&self) -> Option<Left> {
        lock(&self.left).clone()
    }

    /// Returns the time since it ended.
    pub(super) fn ended_for(&self) -> Option<StdDuration> {
        lock(&self.ended_at).map(|at| at.elapsed())
    }

    /// Returns the bytes of its remaining data.
    pub(super) fn kept_bytes(&self) -> usize {
        lock(&self.left).as_ref().map_or(0, |left| kept::bytes(&left.report))
    }

    pub(super) fn codec(&self) -> String {
        lock(&self.codec).clone()
    }

    /// Returns the people who are present, where it's a room.
    pub(super) fn people(&self) -> Option<Vec<Person>> {
        self.people.as_ref().filter(|_| self.ended_for().is_none()).map(|people| people())
    }

    /// Returns the digits that were pressed.
    pub(super) async fn digits(&self) -> String {
        match self.left() {
            Some(left) => left.digits,
            None => {
                let digits = self.ask(|call, _| call.tap::<Kept>().map(Kept::digits)).await;
                digits.flatten().unwrap_or_default()
            }
        }
    }

    fn finish(&self, finished: Finished) {
        let Finished { ended, mut call, .. } = finished;
        let kept = call.take_tap::<Kept>().unwrap_or_default();
        let (why, wanted) = words(&ended, lock(&self.why).take());
        let (title, mut settings) = self.title();
        settings.push(("ended".into(), why.clone()));
        let report = Arc::new(kept.report(&call, title, settings));
        let status = Status { stats: call.stats(), ..self.status() };
        tracing::debug!(why, "a browser's call has ended");
        // Addresses are among them.
        tracing::trace!(stats = ?status.stats, "its numbers");
        *lock(&self.left) = Some(Left { why, wanted, status, digits: kept.digits(), report });
        *lock(&self.ended_at) = Some(StdInstant::now());
    }
}

/// Returns why a call ended, and whether that was wanted.
fn words(ended: &Ended, why: Option<&'static str>) -> (String, bool) {
    let text = match ended {
        Ended::HungUp => return (why.unwrap_or("you hung up").into(), why.is_none()),
        Ended::Call(Ending::Goodbye) => return ("the browser said goodbye".into(), true),
        Ended::TimeOver => "the longest time of a call was over",
        Ended::Call(Ending::Silence(silence)) => {
            return (format!("nothing came from the browser for {} s", silence.as_millis() / 1_000), false);
        }
        Ended::Call(Ending::ConsentGone) => "the browser has not answered for 30 s",
        Ended::Call(Ending::ChecksFailed) => "no address of the browser answered",
        Ended::Call(Ending::Handshake(failure)) => return (format!("no keys: {failure}"), false),
        Ended::Call(Ending::KeysOver) => "the keys were used up",
        Ended::Call(Ending::Hopeless(_)) => "what was sent did not arrive",
        Ended::Call(Ending::NoRelay | Ending::RelayLost) => "the relay has failed",
        Ended::Socket(error) => return (format!("the socket failed: {error}"), false),
        Ended::Sound(error) => return (chain(error), false),
        Ended::Front(error) => return (error.to_string(), false),
        Ended::SoundFailed => "the sound at the other end has failed",
    };
    (text.into(), false)
}

/// Returns whether a call has connected.
pub(super) fn is_connected(status: &Status) -> bool {
    status.stats.ice.is_some_and(|ice| ice.state == IceState::Connected) && status.stats.last_heard.is_some()
}

/// Locks a mutex, also after a panic: no operation leaves its content half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn a_call_is_where_the_browser_is_reached() {
        let any: IpAddr = [0, 0, 0, 0].into();
        let loopback: IpAddr = [127, 0, 0, 1].into();
        assert_eq!(local_address(any, Some(loopback)).unwrap(), loopback);
        assert_eq!(local_address([192, 0, 2, 9].into(), Some(loopback)).unwrap(), IpAddr::from([192, 0, 2, 9]));
        assert!(local_address(any, None).is_err());
        let mapped: SocketAddr = "[::ffff:127.0.0.1]:9".parse().unwrap();
        assert_eq!(local_address(any, Some(mapped.ip())).unwrap(), loopback);
    }
}
