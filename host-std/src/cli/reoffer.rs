//! Offers and answers in a running call: hold, resume, another codec; ours and the other side's.
//!
//! They are exchanged in the same way as the first ones. A description doesn't say whether it is an offer or an answer (RFC
//! 3264): while an offer of ours has no answer, the next description is that answer, and otherwise it's an offer. It is
//! distinguished from the one before by its `o=` line, whose version goes up with every change (RFC 3264, 8). Where both sides
//! offer at once, neither sees an answer; so that two of these programs notice, each later description has an attribute of its
//! own, which all others ignore (RFC 8866, 5.13). Then the offer of the side that made the first one counts, and the other one's
//! is made again after it.
//!
//! An offer that is refused, or has no answer in time, leaves the call as it was.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args as ClapArgs;
use dsp_core::time::Instant;
use host_std::registry::CodecFormat;
use host_std::sdp::Direction;
use host_std::session::driver::Command;
use host_std::session::{Call, CallError, IceMode};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant as TokioInstant, sleep_until};

use super::codecs::CodecName;
use super::{chain, exchange, number_in, summary};

/// The time for which an offer waits for its answer: a person may have to carry it by hand.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time for which a description of ours stays before another offer replaces it in the file: it has to be read first.
const SETTLE: Duration = Duration::from_secs(1);
/// The attribute that says what a later description is.
const ATTRIBUTE: &str = "a=x-media-core:";

/// Changes of the call at times that are set beforehand.
#[derive(ClapArgs)]
#[command(next_help_heading = "Later offers")]
pub(super) struct Timetable {
    /// Put the other side on hold after so many seconds; may be given several times
    #[arg(long, value_parser = |s: &str| number_in(s, 0.0, 864_000.0), value_name = "SECONDS")]
    hold_at: Vec<f64>,
    /// Resume the call after so many seconds; may be given several times
    #[arg(long, value_parser = |s: &str| number_in(s, 0.0, 864_000.0), value_name = "SECONDS")]
    resume_at: Vec<f64>,
    /// Change to this codec of --codec, or to the next, after so many seconds; may be given several times
    #[arg(long, value_parser = codec_at, value_name = "SECONDS[=CODEC]")]
    codec_at: Vec<(f64, Option<CodecName>)>,
    /// Look for addresses anew after so many seconds (an ICE restart), while sound goes on over the old ones; may be given
    /// several times
    #[arg(long, value_parser = |s: &str| number_in(s, 0.0, 864_000.0), value_name = "SECONDS")]
    ice_restart_at: Vec<f64>,
}

fn codec_at(text: &str) -> Result<(f64, Option<CodecName>), String> {
    let (seconds, codec) = text.split_once('=').map_or((text, None), |(seconds, codec)| (seconds, Some(codec)));
    Ok((number_in(seconds, 0.0, 864_000.0)?, codec.map(str::parse).transpose()?))
}

impl Timetable {
    /// Returns the actions with their times; `format` is the codec's format in this call.
    ///
    /// # Errors
    /// A codec that is not among `codecs`, and a restart of what isn't there.
    pub(super) fn wishes(
        &self,
        ice: IceMode,
        codecs: &[CodecName],
        format: impl Fn(&CodecName) -> Result<CodecFormat, String>,
    ) -> Result<Vec<(Duration, Wish)>, String> {
        let at = Duration::from_secs_f64;
        let mut wishes: Vec<_> = self.hold_at.iter().map(|seconds| (at(*seconds), Wish::Hold(true))).collect();
        if ice == IceMode::Off && !self.ice_restart_at.is_empty() {
            return Err("--ice-restart-at is for --ice full or lite".into());
        }
        wishes.extend(self.ice_restart_at.iter().map(|seconds| (at(*seconds), Wish::RestartIce)));
        wishes.extend(self.resume_at.iter().map(|seconds| (at(*seconds), Wish::Hold(false))));
        for (seconds, codec) in &self.codec_at {
            if let Some(codec) = codec.as_ref().filter(|codec| !codecs.contains(codec)) {
                return Err(format!("--codec-at {seconds}={codec}: {codec} is not among the codecs of the call"));
            }
            wishes.push((at(*seconds), Wish::Codec(codec.as_ref().map(&format).transpose()?)));
        }
        Ok(wishes)
    }
}

/// A user's change of the call.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wish {
    /// The other side on hold, or not.
    Hold(bool),
    /// The other of the two.
    HoldOrResume,
    /// This codec, or the next one.
    Codec(Option<CodecFormat>),
    /// Other credentials, and new checks.
    RestartIce,
}

/// The settings of our side.
#[derive(Clone, Debug, PartialEq)]
struct Wanted {
    held: bool,
    /// The best first.
    codecs: Vec<CodecFormat>,
}

impl Wanted {
    fn set(&self, call: &mut Call) -> Result<(), CallError> {
        call.set_direction(if self.held { Direction::SendOnly } else { Direction::SendRecv });
        call.set_codecs(&self.codecs)
    }

    /// The same with this codec as the best.
    fn with_best(&self, codec: &CodecFormat) -> Self {
        let mut codecs = self.codecs.clone();
        if let Some(at) = codecs.iter().position(|own| own.same_encoding(codec)) {
            codecs[..=at].rotate_right(1);
        }
        Self { codecs, ..*self }
    }
}

/// An offer of ours without an answer.
struct Pending {
    wish: Wish,
    before: Wanted,
    until: TokioInstant,
}

/// The role that a later description has by its own attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Offer,
    Answer,
}

/// The part of a call that the negotiation needs.
pub(super) struct NegotiationSetup {
    /// The channel to the call's driver.
    pub(super) commands: mpsc::Sender<Command>,
    /// The file for our descriptions; stdout if there is none.
    pub(super) write: Option<PathBuf>,
    /// Whether we made the first offer.
    pub(super) first_offer: bool,
    /// The last description of the other side.
    pub(super) taken: String,
    /// Our codecs, the best first.
    pub(super) codecs: Vec<CodecFormat>,
    /// Our address.
    pub(super) address: IpAddr,
    /// The line end on the terminal.
    pub(super) line_end: &'static str,
    /// The codec as text, for displays of the call.
    pub(super) codec: Arc<Mutex<String>>,
}

/// Returns the agreement as text, and publishes the codec for displays.
fn agreed(call: &Call, codec: &Mutex<String>) -> String {
    *codec.lock().unwrap_or_else(PoisonError::into_inner) = summary::codec(call);
    summary::description(call)
}

/// Sends each wish at its time.
pub(super) fn schedule(wishes: Vec<(Duration, Wish)>, to: &mpsc::Sender<Wish>) {
    let begin = TokioInstant::now();
    for (after, wish) in wishes {
        let to = to.clone();
        tokio::spawn(async move {
            sleep_until(begin + after).await;
            let _ = to.send(wish).await;
        });
    }
}

/// Makes offers of wishes and answers to the other side's descriptions, as long as the call runs.
pub(super) async fn negotiate(
    setup: NegotiationSetup,
    mut wishes: mpsc::Receiver<Wish>,
    mut texts: mpsc::Receiver<Result<String, String>>,
) {
    let wanted = Wanted { held: false, codecs: setup.codecs.clone() };
    let put_at = TokioInstant::now();
    let mut negotiation = Negotiation { setup, wanted, pending: None, waiting: VecDeque::new(), put_at };
    let (mut wishes_over, mut texts_over) = (false, false);
    while !(wishes_over && texts_over) {
        let until = negotiation.pending.as_ref().map(|pending| pending.until);
        let ready = negotiation.put_at + SETTLE;
        let expired = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            text = texts.recv(), if !texts_over => match text {
                Some(Ok(text)) => negotiation.text(text).await,
                Some(Err(error)) => negotiation.tell(&error),
                None => texts_over = true,
            },
            wish = wishes.recv(), if !wishes_over => match wish {
                Some(wish) if texts_over => negotiation.tell(&format!("{wish}: no answer can come, stdin is at its end")),
                Some(wish) => negotiation.waiting.push_back(wish),
                None => wishes_over = true,
            },
            () = expired => {
                let why = format!("no answer within {} s", PATIENCE.as_secs());
                negotiation.withdraw(&why).await;
            }
            () = sleep_until(ready), if until.is_none() && !negotiation.waiting.is_empty() => {
                if let Some(wish) = negotiation.waiting.pop_front() {
                    negotiation.offer(wish).await;
                }
            }
        }
    }
}

impl std::fmt::Display for Wish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Hold(true) => f.write_str("hold"),
            Self::Hold(false) => f.write_str("resume"),
            Self::HoldOrResume => f.write_str("hold or resume"),
            Self::Codec(Some(codec)) => write!(f, "change to {codec}"),
            Self::Codec(None) => f.write_str("change to the next codec"),
            Self::RestartIce => f.write_str("ICE restart"),
        }
    }
}

struct Negotiation {
    setup: NegotiationSetup,
    /// The settings of our side that were agreed on last.
    wanted: Wanted,
    pending: Option<Pending>,
    /// Wishes that wait for the answer to the one before.
    waiting: VecDeque<Wish>,
    /// When our last description was written.
    put_at: TokioInstant,
}

impl Negotiation {
    fn tell(&self, what: &str) {
        super::tell(&format!("{what}{}", self.setup.line_end));
    }

    /// Runs `change` between two ticks of the call; `None` when the call has ended.
    async fn change<R: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Call, Instant) -> R + Send + 'static,
    ) -> Option<R> {
        let (done, result) = oneshot::channel();
        let command = Command::Change(Box::new(move |call, now| {
            let _ = done.send(change(call, now));
        }));
        self.setup.commands.send(command).await.ok()?;
        result.await.ok()
    }

    /// Makes an offer of a wish.
    async fn offer(&mut self, wish: Wish) {
        let Some(Some(current)) = self.change(|call, _| call.codec().cloned()).await else { return };
        let restarts = wish == Wish::RestartIce;
        let next = match &wish {
            Wish::RestartIce => self.wanted.clone(),
            Wish::Hold(held) => Wanted { held: *held, ..self.wanted.clone() },
            Wish::HoldOrResume => Wanted { held: !self.wanted.held, ..self.wanted.clone() },
            Wish::Codec(Some(codec)) => self.wanted.with_best(codec),
            Wish::Codec(None) => {
                // The best codec becomes the last, so that all have their turn.
                let mut codecs = self.wanted.with_best(&current).codecs;
                codecs.rotate_left(1);
                Wanted { codecs, ..self.wanted.clone() }
            }
        };
        let wish = match wish {
            Wish::HoldOrResume => Wish::Hold(next.held),
            Wish::Codec(None) => Wish::Codec(next.codecs.first().cloned()),
            wish => wish,
        };
        if next == self.wanted && !restarts {
            self.tell(&format!("{wish}: it is so already"));
            return;
        }
        let before = self.wanted.clone();
        let setting = next.clone();
        let offer = move |call: &mut Call, _| {
            setting.set(call)?;
            if restarts {
                call.restart_ice();
            }
            call.offer()
        };
        let Some(offered) = self.change(offer).await else { return };
        self.pending = Some(Pending { wish: wish.clone(), before, until: TokioInstant::now() + PATIENCE });
        self.wanted = next;
        let put = offered.map_err(|error| chain(&error)).and_then(|offer| self.put(&offer, Role::Offer));
        match put {
            Ok(()) => self.tell(&format!("{wish}: offered")),
            Err(error) => self.withdraw(&error).await,
        }
    }

    /// Our offer counts no longer: what we want is what we wanted before.
    async fn withdraw(&mut self, why: &str) {
        let Some(pending) = self.pending.take() else { return };
        self.wanted = pending.before;
        let setting = self.wanted.clone();
        self.change(move |call, _| {
            // These were set before.
            let _ = setting.set(call);
        })
        .await;
        self.tell(&format!("{}: {why}; the call goes on as it was", pending.wish));
    }

    /// Takes what the other side wrote.
    async fn text(&mut self, text: String) {
        let role = role(&text);
        let told = version(&text) != version(&self.setup.taken);
        match (&self.pending, role) {
            (Some(_), Some(Role::Offer)) if self.setup.first_offer => {
                self.tell("both sides made an offer at once: ours counts");
            }
            (Some(pending), Some(Role::Offer)) => {
                self.waiting.push_front(pending.wish.clone());
                self.withdraw("both sides made an offer at once, and theirs counts first").await;
                self.answer(text).await;
            }
            (Some(_), _) => self.accept(text).await,
            (None, Some(Role::Answer)) if told => self.tell("an answer came, but no offer of ours is open"),
            (None, _) if told => self.answer(text).await,
            (None, _) if text.trim_end() != self.setup.taken.trim_end() => {
                self.tell(
                    "their description has changed, but not its version in the o= line: it is not taken as an offer",
                );
            }
            (None, _) => {}
        }
    }

    /// Notes the other side's text, and returns it with addresses for names, which may take a while.
    async fn take(&mut self, text: String) -> String {
        self.setup.taken.clone_from(&text);
        let ours = self.setup.address;
        let unchanged = text.clone();
        tokio::task::spawn_blocking(move || exchange::look_up(&text, ours)).await.unwrap_or(unchanged)
    }

    /// Their answer to our offer.
    async fn accept(&mut self, text: String) {
        let answer = self.take(text).await;
        let codec = self.setup.codec.clone();
        let accepted = self.change(move |call, now| call.accept(now, &answer).map(|()| agreed(call, &codec)));
        match accepted.await {
            Some(Ok(description)) => {
                let wish =
                    self.pending.take().map_or_else(String::new, |pending| format!("{}: agreed, ", pending.wish));
                self.agreed().await;
                self.tell(&format!("{wish}{description}"));
            }
            Some(Err(error)) => self.withdraw(&chain(&error)).await,
            None => {}
        }
    }

    /// An offer of theirs.
    async fn answer(&mut self, text: String) {
        let offer = self.take(text).await;
        let codec = self.setup.codec.clone();
        let answered =
            self.change(move |call, now| call.answer(now, &offer).map(|answer| (answer, agreed(call, &codec))));
        match answered.await {
            Some(Ok((answer, description))) => {
                self.agreed().await;
                match self.put(&answer, Role::Answer) {
                    Ok(()) => self.tell(&format!("they changed the call: {description}")),
                    Err(error) => self.tell(&format!("they changed the call, but have no answer: {error}")),
                }
            }
            Some(Err(error)) => {
                self.tell(&format!("their new offer is not taken: {}; the call goes on as it was", chain(&error)));
            }
            None => {}
        }
    }

    /// The codec that was agreed on is the best from now on: the next offer shall not change it by the way.
    async fn agreed(&mut self) {
        let Some(Some(codec)) = self.change(|call, _| call.codec().cloned()).await else { return };
        self.wanted = self.wanted.with_best(&codec);
        let setting = self.wanted.clone();
        self.change(move |call, _| {
            // These were set before, in another order.
            let _ = setting.set(call);
        })
        .await;
    }

    fn put(&mut self, sdp: &str, role: Role) -> Result<(), String> {
        self.put_at = TokioInstant::now();
        exchange::put_sdp(self.setup.write.as_deref(), &marked(sdp, role)).map_err(|error| chain(&*error))
    }
}

/// The description with the attribute that says what it is.
fn marked(sdp: &str, role: Role) -> String {
    let name = if role == Role::Offer { "offer" } else { "answer" };
    match sdp.split_once("\r\nm=") {
        Some((session, media)) => format!("{session}\r\n{ATTRIBUTE}{name}\r\nm={media}"),
        None => sdp.to_owned(),
    }
}

fn role(sdp: &str) -> Option<Role> {
    match sdp.lines().find_map(|line| line.strip_prefix(ATTRIBUTE))?.trim() {
        "offer" => Some(Role::Offer),
        "answer" => Some(Role::Answer),
        _ => None,
    }
}

/// Session and version in the `o=` line.
fn version(sdp: &str) -> Option<(&str, &str)> {
    let mut fields = sdp.lines().find_map(|line| line.strip_prefix("o="))?.split_whitespace();
    Some((fields.nth(1)?, fields.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &str =
        "v=0\r\no=- 7 3 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n";

    #[test]
    fn a_later_description_says_what_it_is() {
        assert_eq!((role(SDP), version(SDP)), (None, Some(("7", "3"))));
        for wanted in [Role::Offer, Role::Answer] {
            let text = marked(SDP, wanted);
            assert_eq!((role(&text), version(&text)), (Some(wanted), Some(("7", "3"))));
            assert!(
                text.contains("t=0 0\r\na=x-media-core:") && text.ends_with("\r\nm=audio 9 RTP/AVP 0\r\n"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_codec_goes_to_the_front_and_the_others_keep_their_order() {
        let codecs = vec![CodecFormat::opus(), CodecFormat::g722(), CodecFormat::pcmu()];
        let wanted = Wanted { held: true, codecs };
        let names = |wanted: Wanted| wanted.codecs.iter().map(|codec| codec.name.to_string()).collect::<Vec<_>>();
        assert_eq!(names(wanted.with_best(&CodecFormat::pcmu())), ["PCMU", "opus", "G722"]);
        assert_eq!(names(wanted.with_best(&CodecFormat::pcma())), ["opus", "G722", "PCMU"]);
        assert!(wanted.with_best(&CodecFormat::g722()).held);
    }

    #[test]
    fn times_have_codecs_or_none() {
        assert_eq!(codec_at("2.5"), Ok((2.5, None)));
        assert_eq!(codec_at("3=PCMU"), Ok((3.0, Some("pcmu".parse().unwrap()))));
        assert!(codec_at("=pcmu").is_err() && codec_at("1=mp3").is_err() && codec_at("-1").is_err());
    }
}
