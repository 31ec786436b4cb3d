//! Signalling without a SIP stack: offers and answers in two files of the host, as `media-core offer` and `media-core
//! answer` exchange them.

use core::net::{IpAddr, SocketAddr};

use dsp_core::guard::srtp::MasterKey;
use dsp_core::sdp::{Agreed, Direction, Format, Local, Remote, SdpError};
use dsp_core::time::PayloadType;
use embassy_time::{Duration, Timer};

use crate::arguments::{Arguments, Ends};
use crate::semihosting::{self, File, Mode, say};
use crate::socket::endpoint;

/// The longest description that is read or written, in bytes.
const TEXT: usize = 2_048;
/// Marks a later offer or answer of the command line's.
const ROLE: &str = "x-media-core";

/// Both sides' descriptions.
pub(crate) struct Signalling<'a> {
    codec: Format,
    ends: Ends<'a>,
    /// Whether we began.
    offers: bool,
    key: Option<MasterKey>,
    session: u64,
    version: u64,
    /// What this side wants, and what it wanted when they last agreed.
    direction: Direction,
    agreed: Direction,
    /// The version of theirs that was taken last.
    taken: Option<u64>,
    /// An offer of ours has no answer yet.
    pending: bool,
    text: [u8; TEXT],
    theirs: [u8; TEXT],
}

impl<'a> Signalling<'a> {
    /// Of a call that we begin, or that the other side does.
    pub(crate) fn new(arguments: &Arguments<'_>, ends: Ends<'a>, offers: bool) -> Self {
        let mut bytes = [0; MasterKey::LEN];
        semihosting::random(&mut bytes);
        let key = arguments.srtp.then(|| MasterKey::from_bytes(&bytes));
        let mut session = [0; 4];
        semihosting::random(&mut session);
        Self {
            codec: arguments.codec,
            ends,
            offers,
            key,
            session: u32::from_le_bytes(session).into(),
            version: 0,
            direction: Direction::SendRecv,
            agreed: Direction::SendRecv,
            taken: None,
            pending: false,
            text: [0; TEXT],
            theirs: [0; TEXT],
        }
    }

    /// Waits for their offer, and leaves it.
    pub(crate) async fn offered(&mut self) {
        while self.read().is_none() {
            Timer::after(Duration::from_millis(20)).await;
        }
    }

    /// The length of their text, once there is one that can be read.
    fn read(&mut self) -> Option<usize> {
        let len = File::open(self.ends.read, Mode::Read)?.read(&mut self.theirs);
        Remote::parse(&self.theirs[..len]).is_ok().then_some(len)
    }

    /// The first offer and answer.
    pub(crate) async fn begin(&mut self) -> Agreed {
        if self.offers {
            self.offer(Direction::SendRecv);
        }
        loop {
            if let Some(agreed) = self.poll() {
                return agreed;
            }
            Timer::after(Duration::from_millis(20)).await;
        }
    }

    /// Offers another direction.
    pub(crate) fn offer(&mut self, direction: Direction) {
        self.direction = direction;
        self.version += 1;
        self.pending = true;
        let formats = [self.codec];
        let local = local(&self.ends, &self.key, (self.session, self.version), self.direction, &formats);
        match local.offer(&mut self.text) {
            Ok(text) => assert!(semihosting::replace(self.ends.write, text), "cannot write the offer"),
            Err(error) => panic!("no offer: {error}"),
        }
    }

    /// What is agreed on anew, if their text has changed.
    pub(crate) fn poll(&mut self) -> Option<Agreed> {
        let len = self.read()?;
        let remote = Remote::parse(&self.theirs[..len]).ok()?;
        let (_, version) = remote.version()?;
        if self.taken == Some(version) {
            return None;
        }
        let offered = remote.session_attribute(ROLE) == Some("offer");
        if self.pending && offered && self.offers {
            // Both offered at once: that of who began counts.
            return None;
        }
        self.taken = Some(version);
        let answers = !self.pending || offered;
        self.pending = false;
        self.version += u64::from(answers);
        // An address of another family than the socket's can't be sent to.
        let reachable =
            remote.address().is_ok_and(|address| endpoint(SocketAddr::new(address, remote.port())).is_some());
        let formats = [self.codec];
        let local = local(&self.ends, &self.key, (self.session, self.version), self.direction, &formats);
        let agreed = if !reachable {
            refused(Err(SdpError::NoAddress))
        } else if answers {
            refused(local.answer(&remote, &mut self.text)).map(|(text, agreed)| {
                assert!(semihosting::replace(self.ends.write, text), "cannot write the answer");
                agreed
            })
        } else {
            refused(local.accept(&remote))
        };
        match &agreed {
            Some(_) => self.agreed = self.direction,
            // What was wanted isn't: the call goes on as it was.
            None => self.direction = self.agreed,
        }
        agreed
    }
}

/// What there is, or a remark why there is none: the call goes on as it was.
fn refused<T>(result: Result<T, SdpError>) -> Option<T> {
    result.inspect_err(|error| say!("refused={error}")).ok()
}

fn local<'b>(
    ends: &Ends<'_>,
    key: &'b Option<MasterKey>,
    (session, version): (u64, u64),
    direction: Direction,
    formats: &'b [Format],
) -> Local<'b> {
    Local {
        address: IpAddr::V4(*ends.advertise.ip()),
        port: ends.advertise.port(),
        session,
        version,
        formats,
        events: PayloadType::new(101),
        ptime_ms: 20,
        direction,
        key: key.as_ref(),
    }
}
