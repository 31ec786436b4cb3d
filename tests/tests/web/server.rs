//! A server of browsers' calls for the tests, and a client of HTTP that says exactly what it is told to.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use host_std::device::FileIo;
use host_std::sdp::SrtpPolicy;
use host_std::session::driver::{Clock, Command, Driver, Finished, Status};
use host_std::session::{Call, CallConfig, IceConfig, IceMode, Keying};
use host_std::web::{ServeConfig, SoundEnd, Web, WebConfig, WebStats, serve};
use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub(super) const SDP: &str = "application/sdp";

/// A server that ends with the test.
pub(super) struct Server {
    pub(super) web: Web,
    pub(super) address: SocketAddr,
    pub(super) runtime: Runtime,
}

/// An answer of HTTP.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    /// The value of a header, by its name in small letters.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (own, value) = line.split_once(':')?;
            own.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// It's a refusal in words: its status, and what its details say.
    #[track_caller]
    pub(super) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["status"].as_u64(), Some(self.status.into()), "{self:?}");
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{self:?}");
        (self.status, problem["detail"].as_str().unwrap().to_owned())
    }
}

impl Server {
    pub(super) fn start(config: WebConfig, end: impl SoundEnd + 'static) -> Self {
        Self::start_with(config, ServeConfig::default(), end)
    }

    pub(super) fn start_with(config: WebConfig, listen: ServeConfig, end: impl SoundEnd + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let web = Web::new(config, end);
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(serve(listener, web.router(), listen));
        Self { web, address, runtime }
    }

    pub(super) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends a request, its headers a line each, and gives the answer.
    #[track_caller]
    pub(super) fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let mut stream = self.connect();
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|header| header.starts_with("Host:")) {
            request += &format!("Host: {}\r\n", self.address);
        }
        for header in headers {
            request += &format!("{header}\r\n");
        }
        request += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        // It may be refused before all of it is read.
        let _ = stream.write_all(request.as_bytes());
        answer(&mut stream)
    }

    #[track_caller]
    pub(super) fn post(&self, offer: &str) -> Answer {
        self.ask("POST", "/whip", &["Content-Type: application/sdp"], offer)
    }

    pub(super) fn refused(&self, why: &str) -> u32 {
        let WebStats { refused, .. } = self.web.stats();
        refused.iter().find(|(name, _)| *name == why).map_or(0, |(_, count)| *count)
    }

    #[track_caller]
    pub(super) fn wait_until_running(&self, calls: usize, limit: Duration) {
        let begin = Instant::now();
        while self.web.stats().running != calls {
            assert!(begin.elapsed() < limit, "{:?}", self.web.stats());
            sleep(Duration::from_millis(20));
        }
    }
}

#[track_caller]
pub(super) fn answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // Where the other side has closed with bytes unread, the system tells an error behind the answer.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    Answer { status, head: head.into(), body: body.into() }
}

/// A call of ours as a browser's.
pub(super) fn client(port: u16) -> Call {
    Call::new(CallConfig {
        srtp: SrtpPolicy::Required,
        keying: Keying::Dtls,
        ice: IceConfig { mode: IceMode::Full, required: true, ..IceConfig::default() },
        ..CallConfig::new(port).unwrap()
    })
    .unwrap()
}

pub(super) fn offer() -> String {
    client(9_999).offer().unwrap()
}

/// A call of ours that runs as a browser's.
pub(super) struct Calling {
    /// What the server answered.
    pub(super) made: Answer,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) status: watch::Receiver<Status>,
    pub(super) run: JoinHandle<Finished>,
}

impl Calling {
    /// Calls; it says silence.
    pub(super) async fn begin(server: &Server) -> Self {
        let rtp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut call = client(rtp.local_addr().unwrap().port());
        let offered = call.offer().unwrap();
        let made = tokio::task::block_in_place(|| server.post(&offered));
        let clock = Clock::start();
        call.accept(clock.now(), &made.body).unwrap_or_else(|error| panic!("{error}: {made:?}"));
        let driver = Driver::new(call, rtp, Box::new(FileIo::null(48_000)), clock);
        let (commands, from_user) = mpsc::channel(16);
        let (told, status) = watch::channel(Status::default());
        Self { made, commands, status, run: tokio::spawn(driver.run(from_user, told)) }
    }

    /// Waits until so many packets of the other side were decoded.
    pub(super) async fn hears(&mut self, packets: u64) {
        self.status.wait_for(|status| status.stats.total.decoded_packets > packets).await.unwrap();
    }

    /// Hangs up, and gives what is left.
    pub(super) async fn end(self) -> Finished {
        let _ = self.commands.send(Command::HangUp).await;
        self.run.await.unwrap()
    }
}
