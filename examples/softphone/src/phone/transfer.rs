//! Transfer, from all three sides (RFC 5589): who gives a call away, who is given away, and, in
//! [`incoming`](super::incoming), who gets it in the place of another call.

use rsipstack::dialog::DialogId;
use rsipstack::dialog::dialog::{Dialog, TransactionHandle};
use rsipstack::sip::{Header, Request, StatusCode, StatusCodeKind, Uri};

use super::line::{Key, Line};
use super::{Answer, Outcome, Phone, say};
use crate::sip::headers::{other, value};
use crate::sip::refer::{self, Replaces};

impl Phone {
    /// Gives the call that talks to somebody who isn't asked.
    pub(super) async fn transfer_to(&mut self, target: &Uri) -> Result<(), String> {
        let key = self.chosen(None, Line::is_up)?;
        self.refer(key, refer::refer_to(target, None), &target.to_string())
    }

    /// Gives a call to whoever is on this line.
    pub(super) async fn transfer_to_line(&mut self, number: u32) -> Result<(), String> {
        let target = self.chosen(Some(number), |_| true)?;
        let Some(line) = self.line(target).filter(|line| line.is_up()) else {
            return Err(format!("line {number} isn't up"));
        };
        let others: Vec<Key> =
            self.lines.iter().filter(|line| line.is_up() && line.key != target).map(|line| line.key).collect();
        let given = match others.as_slice() {
            [] => return Err("there is no other call to give to it".into()),
            [one] => *one,
            _ => self.chosen(None, |line| line.is_up() && line.key != target)?,
        };
        let id = line.dialog.id();
        // As the one on that line sees it: its own tag is `to-tag` (RFC 3891, 3).
        let replaces =
            Replaces { call_id: id.call_id, to_tag: id.remote_tag, from_tag: id.local_tag, early_only: false };
        let contact = Dialog::Invite(line.dialog.clone()).remote_contact();
        let uri = contact.ok_or_else(|| format!("line {number} has told no address that it can be called at"))?;
        let peer = line.peer.clone();
        self.refer(given, refer::refer_to(&uri, Some(&replaces)), &peer)
    }

    fn refer(&mut self, key: Key, refer_to: String, whom: &str) -> Result<(), String> {
        let Some(line) = self.line(key) else { return Ok(()) };
        let dialog = line.dialog.clone();
        let headers = vec![Header::ReferredBy(format!("<{}>", self.stack.account()).into())];
        say!("line {}: asked to call {whom}", line.number);
        let answer = async move { dialog.refer(refer_to.as_str(), Some(headers), None).await };
        self.tell(answer, move |answer| Outcome::Refer(key, answer));
        Ok(())
    }

    /// What our REFER has come to; what becomes of the call, the other side's NOTIFYs tell.
    pub(super) fn refer_answered(&mut self, key: Key, answer: Answer) {
        let Some(line) = self.line(key) else { return };
        let number = line.number;
        match answer {
            Ok(Some(response)) if response.status_code.kind() == StatusCodeKind::Successful => {}
            Ok(Some(response)) => say!("line {number}: transfer refused ({}); the call goes on", response.status_code),
            Ok(None) => say!("line {number}: no answer to the transfer; the call goes on"),
            Err(error) => say!("line {number}: no answer to the transfer; the call goes on: {error}"),
        }
    }

    /// How the call goes that we have asked somebody to make.
    pub(super) async fn notified(&mut self, id: &DialogId, request: Request, handle: TransactionHandle) {
        let is_refer = value(&request, "Event").is_some_and(|event| {
            event.split(';').next().is_some_and(|event| event.trim().eq_ignore_ascii_case("refer"))
        });
        let status = if is_refer { StatusCode::OK } else { StatusCode::BadEvent };
        let _ = handle.reply(status).await;
        let Some(line) = self.line_of(id).filter(|_| is_refer) else { return };
        let (key, number) = (line.key, line.number);
        match refer::told_status(&request.body) {
            Some(100..=199) => say!("line {number}: transfer under way"),
            Some(200..=299) => {
                say!("line {number}: transferred");
                self.drop_call(key, "given away").await;
            }
            Some(status) => {
                say!("line {number}: transfer failed ({}); the call goes on", StatusCode::from(status));
            }
            None => {}
        }
    }

    /// The other side wants us to call somebody else.
    pub(super) async fn referred(&mut self, id: &DialogId, request: Request, handle: TransactionHandle) {
        let Some(line) = self.line_of(id) else {
            let _ = handle.reply(StatusCode::CallTransactionDoesNotExist).await;
            return;
        };
        let (key, number) = (line.key, line.number);
        let target = value(&request, "Refer-To").ok_or("it names nobody".to_string());
        let (uri, replaces) = match target.and_then(|target| refer::referred(&target)) {
            Ok(target) => target,
            Err(why) => {
                say!("line {number}: a transfer that makes no sense: {why}");
                let _ = handle.reply(StatusCode::BadRequest).await;
                return;
            }
        };
        let _ = handle.reply(StatusCode::Accepted).await;
        say!("line {number}: transferred to {uri}");
        let mut headers = Vec::new();
        headers.extend(replaces.map(|replaces| Header::Replaces(replaces.to_string().into())));
        headers.extend(value(&request, "Referred-By").map(|by| other("Referred-By", by)));
        match self.call(uri, headers, Some(key)).await {
            Ok(_) => self.notify(key, StatusCode::Trying, "active;expires=60"),
            Err(why) => {
                say!("line {number}: {why}");
                self.notify(key, StatusCode::ServiceUnavailable, "terminated;reason=noresource");
            }
        }
    }

    /// Tells whoever asked for this call what has become of it.
    pub(super) async fn tell_referrer(&mut self, key: Key, status: u16) {
        let Some(referrer) = self.line_mut(key).and_then(|line| line.referrer.take()) else { return };
        self.notify(referrer, StatusCode::from(status), "terminated;reason=noresource");
        // Who was given away and is not wanted there talks on here, if the other side still wants to.
        if status >= 300
            && let Some(line) = self.line(referrer)
        {
            say!("line {}: the transfer has failed; the call goes on", line.number);
            let number = line.number;
            let _ = self.resume(Some(number)).await;
        }
    }

    fn notify(&self, key: Key, status: StatusCode, state: &'static str) {
        let Some(line) = self.line(key) else { return };
        let dialog = line.dialog.clone();
        tokio::spawn(async move {
            if let Err(error) = dialog.notify_refer(status, state).await {
                tracing::debug!(%error, "no answer to a NOTIFY");
            }
        });
    }
}
