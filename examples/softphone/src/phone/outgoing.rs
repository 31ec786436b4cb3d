//! Calls of ours: the INVITE, whoever answers it early, and the one who picks up.

use rsipstack::dialog::DialogId;
use rsipstack::dialog::invitation::InviteAsyncResult;
use rsipstack::sip::{Header, Response, StatusCodeKind, Uri};
use rsipstack::transaction::make_uuid_v4;

use super::line::{Key, Line, Stage};
use super::{ON_ITS_WAY, Outcome, Phone, bye, half, introduction, say};
use crate::config::sip_uri;
use crate::sip::headers::{Description, lists, sdp};
use crate::sip::stack::Invite;
use crate::sip::timer::{self, Wishes};

impl Phone {
    /// Calls an address; without a host it is one of our own.
    pub(super) async fn call_address(&mut self, address: &str) -> Result<(), String> {
        let address = match address.contains('@') || address.contains(':') {
            true => address.to_string(),
            false => format!("sip:{address}@{}", self.stack.account().host_with_port),
        };
        let uri = sip_uri(&address).map_err(|why| format!("{address}: {why}"))?;
        self.call(uri, Vec::new(), None).await.map(drop)
    }

    /// Calls somebody.
    ///
    /// # Errors
    /// Why not, in words.
    pub(super) async fn call(&mut self, to: Uri, headers: Vec<Header>, referrer: Option<Key>) -> Result<Key, String> {
        let number = self.free_number(referrer.is_some()).ok_or("all lines are in use")?;
        let key = self.new_key();
        self.hold_others(key).await;
        let call_id = make_uuid_v4();
        let media = half(&call_id);
        let offer = self.media.offer(&media).await.map_err(|error| in_full(&error))?;
        let end = self.desk.plug(key).await;
        if let Err(error) = self.media.attach(&media, Box::new(end)).await {
            let _ = self.media.end(&media).await;
            return Err(in_full(&error));
        }
        let peer = to.to_string();
        let stage = Stage::Calling { rings: false, early: false };
        let dialog = match self.send_invite(key, to, call_id, offer, headers, self.wishes()) {
            Ok(dialog) => dialog,
            Err(why) => {
                let _ = self.media.end(&media).await;
                return Err(why);
            }
        };
        say!("line {number}: calling {peer}");
        let mut line = Line::new(number, key, peer, dialog, media, stage);
        (line.referrer, line.talks) = (referrer, true);
        self.lines.push(line);
        // Early sound is heard.
        self.desk.talk(key, true).await;
        Ok(key)
    }

    fn send_invite(
        &self,
        key: Key,
        to: Uri,
        call_id: String,
        offer: String,
        mut headers: Vec<Header>,
        wishes: Wishes,
    ) -> Result<rsipstack::dialog::invite_dialog::InviteDialog, String> {
        headers.extend(introduction());
        headers.extend(timer::asked(wishes, None));
        headers.push(sdp());
        let (dialog, answer) = self.stack.invite(Invite { to, call_id, offer, headers })?;
        self.tell(answer, move |joined| match joined {
            Ok(result) => Outcome::Invite(key, result),
            Err(error) => Outcome::Unreachable(key, error.to_string()),
        });
        // The stack waits half a minute where there is no connection, or no such name: whoever calls is told at once.
        let (reached, outcomes) = (self.stack.reach(&dialog), self.outcomes.clone());
        tokio::spawn(async move {
            tokio::time::sleep(ON_ITS_WAY).await;
            if let Err(why) = reached.await {
                let _ = outcomes.send(Outcome::Unreachable(key, why)).await;
            }
        });
        Ok(dialog)
    }

    /// A provisional answer: a phone rings, or lets us hear something. After a proxy there may be several.
    pub(super) async fn early(&mut self, id: &DialogId, response: Response) {
        let Some(line) = self.line_of(id).filter(|line| line.is_calling()) else { return };
        let (key, number) = (line.key, line.number);
        let dialog = line.media.with_remote_tag(&id.remote_tag);
        if let Some(answer) = response.description() {
            match self.media.accept(&dialog, &answer).await {
                Ok(()) => {
                    say!("line {number}: early media ({})", response.status_code);
                    self.set_calling(key, false, true).await;
                }
                Err(error) => say!("line {number}: early media that can't be used: {}", in_full(&error)),
            }
            return;
        }
        let Some(Line { stage: Stage::Calling { rings, early }, .. }) = self.line(key) else { return };
        let (rings, early) = (*rings, *early);
        if response.status_code.code() == 180 && !rings {
            say!("line {number}: it rings");
            // Who sends sound of its own makes its own tone.
            self.set_calling(key, !early, early).await;
        }
    }

    async fn set_calling(&mut self, key: Key, rings_now: bool, early_now: bool) {
        let Some(line) = self.line_mut(key) else { return };
        let Stage::Calling { rings, early } = &mut line.stage else { return };
        let before = std::mem::replace(rings, rings_now);
        *early = early_now;
        if before != rings_now {
            self.desk.ring(rings_now).await;
        }
    }

    /// The final answer to our INVITE.
    pub(super) async fn invited(&mut self, key: Key, result: InviteAsyncResult) {
        // A line that was hung up: the stack has said the rest.
        let Some(line) = self.line(key) else { return };
        let number = line.number;
        self.set_calling(key, false, true).await;
        match result {
            Ok((id, Some(response))) if response.status_code.kind() == StatusCodeKind::Successful => {
                if let Err(why) = self.picked_up(key, &id, &response).await {
                    say!("line {number}: the answer can't be used: {why}");
                    self.tell_referrer(key, 488).await;
                    self.say_goodbye(key);
                    self.release(key, "no common ground").await;
                }
            }
            Ok((_, Some(response))) => self.refused(key, response).await,
            Ok((_, None)) => self.fail(key, 408, "no answer").await,
            Err(error) => self.fail(key, 503, &error.to_string()).await,
        }
    }

    async fn picked_up(&mut self, key: Key, id: &DialogId, response: &Response) -> Result<(), String> {
        let Some(line) = self.line(key) else { return Ok(()) };
        let dialog = line.media.with_remote_tag(&id.remote_tag);
        if let Some(answer) = response.description() {
            self.media.accept(&dialog, &answer).await.map_err(|error| in_full(&error))?;
        }
        let confirmed = self.media.confirm(&dialog).await.map_err(|error| in_full(&error))?;
        let timer = timer::agreed(response);
        let takes_update = lists(response, "Allow", "UPDATE");
        let Some(line) = self.line_mut(key) else { return Ok(()) };
        line.media = dialog;
        line.stage = Stage::Up;
        (line.timer, line.takes_update) = (timer, takes_update);
        if confirmed.others > 0 {
            say!("line {}: {} other phones had answered early", line.number, confirmed.others);
        }
        self.up(key).await;
        self.tell_referrer(key, 200).await;
        Ok(())
    }

    /// Our INVITE was refused.
    async fn refused(&mut self, key: Key, response: Response) {
        let status = response.status_code.clone();
        let least = timer::least(&response).filter(|_| status.code() == 422);
        let Some(line) = self.line_mut(key) else { return };
        match least {
            // Asked again, once, with what it wants (RFC 4028, 7.3).
            Some(least) if !line.asked_again => {
                line.asked_again = true;
                let number = line.number;
                let request = line.dialog.initial_request();
                let call_id = line.media.call_id().to_string();
                let offer = String::from_utf8_lossy(&request.body).into_owned();
                let wishes = Wishes { expires: least.max(self.wishes().expires), min: least };
                match self.send_invite(key, request.uri.clone(), call_id, offer, Vec::new(), wishes) {
                    Ok(dialog) => {
                        say!("line {number}: asked again with a session interval of {} s", wishes.expires);
                        if let Some(line) = self.line_mut(key) {
                            line.dialog = dialog;
                            line.stage = Stage::Calling { rings: false, early: false };
                        }
                    }
                    Err(why) => self.fail(key, 500, &why).await,
                }
            }
            _ => {
                let why = match status.code() {
                    486 | 600 => "busy".into(),
                    487 => "cancelled".into(),
                    603 => "refused".into(),
                    401 | 407 => "the server refuses user or password".into(),
                    _ => status.to_string(),
                };
                self.fail(key, status.code(), &why).await;
            }
        }
    }

    pub(super) async fn fail(&mut self, key: Key, status: u16, why: &str) {
        self.tell_referrer(key, status).await;
        self.release(key, why).await;
    }

    /// Ends calls, whatever they have come to.
    pub(super) async fn hang_up(&mut self, number: Option<u32>) -> Result<(), String> {
        let key = self.chosen(number, |_| true)?;
        self.tell_referrer(key, 487).await;
        self.say_goodbye(key);
        self.release(key, "we hung up").await;
        Ok(())
    }

    /// Ends a call that is up, for a reason.
    pub(super) async fn drop_call(&mut self, key: Key, why: &str) {
        if let Some(line) = self.line(key) {
            bye(line.dialog.clone());
        }
        self.release(key, why).await;
    }
}

/// An error and what it comes from.
pub(super) fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}
