//! ICE on the command line: which addresses of both sides a call uses is found out by checks.

use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::thread;
use std::time::Duration as StdDuration;

use clap::{Args as ClapArgs, ValueEnum};
use dsp_core::time::Duration;
use host_std::sdp::NoIce;
use host_std::session::driver::Clock;
use host_std::session::{
    Call, Channel, IceConfig, IceMode, IcePair, IceState, IceStats, RelayState, RelayStats, TurnConnection, TurnServer,
    TurnTransport,
};
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::{Outcome, tell};

/// Pause between two looks at the socket while servers are asked.
const LOOK: StdDuration = StdDuration::from_millis(5);
/// The time that a server may take to accept a connection.
const CONNECTING: StdDuration = StdDuration::from_secs(5);
/// The time that a server may take to release its allocation.
const LEAVING: Duration = Duration::from_millis(500);
/// The environment variable with a TURN password that isn't on the command line.
const PASSWORD: &str = "MEDIA_CORE_TURN_PASSWORD";
/// TURN's port.
const PORT: u16 = 3478;
/// The most bytes of a user name (RFC 8489, 14.3), and of a password.
const MAX_CREDENTIAL: usize = 508;

/// As the library has it, with names for the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Packets go where the SDP says, and --latch says what is believed
    Off,
    /// Both sides check each other's addresses
    Full,
    /// We answer checks and make none: for a server with one public address
    Lite,
}

#[derive(ClapArgs)]
pub(super) struct IceArgs {
    /// Connectivity checks (ICE, RFC 8445) with a side that speaks it too
    #[arg(help_heading = "Network", long, value_enum, default_value = "off")]
    ice: Mode,
    /// No call without ICE: otherwise packets go where the SDP says if the other side doesn't speak it
    #[arg(help_heading = "Network", long)]
    ice_required: bool,
    /// Servers that tell how we are seen from outside (STUN), for --ice full
    #[arg(help_heading = "Network", long, value_delimiter = ',', value_name = "HOST:PORT")]
    stun: Vec<String>,
    /// A server that passes packets on where no direct way is found (TURN), for --ice full; more than once for several.
    /// `USER[:PASSWORD]@HOST[:PORT][?transport=udp|tcp]`, with %XX for characters that mean something here. Without a password
    /// it's that of the environment's MEDIA_CORE_TURN_PASSWORD, which no list of processes shows
    #[arg(help_heading = "Network", long, value_name = "SERVER")]
    turn: Vec<String>,
    /// All packets go through a --turn server, and the other side isn't told our addresses
    #[arg(help_heading = "Network", long)]
    ice_relay_only: bool,
    /// Further addresses of this machine to offer as candidates, if packets are taken at all of them
    #[arg(help_heading = "Network", long, value_delimiter = ',', value_name = "ADDRESSES")]
    ice_address: Vec<IpAddr>,
}

impl IceArgs {
    /// Returns the configuration that the options describe, for a call at this address.
    ///
    /// # Errors
    /// Options that don't go together, and servers without an address.
    pub(super) fn config(&self, ours: IpAddr, mux: bool) -> Result<IceConfig, Box<dyn Error>> {
        let mode = match self.ice {
            Mode::Off => IceMode::Off,
            Mode::Full => IceMode::Full,
            Mode::Lite => IceMode::Lite,
        };
        if mode != IceMode::Off && !mux {
            return Err("--ice: with --no-mux there are two ports, and only one is checked".into());
        }
        if mode != IceMode::Full && !self.stun.is_empty() {
            return Err("--stun is for --ice full".into());
        }
        if mode != IceMode::Full && !self.turn.is_empty() {
            return Err("--turn is for --ice full".into());
        }
        if self.ice_relay_only && self.turn.is_empty() {
            return Err("--ice-relay-only needs a --turn server".into());
        }
        if self.ice_relay_only && (!self.stun.is_empty() || !self.ice_address.is_empty()) {
            return Err("--ice-relay-only: the other side isn't told what --stun and --ice-address are for".into());
        }
        if mode == IceMode::Off && self.ice_required {
            return Err("--ice-required is for --ice full or lite".into());
        }
        let stun = self.stun.iter().map(|server| resolve("--stun", server, ours)).collect::<Result<_, _>>()?;
        let turn = self.turn.iter().map(|server| turn_server(server, ours)).collect::<Result<Vec<_>, _>>()?;
        let twice = |(at, server): (usize, &TurnServer)| turn[..at].iter().any(|other| other.address == server.address);
        if turn.iter().enumerate().any(twice) {
            return Err("--turn: two servers have one address; name it once, with one transport".into());
        }
        let (addresses, relay_only) = (self.ice_address.clone(), self.ice_relay_only);
        Ok(IceConfig { mode, required: self.ice_required, addresses, stun, turn, relay_only })
    }

    /// Connects to the servers that are reached by TCP.
    ///
    /// # Errors
    /// The error of a connection that can't be made.
    pub(super) fn connect(config: &IceConfig) -> Result<Vec<TurnConnection>, Box<dyn Error>> {
        let by_tcp = config.turn.iter().filter(|server| server.transport == TurnTransport::Tcp);
        let connect = |server: &TurnServer| {
            TurnConnection::connect(server.address, CONNECTING)
                .map_err(|error| format!("--turn {} by TCP: {error}", server.address).into())
        };
        by_tcp.map(connect).collect()
    }

    /// Asks the servers, before there is an offer or an answer.
    ///
    /// # Errors
    /// The error of the socket; and where only a relayed address may be used, that there is none.
    pub(super) fn gather(
        &self,
        call: &mut Call,
        clock: &Clock,
        socket: &UdpSocket,
        turn: &mut Vec<TurnConnection>,
    ) -> Outcome {
        exchange_while(call, clock, socket, turn, |call| call.is_gathering(clock.now()))?;
        for relay in call.relays() {
            tell(&format!("{}\n", relay_text(&relay)));
        }
        let allocated = |relay: RelayStats| matches!(relay.state, RelayState::Allocated(_));
        if self.ice_relay_only && !call.relays().into_iter().any(allocated) {
            return Err("--ice-relay-only: no TURN server gives us an address".into());
        }
        Ok(())
    }

    /// Gives back what TURN servers gave to a call that never was.
    pub(super) fn leave(call: &mut Call, clock: &Clock, socket: &UdpSocket, turn: &mut Vec<TurnConnection>) {
        call.hang_up();
        let until = clock.now() + LEAVING;
        // After an error here, the server releases the address when its lifetime is over.
        let _ = exchange_while(call, clock, socket, turn, |call| call.is_leaving() && clock.now() < until);
    }
}

/// Datagrams go and come, as long as `go_on` says so.
fn exchange_while(
    call: &mut Call,
    clock: &Clock,
    socket: &UdpSocket,
    turn: &mut Vec<TurnConnection>,
    go_on: impl Fn(&Call) -> bool,
) -> Outcome {
    let mut buffer = [0; 2_048];
    while go_on(call) {
        while let Some(transmit) = call.transmit(clock.now(), &mut buffer) {
            let bytes = &buffer[..transmit.len];
            match turn.iter_mut().find(|connection| connection.server() == transmit.to) {
                // Whether it's over is found where it's read.
                Some(connection) => _ = connection.send(bytes),
                None => _ = socket.send_to(bytes, transmit.to).map_err(|error| format!("{}: {error}", transmit.to))?,
            }
        }
        // A server that hangs up ends neither the call nor the wait for the others.
        turn.retain_mut(|connection| {
            let server = connection.server();
            loop {
                match connection.receive() {
                    Ok(Some(datagram)) => _ = call.receive(clock.now(), Channel::Rtp, server, datagram),
                    Ok(None) => return true,
                    Err(error) => {
                        tell(&format!("media-core: mind: --turn {server}: {error}\n"));
                        call.lose_server(server);
                        return false;
                    }
                }
            }
        });
        match socket.recv_from(&mut buffer) {
            Ok((len, from)) => {
                call.receive(clock.now(), Channel::Rtp, from, &mut buffer[..len]);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(LOOK),
            // An ICMP answer: nobody is there. The query's own time tells.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(format!("the socket failed: {error}").into()),
        }
    }
    Ok(())
}

/// `[turn:]USER[:PASSWORD]@HOST[:PORT][?transport=udp|tcp]`. The password is never in an error.
fn turn_server(text: &str, ours: IpAddr) -> Result<TurnServer, String> {
    let text = text.strip_prefix("turn:").unwrap_or(text);
    if text.starts_with("turns:") {
        return Err("--turn: TURN over TLS (turns:) is not spoken here".into());
    }
    let (who, place) = text.rsplit_once('@').ok_or("--turn: it must be USER[:PASSWORD]@HOST[:PORT]")?;
    let (place, transport) = match place.split_once('?') {
        None | Some((_, "transport=udp")) => (place.split('?').next().unwrap_or(place), TurnTransport::Udp),
        Some((place, "transport=tcp")) => (place, TurnTransport::Tcp),
        Some((_, other)) => return Err(format!("--turn {place}: {other} must be transport=udp or transport=tcp")),
    };
    let (user, password) = match who.split_once(':') {
        Some((user, password)) => (user, password.to_owned()),
        // The password in the environment is used as it is.
        None => (who, std::env::var(PASSWORD).map_err(|_| format!("--turn {place}: no password, and no {PASSWORD}"))?),
    };
    let password = if who.contains(':') { unescaped(&password) } else { Some(password) };
    let wrong = || format!("--turn {place}: %XX in user or password must be two hexadecimal digits, and UTF-8");
    let (user, password) = unescaped(user).zip(password).ok_or_else(wrong)?;
    let credential = |text: &str| (1..=MAX_CREDENTIAL).contains(&text.len());
    if !credential(&user) || !credential(&password) {
        return Err(format!("--turn {place}: user and password have 1 to {MAX_CREDENTIAL} bytes"));
    }
    let has_port = place.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
    let place = if has_port { place.to_owned() } else { format!("{place}:{PORT}") };
    let address = resolve("--turn", &place, ours)?;
    Ok(TurnServer { address, transport, user, password })
}

/// Decodes `%XX`; `None` where a `%` isn't followed by two hex digits, or the result is no text.
fn unescaped(text: &str) -> Option<String> {
    // The crate leaves a lone `%` as it is: here it would be a typing error in a password.
    let is_escape =
        |part: &str| part.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    if !text.split('%').skip(1).all(is_escape) {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned)
}

/// A TURN server in words.
pub(super) fn relay_text(relay: &RelayStats) -> String {
    let by = if relay.transport == TurnTransport::Tcp { " by TCP" } else { "" };
    let refused = match relay.refused {
        0 => String::new(),
        refused => format!("; it refuses to pass on to {refused} addresses of the other side"),
    };
    format!("TURN server {}{by}: {}{refused}", relay.server, relay.state)
}

/// TURN servers for the summary's JSON.
pub(super) fn relays_json(relays: &[RelayStats]) -> serde_json::Value {
    let one = |relay: &RelayStats| {
        let address = match relay.state {
            RelayState::Allocated(address) | RelayState::Lost(address) => Some(address.to_string()),
            _ => None,
        };
        json!({
            "server": relay.server.to_string(),
            "transport": relay.transport.name(),
            "state": relay.state.to_string(),
            "relayed": address,
            "questions": relay.questions,
            "permitted": relay.permitted,
            "refused": relay.refused,
        })
    };
    relays.iter().map(one).collect()
}

/// The address of a server, of our family.
fn resolve(option: &str, server: &str, ours: IpAddr) -> Result<SocketAddr, String> {
    let addresses = server.to_socket_addrs().map_err(|error| format!("{option} {server}: {error}"))?;
    let of_ours = addresses.into_iter().find(|address| address.is_ipv4() == ours.is_ipv4());
    of_ours.ok_or_else(|| format!("{option} {server}: it has no address of our family ({ours} is ours)"))
}

/// Says on stderr how ICE stands in a call that was just agreed on.
pub(super) fn describe(call: &Call) {
    let Some(agreed) = call.negotiated_transport() else { return };
    match &agreed.ice {
        Ok(ice) => {
            let hidden = match ice.remote.hidden {
                0 => String::new(),
                hidden => format!(", {hidden} behind mDNS names skipped"),
            };
            let lite = if ice.remote.lite { ", which is lite" } else { "" };
            let count = ice.remote.candidates.len();
            tell(&format!("ICE with the other side{lite}: {count} addresses of it{hidden}\n"));
        }
        Err(NoIce::Off) => {}
        Err(why) => tell(&format!("no ICE: {why}; packets go to {}\n", agreed.remote_rtp)),
    }
}

fn state_text(state: IceState) -> &'static str {
    match state {
        IceState::Checking => "checking",
        IceState::Connected => "connected",
        IceState::ConsentGone => "the other side doesn't answer any more",
        IceState::Failed => "no address answered",
    }
}

fn pair_text(pair: &IcePair) -> String {
    format!("{} {} to {} {}", pair.local_kind.name(), pair.local, pair.remote_kind.name(), pair.remote)
}

/// The lines to be printed when the addresses in use change.
#[derive(Default)]
pub(super) struct IceWatch {
    told: Option<(IceState, Option<SocketAddr>)>,
}

impl IceWatch {
    /// The line, if there is something new.
    pub(super) fn line(&mut self, stats: Option<&IceStats>) -> Option<String> {
        let stats = stats?;
        let now = (stats.state, stats.pair.map(|pair| pair.remote));
        let new = self.told != Some(now) && stats.state != IceState::Checking;
        self.told = Some(now);
        let pair = stats.pair.filter(|_| stats.state == IceState::Connected);
        new.then(|| match pair {
            Some(pair) => format!("ICE: {}", pair_text(&pair)),
            None => format!("ICE: {}", state_text(stats.state)),
        })
    }
}

/// Writes the statistics for the summary.
pub(super) fn text(stats: &IceStats) -> String {
    let pair = stats.pair.as_ref().map_or_else(|| "no pair".into(), pair_text);
    let round_trip = stats.round_trip.map(|time| format!(", {:.1} ms there and back", time.as_micros() as f64 / 1e3));
    format!(
        "{}, {pair}{}; {} checks, {} answered; {} of theirs answered; {} messages of strangers, {} stray answers; {} restarts",
        state_text(stats.state),
        round_trip.unwrap_or_default(),
        stats.checks,
        stats.answers,
        stats.requests,
        stats.strangers,
        stats.strays,
        stats.restarts
    )
}

/// The same as JSON.
pub(super) fn json(stats: Option<&IceStats>) -> serde_json::Value {
    let Some(stats) = stats else { return json!(null) };
    let ms = |time: dsp_core::time::Duration| time.as_micros() as f64 / 1e3;
    json!({
        "state": state_text(stats.state),
        "local": stats.pair.map(|pair| pair.local.to_string()),
        "local_kind": stats.pair.map(|pair| pair.local_kind.name()),
        "remote": stats.pair.map(|pair| pair.remote.to_string()),
        "remote_kind": stats.pair.map(|pair| pair.remote_kind.name()),
        "controlling": stats.controlling,
        "lite": stats.lite,
        "checks_sent": stats.checks,
        "checks_answered": stats.answers,
        "requests_answered": stats.requests,
        "messages_of_strangers": stats.strangers,
        "stray_answers": stats.strays,
        "mdns_candidates_skipped": stats.hidden,
        "restarts": stats.restarts,
        "consent_left_ms": stats.consent_left.map(ms),
        "round_trip_ms": stats.round_trip.map(ms),
    })
}
