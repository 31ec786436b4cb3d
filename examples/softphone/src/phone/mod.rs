//! The phone: its lines, the commands of its user, and the events of signalling and media.
//!
//! One task owns all of this, so no decision is based on state that another task has changed in the meantime. What
//! takes time, such as a request and its response, is a task of its own that sends its result here.

mod change;
mod incoming;
mod line;
mod outgoing;
mod talk;
mod transfer;

use std::io::Write;
use std::time::Duration;

use host_std::manager::{DialogId, Event, EventKind, Events, ManagerConfig, MediaManager};
use host_std::session::DigitPhase;
use rsipstack::dialog::dialog::{DialogState, TerminatedReason};
use rsipstack::dialog::invitation::InviteAsyncResult;
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::{Header, Response};
use tokio::sync::mpsc;

use crate::browsers::Browsers;
use crate::command::{Command, HELP};
use crate::config::{Config, sip_uri};
use crate::sip::stack::{Incoming, Registered, Stack};
use crate::sip::timer::Wishes;
use crate::sound::{self, Desk, Ringer};

use line::{Key, Line, Stage};

/// Outcomes that wait to be dealt with.
const WAITING: usize = 256;
/// So long an INVITE has before it is asked whether there is a way for it.
const ON_ITS_WAY: Duration = Duration::from_millis(500);
/// So long the other sides are waited for when we leave.
const LEAVING: Duration = Duration::from_secs(2);

/// Tells the user something.
macro_rules! say {
    ($($arg:tt)*) => { $crate::phone::print(&format!($($arg)*)) };
}
pub(crate) use say;

/// Prints it; what others have named themselves can't speak to the terminal.
pub(crate) fn print(text: &str) {
    let harmless: String =
        text.chars().map(|letter| if letter.is_control() && letter != '\n' { ' ' } else { letter }).collect();
    // Whoever has closed the pipe wants to hear nothing.
    let _ = writeln!(std::io::stdout(), "{harmless}");
}

/// What a task of ours has come to.
enum Outcome {
    /// Our INVITE.
    Invite(Key, InviteAsyncResult),
    /// There is no way to whom we call.
    Unreachable(Key, String),
    /// Our re-INVITE or UPDATE.
    Change(Key, Answer),
    /// Our REFER.
    Refer(Key, Answer),
    /// A time has come, if the line's round is still this one.
    Due(Key, Due, u64),
}

/// `None` where no answer came.
type Answer = Result<Option<Response>, rsipstack::Error>;

/// What a line waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// The session timer.
    Session,
    /// Both sides offered at once: another attempt.
    Retry,
    /// The PRACK.
    Prack,
}

/// The phone.
pub(crate) struct Phone {
    config: Config,
    stack: Stack,
    media: MediaManager,
    desk: Desk,
    ringer: Option<Ringer>,
    lines: Vec<Line>,
    keys: Key,
    /// Whether all lines talk together.
    conference: bool,
    outcomes: mpsc::Sender<Outcome>,
}

/// Where what happens comes from.
pub(crate) struct Sources {
    pub(crate) typed: mpsc::Receiver<String>,
    pub(crate) incoming: Incoming,
    pub(crate) events: Events,
}

impl Phone {
    pub(crate) fn new(config: Config, stack: Stack, media: MediaManager, desk: Desk) -> (Self, Outcomes) {
        let (outcomes, waiting) = mpsc::channel(WAITING);
        let ringer = Ringer::start(&config.audio);
        let lines = Vec::new();
        let phone = Self { config, stack, media, desk, ringer, lines, keys: 0, conference: false, outcomes };
        (phone, Outcomes(waiting))
    }

    /// Runs until the user leaves.
    pub(crate) async fn run(mut self, sources: Sources, browsers: Option<Browsers>, outcomes: Outcomes) {
        let Sources { mut typed, incoming: Incoming { mut transactions, mut states, mut registered }, mut events } =
            sources;
        let mut outcomes = outcomes.0;
        let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
        say!("ready: {} at {}", self.stack.account(), self.stack.contact());
        loop {
            tokio::select! {
                text = typed.recv() => match text.as_deref().map(Command::parse) {
                    Some(Ok(Some(Command::Quit))) | None => break,
                    Some(Ok(Some(command))) => self.obey(command).await,
                    Some(Ok(None)) => {}
                    Some(Err(why)) => say!("{why}"),
                },
                Some(transaction) = transactions.recv() => self.take(transaction).await,
                Some(state) = states.recv() => self.follow(state).await,
                Some(outcome) = outcomes.recv() => self.conclude(outcome).await,
                Some(event) = events.next() => self.hear(event).await,
                Some(registered) = registered.recv() => match registered {
                    Registered::Yes(seconds) => say!("registered for {seconds} s"),
                    Registered::No(why) => say!("not registered: {why}"),
                    Registered::Gone => {}
                },
                _ = &mut interrupted => break,
            }
            self.follow_ringing();
        }
        if let Some(browsers) = browsers {
            browsers.close().await;
        }
        self.leave().await;
    }

    async fn obey(&mut self, command: Command) {
        let done = match command {
            Command::Call(address) => self.call_address(&address).await,
            Command::Answer(number) => self.answer_line(number).await,
            Command::Reject(number) => self.reject(number).await,
            Command::HangUp(number) => self.hang_up(number).await,
            Command::Hold(number) => self.hold(number).await,
            Command::Resume(number) => self.resume(number).await,
            Command::Digits(digits) => self.press(&digits).await,
            Command::TransferTo(address) => match sip_uri(&address) {
                Ok(uri) => self.transfer_to(&uri).await,
                Err(why) => Err(format!("{address}: {why}")),
            },
            Command::TransferToLine(number) => self.transfer_to_line(number).await,
            Command::Conference => self.confer().await,
            Command::Split => self.split().await,
            Command::Mute(muted) => {
                self.desk.mute(muted).await;
                say!("{}", if muted { "muted" } else { "not muted" });
                Ok(())
            }
            Command::Device(speaker, microphone) => self.move_sound(speaker, microphone).await,
            Command::Record(path) => {
                let what = path.as_ref().map_or("recorded".into(), |path| format!("recording to {}", path.display()));
                self.desk.record(path).await.map(|()| say!("{what}"))
            }
            Command::Lines => {
                self.tell_lines().await;
                Ok(())
            }
            Command::Help => {
                say!("{HELP}");
                Ok(())
            }
            // Its loop has ended before.
            Command::Quit => Ok(()),
        };
        if let Err(why) = done {
            say!("{why}");
        }
    }

    /// Other devices have the sound from now on; what can't be opened changes nothing.
    async fn move_sound(&mut self, speaker: String, microphone: String) -> Result<(), String> {
        let told = format!("sound by {speaker} and {microphone}");
        let rate = self.desk.rate_hz();
        let audio = crate::config::Audio { speaker, microphone, rate, repeat: true, ..Default::default() };
        // Opening may take a while, and calls go on.
        let opened = tokio::task::spawn_blocking(move || sound::open(&audio)).await;
        let audio = opened.map_err(|error| error.to_string())?.map_err(|error| format!("device: {error}"))?;
        self.desk.change(audio).await;
        say!("{told}");
        Ok(())
    }

    /// It rings while a call comes in, and nobody is talked with.
    fn follow_ringing(&self) {
        if let Some(ringer) = &self.ringer {
            let talks = self.lines.iter().any(|line| line.talks);
            ringer.set(!talks && self.lines.iter().any(Line::is_ringing));
        }
    }

    async fn tell_lines(&self) {
        if self.lines.is_empty() {
            say!("no calls");
        }
        for line in &self.lines {
            let numbers =
                self.media.stats(&line.media).await.ok().map(|stats| {
                    format!(", {} packets received, {} lost", stats.total.received, stats.total.total.lost())
                });
            say!("{line}{}", numbers.unwrap_or_default());
        }
    }

    /// What a dialog of ours has become.
    async fn follow(&mut self, state: DialogState) {
        match state {
            DialogState::Early(id, response) => self.early(&id, response).await,
            DialogState::Confirmed(id, _) => self.confirmed(&id).await,
            DialogState::Updated(id, request, handle) => self.changed(&id, request, handle).await,
            DialogState::Refer(id, request, handle) => self.referred(&id, request, handle).await,
            DialogState::Notify(id, request, handle) => self.notified(&id, request, handle).await,
            DialogState::Options(_, _, handle) => {
                let _ = handle.reply(rsipstack::sip::StatusCode::OK).await;
            }
            DialogState::Info(_, _, handle) | DialogState::Message(_, _, handle) => {
                let _ = handle.reply(rsipstack::sip::StatusCode::UnsupportedMediaType).await;
            }
            DialogState::Publish(_, _, handle) => {
                let _ = handle.reply(rsipstack::sip::StatusCode::MethodNotAllowed).await;
            }
            DialogState::Terminated(id, reason) => {
                let ended =
                    self.line_of(&id).filter(|line| !line.is_calling()).map(|line| (line.key, line.is_ringing()));
                if let Some((key, missed)) = ended {
                    let why = if missed { "they gave up".into() } else { in_words(&reason) };
                    self.release(key, &why).await;
                }
                self.stack.forget(&id);
            }
            DialogState::Calling(_) | DialogState::Trying(_) | DialogState::WaitAck(..) => {}
        }
    }

    async fn conclude(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Invite(key, result) => self.invited(key, result).await,
            Outcome::Unreachable(key, why) => {
                if self.line(key).is_some_and(Line::is_calling) {
                    self.say_goodbye(key);
                    self.fail(key, 503, &why).await;
                }
            }
            Outcome::Change(key, answer) => self.concluded(key, answer).await,
            Outcome::Refer(key, answer) => self.refer_answered(key, answer),
            Outcome::Due(key, due, round) => {
                let Some(line) = self.line(key).filter(|line| line.round == round || due != Due::Session) else {
                    return;
                };
                let key = line.key;
                match due {
                    Due::Session => self.session_due(key).await,
                    Due::Retry => self.settle(key).await,
                    Due::Prack => self.repeat(key).await,
                }
            }
        }
    }

    /// What a line's sound tells.
    async fn hear(&mut self, event: Event) {
        let line = self.lines.iter().find(|line| {
            (line.media.call_id(), line.media.local_tag()) == (event.dialog.call_id(), event.dialog.local_tag())
        });
        let Some(line) = line else { return };
        let (number, key) = (line.number, line.key);
        match event.kind {
            EventKind::FirstPacket => say!("line {number}: sound arrives"),
            EventKind::NoPackets(time) => say!("line {number}: nothing has come for {} ms", time.as_millis()),
            EventKind::PacketsAgain => say!("line {number}: sound arrives again"),
            EventKind::RemoteHold => say!("line {number}: they hold"),
            EventKind::RemoteResume => say!("line {number}: they talk again"),
            EventKind::Digit(digit) if digit.phase == DigitPhase::Began => {
                say!("line {number}: digit {}", digit.sign())
            }
            EventKind::OneWay(finding) => say!("line {number}: {finding}"),
            EventKind::QualityPoor(mos) => say!("line {number}: it sounds bad (MOS {mos:.1})"),
            EventKind::QualityGood(mos) => say!("line {number}: it sounds well again (MOS {mos:.1})"),
            EventKind::Ended(why) => {
                self.say_goodbye(key);
                self.release(key, &format!("its sound has ended: {why}")).await;
            }
            _ => {}
        }
    }

    /// Ends a line on our side: what is to be said to the other side is said elsewhere.
    async fn release(&mut self, key: Key, why: &str) {
        let Some(index) = self.lines.iter().position(|line| line.key == key) else { return };
        let line = self.lines.remove(index);
        // Where nobody has answered there is nothing.
        let _ = self.media.end(&line.media).await;
        self.desk.unplug(key).await;
        if matches!(line.stage, Stage::Calling { rings: true, .. }) {
            self.desk.ring(false).await;
        }
        say!("line {}: ended: {why}", line.number);
    }

    /// Sends BYE, CANCEL or a refusal, whatever the call has come to; nobody waits for what comes of it.
    fn say_goodbye(&self, key: Key) -> Option<tokio::task::JoinHandle<()>> {
        let line = self.line(key)?;
        let dialog = line.dialog.clone();
        if line.is_ringing() {
            let _ = dialog.reject(Some(rsipstack::sip::StatusCode::BusyHere), None);
            return None;
        }
        Some(tokio::spawn(async move {
            if let Err(error) = dialog.hangup().await {
                tracing::debug!(%error, "no answer to the goodbye");
            }
        }))
    }

    /// Ends everything.
    async fn leave(&mut self) {
        let keys: Vec<Key> = self.lines.iter().map(|line| line.key).collect();
        let mut goodbyes = Vec::new();
        for key in keys {
            goodbyes.extend(self.say_goodbye(key));
            self.release(key, "we left").await;
        }
        let all = async {
            for goodbye in goodbyes {
                let _ = goodbye.await;
            }
        };
        let _ = tokio::time::timeout(LEAVING, all).await;
        self.stack.leave().await;
        self.media.shutdown(LEAVING).await;
        if let Some(ringer) = self.ringer.take() {
            ringer.close().await;
        }
        if let Some(error) = self.desk.close().await {
            say!("{error}");
        }
        say!("goodbye");
    }

    fn line(&self, key: Key) -> Option<&Line> {
        self.lines.iter().find(|line| line.key == key)
    }

    fn line_mut(&mut self, key: Key) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.key == key)
    }

    /// By what the stack calls a dialog: a call to ourselves has one Call-ID and two lines.
    fn line_of(&self, id: &rsipstack::dialog::DialogId) -> Option<&Line> {
        self.lines.iter().find(|line| {
            let own = line.dialog.id();
            own.call_id == id.call_id && own.local_tag == id.local_tag
        })
    }

    fn new_key(&mut self) -> Key {
        self.keys += 1;
        self.keys
    }

    /// The lowest number that no line has; `spare`: beyond those of the config if need be.
    fn free_number(&self, spare: bool) -> Option<u32> {
        let most = self.config.phone.lines as u32 + u32::from(spare);
        (1..=most).find(|number| self.lines.iter().all(|line| line.number != *number))
    }

    fn wishes(&self) -> Wishes {
        Wishes { expires: self.config.sip.session_expires, min: self.config.sip.min_session_expires }
    }

    /// Tells of a time that has come.
    fn later(&self, key: Key, due: Due, round: u64, after: Duration) {
        let outcomes = self.outcomes.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let _ = outcomes.send(Outcome::Due(key, due, round)).await;
        });
    }

    /// Tells of what an answer comes to.
    fn tell<T: Send + 'static>(
        &self,
        what: impl Future<Output = T> + Send + 'static,
        outcome: impl FnOnce(T) -> Outcome + Send + 'static,
    ) {
        let outcomes = self.outcomes.clone();
        tokio::spawn(async move {
            let came = what.await;
            let _ = outcomes.send(outcome(came)).await;
        });
    }
}

/// What the phone's tasks have come to.
pub(crate) struct Outcomes(mpsc::Receiver<Outcome>);

/// The media of all lines.
///
/// # Errors
/// In words.
pub(crate) fn media(config: &Config) -> Result<(MediaManager, Events), String> {
    let manager = talk::manager_config(config)?;
    let manager: ManagerConfig = manager;
    Ok(MediaManager::new(manager))
}

/// The dialog of an INVITE of ours, before anybody has answered. Its tag is the stack's own affair until it is sent,
/// so the call's id stands for both.
fn half(call_id: &str) -> DialogId {
    DialogId::half(call_id, call_id)
}

fn in_words(reason: &TerminatedReason) -> String {
    match reason {
        TerminatedReason::UacBye | TerminatedReason::UasBye => "hung up".into(),
        TerminatedReason::UacCancel => "they gave up".into(),
        TerminatedReason::Timeout => "no answer".into(),
        TerminatedReason::UacBusy | TerminatedReason::UasBusy => "busy".into(),
        TerminatedReason::UasDecline => "refused".into(),
        TerminatedReason::ProxyAuthRequired => "the server refuses user or password".into(),
        TerminatedReason::ProxyError(status)
        | TerminatedReason::UacOther(status)
        | TerminatedReason::UasOther(status) => status.to_string(),
    }
}

/// What every request and answer of ours that begins a call says of us.
fn introduction() -> Vec<Header> {
    vec![
        Header::Supported(crate::sip::headers::SUPPORTED.into()),
        Header::Allow("INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, REFER, NOTIFY".into()),
    ]
}

/// A dialog's request as a task.
fn bye(dialog: InviteDialog) {
    tokio::spawn(async move {
        if let Err(error) = dialog.bye().await {
            tracing::debug!(%error, "no answer to the goodbye");
        }
    });
}
