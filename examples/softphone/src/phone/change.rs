//! Changes of calls that are up: hold, session refresh, and what the other side wants otherwise.
//!
//! A user's wish and what both sides agreed on are kept apart: [`Phone::settle`] asks for the one until it is the
//! other, and a refusal is the end of the wish, not of the call.

use std::time::Duration;

use host_std::manager::{Change, ManagerError};
use rsipstack::dialog::DialogId;
use rsipstack::dialog::dialog::TransactionHandle;
use rsipstack::sip::{Header, Method, Request, Response, StatusCode, StatusCodeKind};
use rsipstack::transaction::random_text;

use super::incoming::cseq;
use super::line::{Key, Pending, Stage};
use super::outgoing::in_full;
use super::{Answer, Due, Outcome, Phone, say};
use crate::sip::headers::{Description, sdp, warning};
use crate::sip::timer::{self, TooSmall};

/// A refresh waits so long for a change that is under way.
const SOON: Duration = Duration::from_secs(1);

impl Phone {
    /// Asks the other side for what the user wants, if it isn't so and nothing else is under way.
    pub(super) async fn settle(&mut self, key: Key) {
        let Some(line) = self.line(key) else { return };
        if !matches!(line.stage, Stage::Up)
            || line.pending.is_some()
            || line.late.is_some()
            || line.wants_hold == line.holds
        {
            return;
        }
        let (hold, number, media, round) = (line.wants_hold, line.number, line.media.clone(), line.round);
        let change = if hold { Change::hold() } else { Change::resume() };
        match self.media.reoffer(&media, change).await {
            Ok(offer) => self.ask(key, Pending::Hold(hold), Some(offer)),
            Err(ManagerError::Glare) => self.later(key, Due::Retry, round, SOON),
            Err(error) => {
                say!("line {number}: {}", in_full(&error));
                self.give_up(key).await;
            }
        }
    }

    /// What the user wanted is not to be had.
    async fn give_up(&mut self, key: Key) {
        let Some(line) = self.line_mut(key) else { return };
        line.wants_hold = line.holds;
        let talks = !line.holds;
        line.talks = talks;
        self.desk.talk(key, talks).await;
    }

    /// Sends a re-INVITE, or an UPDATE where nothing is offered.
    fn ask(&mut self, key: Key, pending: Pending, offer: Option<String>) {
        let wishes = self.wishes();
        let Some(line) = self.line_mut(key) else { return };
        line.pending = Some(pending);
        let dialog = line.dialog.clone();
        let mut headers = super::introduction();
        if line.timer.is_some() {
            headers.extend(timer::asked(wishes, line.timer));
        }
        if offer.is_some() {
            headers.push(sdp());
        }
        let answer = async move {
            match offer {
                Some(offer) => dialog.reinvite(Some(headers), Some(offer.into_bytes())).await,
                None => dialog.update(Some(headers), None).await,
            }
        };
        self.tell(answer, move |answer| Outcome::Change(key, answer));
    }

    /// What our re-INVITE or UPDATE has come to.
    pub(super) async fn concluded(&mut self, key: Key, answer: Answer) {
        let Some(line) = self.line_mut(key) else { return };
        let Some(pending) = line.pending.take() else { return };
        let (number, media, dialog) = (line.number, line.media.clone(), line.dialog.clone());
        let response = match answer {
            Ok(Some(response)) => response,
            // Nobody answers: the call is over (RFC 3261, 12.2.1.2).
            Ok(None) => return self.drop_call(key, &format!("no answer to {pending}")).await,
            Err(error) => return self.drop_call(key, &format!("no answer to {pending}: {error}")).await,
        };
        let status = response.status_code.clone();
        if status.kind() == StatusCodeKind::Successful {
            Self::follow_contact(&dialog, &response);
            let accepted = match response.description().filter(|_| pending.offers()) {
                Some(answer) => self.media.accept(&media, &answer).await,
                None if pending.offers() => self.media.withdraw(&media).await,
                None => Ok(()),
            };
            match accepted {
                Ok(()) => self.done(key, pending, &response).await,
                Err(error) => {
                    say!(
                        "line {number}: {pending}: their answer can't be used, and nothing changes: {}",
                        in_full(&error)
                    );
                    self.give_up(key).await;
                }
            }
            return self.settle(key).await;
        }
        if pending.offers() {
            let _ = self.media.withdraw(&media).await;
        }
        match status.code() {
            408 | 481 => self.drop_call(key, &format!("{pending}: {status}")).await,
            491 => {
                // Both asked at once: who made the call waits longer (RFC 3261, 14.1).
                let (least, most) = if self.line(key).is_some_and(|line| is_caller(&line.dialog)) {
                    (2_100, 4_000)
                } else {
                    (10, 2_000)
                };
                let after = Duration::from_millis(between(least, most));
                say!("line {number}: {pending}: both asked at once; again in {} ms", after.as_millis());
                let Some(line) = self.line(key) else { return };
                match pending {
                    Pending::Hold(_) => self.later(key, Due::Retry, line.round, after),
                    Pending::Refresh { .. } => self.later(key, Due::Session, line.round, after),
                }
            }
            422 if matches!(pending, Pending::Refresh { .. }) => {
                let least = timer::least(&response);
                let Some(line) = self.line_mut(key) else { return };
                if let (Some(timer), Some(least)) = (&mut line.timer, least) {
                    timer.interval = timer.interval.max(least);
                }
                let round = line.round;
                self.later(key, Due::Session, round, SOON);
            }
            _ => {
                say!("line {number}: {pending} refused ({status}); the call goes on");
                match pending {
                    Pending::Hold(_) => self.give_up(key).await,
                    // Who refuses UPDATE may take an INVITE.
                    Pending::Refresh { offers: false } => {
                        if let Some(line) = self.line_mut(key) {
                            line.takes_update = false;
                            let round = line.round;
                            self.later(key, Due::Session, round, SOON);
                        }
                    }
                    Pending::Refresh { offers: true } => self.watch_session(key),
                }
            }
        }
    }

    async fn done(&mut self, key: Key, pending: Pending, response: &Response) {
        let Some(line) = self.line_mut(key) else { return };
        let number = line.number;
        match pending {
            Pending::Hold(hold) => {
                line.holds = hold;
                say!("line {number}: {}", if hold { "on hold" } else { "resumed" });
                let talks = !hold && !line.wants_hold;
                line.talks = talks;
                self.desk.talk(key, talks).await;
            }
            Pending::Refresh { .. } => say!("line {number}: session refreshed"),
        }
        let agreed = timer::agreed(response);
        let Some(line) = self.line_mut(key) else { return };
        if line.timer.is_some() {
            line.timer = agreed;
        }
        self.watch_session(key);
    }

    /// Begins the session timer anew, if there is one.
    pub(super) fn watch_session(&mut self, key: Key) {
        let Some(line) = self.line_mut(key) else { return };
        line.round += 1;
        let (timer, round) = (line.timer, line.round);
        if let Some(timer) = timer {
            self.later(key, Due::Session, round, timer.due());
        }
    }

    /// The session is to be refreshed by us, or was not by the other side.
    pub(super) async fn session_due(&mut self, key: Key) {
        let Some(line) = self.line(key) else { return };
        let Some(timer) = line.timer else { return };
        if !timer.is_ours {
            return self.drop_call(key, "the other side has not refreshed the session").await;
        }
        let (round, media, number) = (line.round, line.media.clone(), line.number);
        if line.pending.is_some() || line.late.is_some() {
            return self.later(key, Due::Session, round, SOON);
        }
        if line.takes_update {
            return self.ask(key, Pending::Refresh { offers: false }, None);
        }
        match self.media.refresh(&media).await {
            Ok(offer) => self.ask(key, Pending::Refresh { offers: true }, Some(offer)),
            Err(error) => {
                say!("line {number}: {}", in_full(&error));
                self.later(key, Due::Session, round, SOON);
            }
        }
    }

    /// A re-INVITE or an UPDATE of the other side's.
    pub(super) async fn changed(&mut self, id: &DialogId, request: Request, handle: TransactionHandle) {
        let (status, headers, body) = self.answer_change(id, &request).await;
        if handle.respond(status, Some(headers), body).await.is_err() {
            tracing::debug!("a change whose transaction is gone");
        }
    }

    async fn answer_change(&mut self, id: &DialogId, request: &Request) -> (StatusCode, Vec<Header>, Option<Vec<u8>>) {
        let refuse = |status| (status, Vec::new(), None);
        let Some(line) = self.line_of(id) else { return refuse(StatusCode::CallTransactionDoesNotExist) };
        let (key, number, media, dialog) = (line.key, line.number, line.media.clone(), line.dialog.clone());
        let is_invite = request.method == Method::Invite;
        let offer = request.description();
        let timer = match timer::answered(self.wishes(), request) {
            Ok(timer) => timer,
            Err(TooSmall) => {
                let least = Header::MinSE(self.wishes().min.to_string().into());
                return (StatusCode::SessionIntervalTooSmall, vec![least], None);
            }
        };
        let body = match offer {
            Some(offer) => self.media.reanswer(&media, &offer).await.map(Some),
            // A late offer: ours is in the answer, and theirs in the ACK.
            None if is_invite => self.media.reoffer(&media, Change::default()).await.map(Some),
            None => Ok(None),
        };
        let body = match body {
            Ok(body) => body,
            Err(error) => {
                say!("line {number}: a change of theirs can't be had, and the call goes on: {}", in_full(&error));
                let why = warning(&self.stack.contact().host_with_port.host, in_full(&error));
                return (StatusCode::from(error.status()), vec![why], None);
            }
        };
        Self::follow_contact(&dialog, request);
        let mut headers = super::introduction();
        if body.is_some() {
            headers.push(sdp());
        }
        headers.extend(timer.iter().flat_map(|(_, headers)| headers.clone()));
        if let Some(line) = self.line_mut(key) {
            line.timer = timer.map(|(timer, _)| timer);
            if is_invite && request.description().is_none() {
                line.late = cseq(request);
            }
        }
        self.watch_session(key);
        (StatusCode::OK, headers, body.map(String::into_bytes))
    }
}

fn is_caller(dialog: &rsipstack::dialog::invite_dialog::InviteDialog) -> bool {
    dialog.role() == rsipstack::transaction::key::TransactionRole::Client
}

/// A random number of ms in steps of ten, which is as fine as RFC 3261 wants it.
fn between(least: u64, most: u64) -> u64 {
    let random = random_text(8).bytes().fold(0u64, |sum, byte| sum.wrapping_mul(131).wrapping_add(u64::from(byte)));
    least + random % ((most - least) / 10 + 1) * 10
}
