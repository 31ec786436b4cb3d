//! Calls that come in: whether they can be taken at all, the ringing, and the answer.

use std::time::Duration;

use host_std::manager::DialogId as Media;
use host_std::session::{Call, CallConfig};
use rsipstack::dialog::DialogId;
use rsipstack::dialog::dialog::Dialog;
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::{Header, HeadersExt, Method, Request, StatusCode};
use rsipstack::transaction::transaction::Transaction;

use super::line::{Invited, Key, Line, Reliable, Stage};
use super::outgoing::in_full;
use super::{Due, Phone, bye, introduction, say};
use crate::sip::headers::{Description, lists, sdp, unknown_requirements, value, warning};
use crate::sip::refer::Replaces;
use crate::sip::timer::{self, TooSmall};

/// T1 (RFC 3261, 17.1.1.1), and how often a reliable provisional answer is sent at doubling distances: for 64 T1 (RFC
/// 3262, 3).
const T1: Duration = Duration::from_millis(500);
const MOST_SENT: u32 = 7;
/// The number of our first, and only, reliable provisional answer to an INVITE.
const RSEQ: &str = "1";

/// Why a call isn't taken.
struct Refusal {
    status: StatusCode,
    headers: Vec<Header>,
}

impl From<StatusCode> for Refusal {
    fn from(status: StatusCode) -> Self {
        Self { status, headers: Vec::new() }
    }
}

impl Phone {
    /// A request that has come.
    pub(super) async fn take(&mut self, mut transaction: Transaction) {
        let request = &transaction.original;
        if request.method == Method::PRack {
            self.acknowledged(request);
        }
        if let Some(mut dialog) = self.stack.layer().match_dialog(&transaction) {
            // Before the INVITE is answered nothing can be changed (RFC 3311, 5.2), and the stack would say nothing.
            if request.method == Method::Update && !dialog.state().is_confirmed() {
                let again = Header::RetryAfter("2".into());
                return reply(transaction, Refusal { status: StatusCode::ServerInternalError, headers: vec![again] });
            }
            tokio::spawn(async move {
                if let Err(error) = dialog.handle(&mut transaction).await {
                    tracing::debug!(%error, "a request in a dialog");
                }
            });
            return;
        }
        let in_dialog = request.to_header().is_ok_and(|to| to.tag().is_ok_and(|tag| tag.is_some()));
        let method = request.method;
        if method == Method::Update && in_dialog && self.early_update(&mut transaction).await {
            return;
        }
        match method {
            Method::Ack => {}
            _ if in_dialog => reply(transaction, StatusCode::CallTransactionDoesNotExist.into()),
            Method::Invite => self.take_invite(transaction).await,
            Method::Options => {
                let headers = introduction().into_iter().chain([Header::Accept("application/sdp".into())]).collect();
                reply(transaction, Refusal { status: StatusCode::OK, headers });
            }
            Method::Cancel => reply(transaction, StatusCode::CallTransactionDoesNotExist.into()),
            _ => reply(transaction, Refusal { status: StatusCode::MethodNotAllowed, headers: introduction() }),
        }
    }

    async fn take_invite(&mut self, mut transaction: Transaction) {
        let (invited, replaced) = match self.look_at(&transaction.original) {
            Ok(looked_at) => looked_at,
            Err(refusal) => return reply(transaction, refusal),
        };
        let number = replaced.and_then(|key| self.line(key)).map(|line| line.number);
        let Some(number) = number.or_else(|| self.free_number(false)) else {
            say!("busy: {} called", peer(&transaction.original));
            return reply(transaction, StatusCode::BusyHere.into());
        };
        let dialog = match self.stack.invited(&transaction) {
            Ok(dialog) => dialog,
            Err(why) => {
                tracing::debug!(why, "an INVITE that makes no sense");
                return reply(transaction, StatusCode::BadRequest.into());
            }
        };
        let (key, peer, id) = (self.new_key(), peer(&transaction.original), dialog.id());
        let media = Media::new(&id.call_id, &id.local_tag, &id.remote_tag);
        let takes_update = lists(&transaction.original, "Allow", "UPDATE");
        let wants_reliable = lists(&transaction.original, "Require", "100rel");
        let mut line = Line::new(number, key, peer, dialog.clone(), media, Stage::Ringing(invited));
        line.takes_update = takes_update;
        self.lines.push(line);
        let mut handled = dialog;
        tokio::spawn(async move {
            if let Err(error) = handled.handle(&mut transaction).await {
                tracing::debug!(%error, "an INVITE");
            }
        });
        if let Some(replaced) = replaced {
            return self.take_over(key, replaced).await;
        }
        self.ring(key, wants_reliable);
        let Some(line) = self.line(key) else { return };
        say!("line {number}: {} calls{}", line.peer, if self.lines.len() > 1 { ", waiting" } else { "" });
        if self.config.phone.auto_answer {
            self.answer(key).await;
        }
    }

    /// Whether a call can be taken, before it rings: what it carries, and the call that it is to replace.
    fn look_at(&self, request: &Request) -> Result<(Invited, Option<Key>), Refusal> {
        let unknown = unknown_requirements(request);
        if !unknown.is_empty() {
            let headers = vec![Header::Unsupported(unknown.join(", ").into())];
            return Err(Refusal { status: StatusCode::BadExtension, headers });
        }
        let replaced = match value(request, "Replaces") {
            Some(text) => Some(self.replaced(&text)?),
            None => None,
        };
        let timer = timer::answered(self.wishes(), request).map_err(|TooSmall| Refusal {
            status: StatusCode::SessionIntervalTooSmall,
            headers: vec![Header::MinSE(self.wishes().min.to_string().into())],
        })?;
        let offer = request.description();
        if offer.is_none() && !request.body.is_empty() {
            let headers = vec![Header::Accept("application/sdp".into())];
            return Err(Refusal { status: StatusCode::UnsupportedMediaType, headers });
        }
        if let Some(offer) = &offer {
            self.check(offer)?;
        }
        Ok((Invited { offer, timer }, replaced))
    }

    /// A phone doesn't ring for a call that can't be had: a call of no consequence answers the offer first.
    fn check(&self, offer: &str) -> Result<(), Refusal> {
        let config = CallConfig { rtp_port: 4_000, ..self.media.config().call.clone() };
        let now = dsp_core::time::Instant::ZERO;
        let answered = Call::new(config).and_then(|mut call| call.answer(now, offer));
        answered.map(drop).map_err(|error| {
            let headers = vec![warning(self.stack.contact().host_with_port.host.to_string(), in_full(&error))];
            Refusal { status: StatusCode::NotAcceptableHere, headers }
        })
    }

    /// The line that `Replaces` names (RFC 3891, 3).
    fn replaced(&self, text: &str) -> Result<Key, Refusal> {
        let replaces = Replaces::parse(text).ok_or(StatusCode::BadRequest)?;
        let line = self.lines.iter().find(|line| {
            let id = line.dialog.id();
            id.call_id == replaces.call_id && id.local_tag == replaces.to_tag && id.remote_tag == replaces.from_tag
        });
        match line {
            Some(line) if line.is_up() && replaces.early_only => Err(StatusCode::BusyHere.into()),
            Some(line) if line.is_up() => Ok(line.key),
            _ => Err(StatusCode::CallTransactionDoesNotExist.into()),
        }
    }

    /// A call takes the place of another, as somebody wanted who has transferred it.
    async fn take_over(&mut self, key: Key, replaced: Key) {
        let talked = self.line(replaced).is_some_and(|line| line.talks);
        if let Some(line) = self.line(replaced) {
            say!("line {}: another call takes its place", line.number);
            bye(line.dialog.clone());
        }
        self.release(replaced, "replaced").await;
        self.answer_as(key, talked).await;
    }

    fn ring(&mut self, key: Key, wants_reliable: bool) {
        let Some(line) = self.line_mut(key) else { return };
        let headers = match wants_reliable {
            true => vec![Header::Require("100rel".into()), Header::RSeq(RSEQ.into())],
            false => Vec::new(),
        };
        if let Err(error) = line.dialog.ringing(Some(headers.clone()), None) {
            tracing::debug!(%error, "no ringing");
        }
        if wants_reliable {
            line.reliable = Some(Reliable { headers, sent: 1 });
            let round = line.round;
            self.later(key, Due::Prack, round, T1);
        }
    }

    /// The ringing is told again, until somebody says that it was heard.
    pub(super) async fn repeat(&mut self, key: Key) {
        let Some(Line { reliable: Some(reliable), dialog, round, .. }) = self.line_mut(key) else { return };
        if reliable.sent >= MOST_SENT {
            let _ = dialog.reject(Some(StatusCode::ServerTimeOut), None);
            return self.release(key, "they don't say that they have heard us").await;
        }
        let _ = dialog.ringing(Some(reliable.headers.clone()), None);
        let after = T1 * 2u32.pow(reliable.sent);
        reliable.sent += 1;
        let round = *round;
        self.later(key, Due::Prack, round, after);
    }

    /// A PRACK has come: the stack answers it.
    fn acknowledged(&mut self, request: &Request) {
        let Ok(call_id) = request.call_id_header() else { return };
        if let Some(line) = self.lines.iter_mut().find(|line| line.dialog.id().call_id == call_id.value()) {
            line.reliable = None;
        }
    }

    pub(super) async fn answer_line(&mut self, number: Option<u32>) -> Result<(), String> {
        let key = self.chosen(number, Line::is_ringing)?;
        if !self.line(key).is_some_and(Line::is_ringing) {
            return Err("nobody calls on this line".into());
        }
        self.answer(key).await;
        Ok(())
    }

    pub(super) async fn reject(&mut self, number: Option<u32>) -> Result<(), String> {
        let key = self.chosen(number, Line::is_ringing)?;
        if !self.line(key).is_some_and(Line::is_ringing) {
            return Err("nobody calls on this line".into());
        }
        self.say_goodbye(key);
        self.release(key, "we refused").await;
        Ok(())
    }

    async fn answer(&mut self, key: Key) {
        self.hold_others(key).await;
        self.answer_as(key, true).await;
    }

    async fn answer_as(&mut self, key: Key, talks: bool) {
        if let Err((status, why)) = self.try_answer(key, talks).await {
            if let Some(line) = self.line(key) {
                let _ = line.dialog.reject(Some(StatusCode::from(status)), Some(why.clone()));
            }
            self.release(key, &why).await;
        }
    }

    async fn try_answer(&mut self, key: Key, talks: bool) -> Result<(), (u16, String)> {
        let refused = |error: host_std::manager::ManagerError| (error.status(), in_full(&error));
        let Some(line) = self.line(key) else { return Ok(()) };
        let (media, dialog) = (line.media.clone(), line.dialog.clone());
        let Stage::Ringing(Invited { offer, timer }) = &line.stage else { return Ok(()) };
        let is_late = offer.is_none();
        let mut headers = introduction();
        headers.push(sdp());
        headers.extend(timer.iter().flat_map(|(_, headers)| headers.clone()));
        let timer = timer.as_ref().map(|(timer, _)| *timer);
        let body = match offer {
            Some(offer) => self.media.answer(&media, offer).await.map_err(refused)?,
            None => self.media.offer(&media).await.map_err(refused)?,
        };
        let end = self.desk.plug(key).await;
        self.media.attach(&media, Box::new(end)).await.map_err(refused)?;
        self.desk.talk(key, talks).await;
        let late = is_late.then(|| cseq(&dialog.initial_request())).flatten();
        dialog.accept(Some(headers), Some(body.into_bytes())).map_err(|error| (500, error.to_string()))?;
        if let Some(line) = self.line_mut(key) {
            line.stage = Stage::Answered;
            (line.timer, line.late, line.talks, line.reliable) = (timer, late, talks, None);
        }
        Ok(())
    }

    /// An ACK has come: to our answer to an INVITE, or to a re-INVITE.
    pub(super) async fn confirmed(&mut self, id: &DialogId) {
        let Some(line) = self.line_of(id) else { return };
        let (key, number, media) = (line.key, line.number, line.media.clone());
        let is_first = matches!(line.stage, Stage::Answered);
        let ack = line.dialog.last_remote_ack();
        let late = line.late.filter(|late| ack.as_ref().and_then(cseq) == Some(*late));
        if let Some(ack) = ack.filter(|_| late.is_some()) {
            if let Some(line) = self.line_mut(key) {
                line.late = None;
            }
            let accepted = match ack.description() {
                Some(answer) => self.media.accept(&media, &answer).await.map_err(|error| in_full(&error)),
                None => Err("it has no answer to our offer".into()),
            };
            match accepted {
                Ok(()) => {}
                Err(why) if is_first => return self.drop_call(key, &format!("their ACK can't be used: {why}")).await,
                Err(why) => {
                    // The stack must not wait for it for ever.
                    let _ = self.media.withdraw(&media).await;
                    say!("line {number}: their ACK can't be used, and nothing changes: {why}");
                }
            }
        }
        if is_first {
            if let Some(line) = self.line_mut(key) {
                line.stage = Stage::Up;
            }
            self.up(key).await;
        }
        self.settle(key).await;
    }

    /// An UPDATE of a phone that we call, before it is picked up (RFC 3311, 5.1); whether there is such a call.
    async fn early_update(&mut self, transaction: &mut Transaction) -> bool {
        let request = transaction.original.clone();
        let tag =
            |tag: Result<Option<rsipstack::sip::param::Tag>, _>| tag.ok().flatten().map(|tag| tag.value().to_string());
        let ours = request.to_header().ok().and_then(|to| tag(to.tag()));
        let theirs = request.from_header().ok().and_then(|from| tag(from.tag()));
        let call_id = request.call_id_header().ok().map(|id| id.value().to_string());
        let (Some(local_tag), Some(remote_tag), Some(call_id)) = (ours, theirs, call_id) else { return false };
        let id = DialogId { call_id, local_tag, remote_tag };
        let Some(line) = self.line_of(&id).filter(|line| line.is_calling()) else { return false };
        let media = line.media.with_remote_tag(&id.remote_tag);
        let (status, headers, body) = match request.description() {
            None => (StatusCode::OK, Vec::new(), None),
            Some(offer) => match self.media.reanswer(&media, &offer).await {
                Ok(answer) => (StatusCode::OK, vec![sdp()], Some(answer.into_bytes())),
                Err(error) => (StatusCode::from(error.status()), Vec::new(), None),
            },
        };
        let contact = rsipstack::sip::typed::Contact {
            display_name: None,
            uri: self.stack.contact().clone(),
            params: Vec::new(),
        };
        let headers = headers.into_iter().chain([contact.into()]).collect();
        if let Err(error) = transaction.reply_with(status, headers, body).await {
            tracing::debug!(%error, "an early UPDATE");
        }
        true
    }

    /// Where requests in a dialog go from now on (RFC 3261, 12.2.2): an INVITE or UPDATE may name another address.
    pub(super) fn follow_contact(dialog: &InviteDialog, message: &impl HeadersExt) {
        let Ok(contact) = message.contact_header() else { return };
        let Ok(typed) = message.typed_contact_headers() else { return };
        if let Some(first) = typed.first() {
            Dialog::Invite(dialog.clone()).set_remote_target(first.uri.clone(), Some(contact.clone()));
        }
    }
}

/// Who calls, as a user reads it.
fn peer(request: &Request) -> String {
    let typed = request.from_header().ok().and_then(|from| rsipstack::sip::ToTypedHeader::typed(from).ok());
    typed.map_or_else(|| "somebody".into(), |from: rsipstack::sip::typed::From| from.uri.to_string())
}

pub(super) fn cseq(request: &Request) -> Option<u32> {
    request.cseq_header().ok()?.seq().ok()
}

/// Answers a request that makes no dialog, and stays until that has arrived.
fn reply(mut transaction: Transaction, refusal: Refusal) {
    tokio::spawn(async move {
        let Refusal { status, headers } = refusal;
        if let Err(error) = transaction.reply_with(status, headers, None).await {
            tracing::debug!(%error, "an answer that doesn't leave");
            return;
        }
        if transaction.original.method == Method::Invite {
            while transaction.receive().await.is_some() {}
        }
    });
}
