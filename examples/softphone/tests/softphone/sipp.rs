//! sipp as the other side's signalling, by scenarios that are put together here; the sound is
//! [`Rtp`](crate::rtp::Rtp)'s.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::phone::lacks_peer;

/// No scenario takes longer.
const LIMIT: Duration = Duration::from_secs(60);

/// Whether sipp is installed; see the head of `main.rs`.
pub(crate) fn is_there() -> bool {
    let there = Command::new("sipp").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        lacks_peer("sipp is not installed (apt-get install sip-tester)");
    }
    there
}

/// The steps of a scenario.
#[derive(Default)]
pub(crate) struct Scenario {
    xml: String,
    /// The number of our own requests.
    cseq: u32,
    is_caller: bool,
    /// In whose name it was answered.
    tag: String,
}

const VIA: &str = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]";
const CONTACT: &str = "Contact: <sip:sipp@[local_ip]:[local_port]>";
const ALLOW: &str = "Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE";
const ALLOW_NO_UPDATE: &str = "Allow: INVITE, ACK, CANCEL, BYE";

/// A description: G.711 and telephone events.
pub(crate) fn sdp(version: u32, port: u16, lines: &[&str]) -> String {
    let address = if lines.contains(&"c=0") { "0.0.0.0" } else { "127.0.0.1" };
    let attributes: String =
        lines.iter().filter(|line| line.starts_with("a=")).map(|line| format!("{line}\n")).collect();
    format!(
        "v=0\no=sipp 1 {version} IN IP4 127.0.0.1\ns=-\nc=IN IP4 {address}\nt=0 0\nm=audio {port} RTP/AVP 0 101\n\
         a=rtpmap:0 PCMU/8000\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\n{attributes}"
    )
}

impl Scenario {
    /// sipp is called; it begins with the INVITE.
    pub(crate) fn called() -> Self {
        // What the phone is named by is kept, for requests of sipp's own.
        let xml = "<recv request=\"INVITE\"><action>\
                   <ereg regexp=\".*\" search_in=\"hdr\" header=\"From:\" assign_to=\"peer\"/>\
                   <ereg regexp=\"sip:[^>;]*\" search_in=\"hdr\" header=\"Contact:\" assign_to=\"target\"/>\
                   <ereg regexp=\".*\" search_in=\"hdr\" header=\"Via:\" assign_to=\"via\"/>\
                   <ereg regexp=\".*\" search_in=\"hdr\" header=\"To:\" assign_to=\"us\"/>\
                   <ereg regexp=\".*\" search_in=\"hdr\" header=\"CSeq:\" assign_to=\"number\"/>\
                   </action></recv>\n"
            .into();
        Self { xml, cseq: 100, is_caller: false, tag: String::new() }
    }

    /// sipp calls, with this body or none.
    pub(crate) fn calls(body: &str, headers: &[&str]) -> Self {
        let mut scenario = Self { is_caller: true, ..Self::default() };
        scenario.request("INVITE", body, headers);
        scenario
    }

    /// An answer to the INVITE, in the name of this phone.
    pub(crate) fn answer(&mut self, status: &str, tag: &str, body: &str, headers: &[&str]) -> &mut Self {
        self.tag = tag.into();
        let headers = lines(headers);
        let content = content(body);
        let repeat = if status.starts_with('2') { " retrans=\"500\"" } else { "" };
        let text = format!(
            "SIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:];tag={tag}\n[last_Call-ID:]\n[last_CSeq:]\n\
             {CONTACT}\n{ALLOW}\n{headers}{content}"
        );
        self.send(&text, repeat)
    }

    /// The same of a phone that takes no UPDATE.
    pub(crate) fn answer_without_update(&mut self, status: &str, tag: &str, body: &str, headers: &[&str]) -> &mut Self {
        let before = self.xml.len();
        self.answer(status, tag, body, headers);
        let answer = self.xml.split_off(before).replace(ALLOW, ALLOW_NO_UPDATE);
        self.xml += &answer;
        self
    }

    /// The same after another request: sipp knows the last one only.
    pub(crate) fn answer_invite(&mut self, status: &str, tag: &str, body: &str, headers: &[&str]) -> &mut Self {
        let (headers, content) = (lines(headers), content(body));
        let text = format!(
            "SIP/2.0 {status}\nVia:[$via]\nFrom:[$peer]\nTo:[$us];tag={tag}\nCall-ID: [call_id]\nCSeq:[$number]\n\
             {CONTACT}\n{ALLOW}\n{headers}{content}"
        );
        self.send(&text, " retrans=\"500\"")
    }

    /// An answer to a later request.
    pub(crate) fn reply(&mut self, status: &str, body: &str, headers: &[&str]) -> &mut Self {
        let (headers, content) = (lines(headers), content(body));
        let text = format!(
            "SIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\n\
             {CONTACT}\n{ALLOW}\n{headers}{content}"
        );
        self.send(&text, "")
    }

    /// An ACK to the request of this number.
    pub(crate) fn request_numbered(&mut self, method: &str, number: u32) -> &mut Self {
        let last = std::mem::replace(&mut self.cseq, number);
        self.request(method, "", &[]);
        self.cseq = last;
        self
    }

    /// A request, as the one that called or in the name of the phone that answered last.
    pub(crate) fn request(&mut self, method: &str, body: &str, headers: &[&str]) -> &mut Self {
        if method != "ACK" {
            self.cseq += 1;
        }
        let (cseq, headers, content) = (self.cseq, lines(headers), content(body));
        let repeat = if method == "ACK" { "" } else { " retrans=\"500\"" };
        let names = match self.is_caller {
            true => format!(
                "{method} sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n{VIA}\n\
                 From: <sip:sipp@[local_ip]:[local_port]>;tag=sipp\n\
                 To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]"
            ),
            false => format!(
                "{method} [$target] SIP/2.0\n{VIA}\nFrom: <sip:sipp@[local_ip]:[local_port]>;tag={}\nTo:[$peer]",
                self.tag
            ),
        };
        let text = format!(
            "{names}\nCall-ID: [call_id]\nCSeq: {cseq} {method}\n{CONTACT}\n{ALLOW}\nMax-Forwards: 70\n\
             {headers}{content}"
        );
        self.send(&text, repeat)
    }

    fn send(&mut self, text: &str, repeat: &str) -> &mut Self {
        self.xml += &format!("<send{repeat}><![CDATA[\n\n{text}\n]]></send>\n");
        self
    }

    /// A request is to come.
    pub(crate) fn expect(&mut self, method: &str) -> &mut Self {
        self.xml += &format!("<recv request=\"{method}\"></recv>\n");
        self
    }

    /// A request is to come that is answered later, by [`answer_kept`](Self::answer_kept).
    pub(crate) fn expect_kept(&mut self, method: &str) -> &mut Self {
        let keep = |header: &str, name: &str| {
            format!("<ereg regexp=\".*\" search_in=\"hdr\" header=\"{header}:\" assign_to=\"{name}\"/>")
        };
        let kept = [("Via", "kept_via"), ("From", "kept_from"), ("To", "kept_to"), ("CSeq", "kept_cseq")];
        let kept: String = kept.into_iter().map(|(header, name)| keep(header, name)).collect();
        self.xml += &format!("<recv request=\"{method}\"><action>{kept}</action></recv>\n");
        self
    }

    /// The answer to it.
    pub(crate) fn answer_kept(&mut self, status: &str, body: &str) -> &mut Self {
        let text = format!(
            "SIP/2.0 {status}\nVia:[$kept_via]\nFrom:[$kept_from]\nTo:[$kept_to]\nCall-ID: [call_id]\n\
             CSeq:[$kept_cseq]\n{CONTACT}\n{ALLOW}\n{}",
            content(body)
        );
        self.send(&text, " retrans=\"500\"")
    }

    /// A request is to come whose text matches.
    pub(crate) fn expect_with(&mut self, method: &str, header: &str, regexp: &str) -> &mut Self {
        self.xml += &format!(
            "<recv request=\"{method}\"><action><ereg regexp=\"{regexp}\" search_in=\"hdr\" header=\"{header}:\" \
             check_it=\"true\" assign_to=\"matched\"/></action></recv>\n"
        );
        self
    }

    /// An answer is to come; `may`: those that may come before.
    pub(crate) fn comes(&mut self, status: u16, may: &[u16]) -> &mut Self {
        for may in may {
            self.xml += &format!("<recv response=\"{may}\" optional=\"true\"></recv>\n");
        }
        self.xml += &format!("<recv response=\"{status}\"></recv>\n");
        self
    }

    pub(crate) fn pause(&mut self, ms: u32) -> &mut Self {
        self.xml += &format!("<pause milliseconds=\"{ms}\"/>\n");
        self
    }

    /// A re-INVITE with its answer.
    pub(crate) fn reinvite(&mut self, body: &str) -> &mut Self {
        self.request("INVITE", body, &[]).comes(200, &[100]).request("ACK", "", &[])
    }

    /// sipp hangs up.
    pub(crate) fn hangs_up(&mut self) -> &mut Self {
        self.request("BYE", "", &[]).comes(200, &[])
    }

    /// The phone hangs up.
    pub(crate) fn is_hung_up(&mut self) -> &mut Self {
        self.expect("BYE").reply("200 OK", "", &[])
    }

    /// Runs it once at this port; as a caller against the phone at `to`.
    pub(crate) fn run(&self, folder: &Path, port: u16, to: Option<(&str, u16)>) -> Sipp {
        let used = |name: &str| self.xml.contains(&format!("\"{name}\""));
        let variables: Vec<&str> =
            ["peer", "target", "via", "us", "number", "matched", "kept_via", "kept_from", "kept_to", "kept_cseq"]
                .into_iter()
                .filter(|name| used(name))
                .collect();
        let reference = match variables.is_empty() {
            true => String::new(),
            // What is kept and not used is an error to sipp.
            false => format!("<Reference variables=\"{}\"/>\n", variables.join(",")),
        };
        let path = folder.join(format!("sipp-{port}.xml"));
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\" ?>\n\
             <scenario name=\"softphone\">\n{}{reference}</scenario>\n",
            self.xml
        );
        fs::write(&path, xml).unwrap();
        let mut sipp = Command::new("sipp");
        sipp.current_dir(folder).args(["-sf".as_ref(), path.as_os_str()]);
        sipp.args(["-i", "127.0.0.1", "-p", &port.to_string(), "-m", "1", "-nostdin", "-trace_err", "-trace_msg"]);
        sipp.args(["-timeout", "60", "-default_behaviors", "all,-bye"]);
        if let Some((user, phone)) = to {
            sipp.args(["-s", user, &format!("127.0.0.1:{phone}")]);
        }
        let log = |end: &str| fs::File::create(folder.join(format!("sipp-{port}.{end}"))).unwrap();
        let child = sipp.stdin(Stdio::null()).stdout(log("out")).stderr(log("err")).spawn().unwrap();
        Sipp { child, folder: folder.into(), port }
    }
}

fn lines(headers: &[&str]) -> String {
    headers.iter().map(|header| format!("{header}\n")).collect()
}

fn content(body: &str) -> String {
    match body {
        "" => "Content-Length: 0\n".into(),
        body => format!("Content-Type: application/sdp\nContent-Length: [len]\n\n{body}"),
    }
}

/// A scenario that runs.
pub(crate) struct Sipp {
    child: Child,
    folder: std::path::PathBuf,
    port: u16,
}

impl Sipp {
    /// Waits until it has gone as it should.
    #[track_caller]
    pub(crate) fn succeeds(&mut self) {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "sipp: {status}\n{}", self.told());
                return;
            }
            assert!(begin.elapsed() < LIMIT, "sipp doesn't end\n{}", self.told());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// How often something is in its messages.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.told().matches(text).count()
    }

    /// Waits until something is in its messages.
    #[track_caller]
    pub(crate) fn waits_for(&self, text: &str) {
        let begin = Instant::now();
        while self.count(text) == 0 {
            assert!(begin.elapsed() < LIMIT, "no {text:?} in sipp's messages\n{}", self.told());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The versions of all descriptions that the phone has offered or answered with, in their order.
    pub(crate) fn offers(&self) -> Vec<String> {
        let origins = |line: &str| {
            let line = line.trim_end().strip_prefix("o=")?;
            (!line.starts_with("sipp")).then(|| line.to_owned())
        };
        self.told().lines().filter_map(origins).collect()
    }

    /// What it says of what went wrong, and the messages.
    fn told(&self) -> String {
        let mut told = fs::read_to_string(self.folder.join(format!("sipp-{}.err", self.port))).unwrap_or_default();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with("_errors.log") || name.ends_with("_messages.log") {
                told += &format!("\n== {name}\n{}", fs::read_to_string(entry.path()).unwrap_or_default());
            }
        }
        told
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
