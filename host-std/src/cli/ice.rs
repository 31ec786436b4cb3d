//! ICE on the command line: which addresses of both sides a call uses is found out by checks.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::thread;
use std::time::Duration as StdDuration;

use clap::{Args as ClapArgs, ValueEnum};
use host_std::sdp::NoIce;
use host_std::session::driver::Clock;
use host_std::session::{Call, Channel, IceConfig, IceMode, IcePair, IceState, IceStats};
use serde_json::json;

use super::{Outcome, tell};

/// Pause between two looks at the socket while servers are asked.
const LOOK: StdDuration = StdDuration::from_millis(5);

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
    /// Further addresses of this machine to offer as candidates, if packets are taken at all of them
    #[arg(help_heading = "Network", long, value_delimiter = ',', value_name = "ADDRESSES")]
    ice_address: Vec<IpAddr>,
}

impl IceArgs {
    /// What they come to, for a call at this address.
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
        if mode == IceMode::Off && self.ice_required {
            return Err("--ice-required is for --ice full or lite".into());
        }
        let stun = self.stun.iter().map(|server| resolve("--stun", server, ours)).collect::<Result<_, _>>()?;
        Ok(IceConfig { mode, required: self.ice_required, addresses: self.ice_address.clone(), stun })
    }

    /// Asks the servers, before there is an offer or an answer.
    ///
    /// # Errors
    /// What is wrong with the socket.
    pub(super) fn gather(call: &mut Call, clock: &Clock, socket: &UdpSocket) -> Outcome {
        let mut buffer = [0; 2_048];
        while call.is_gathering(clock.now()) {
            while let Some(transmit) = call.transmit(clock.now(), &mut buffer) {
                socket
                    .send_to(&buffer[..transmit.len], transmit.to)
                    .map_err(|error| format!("--stun {}: {error}", transmit.to))?;
            }
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

/// What is to be said when the addresses in use change.
#[derive(Default)]
pub(super) struct Watch {
    told: Option<(IceState, Option<SocketAddr>)>,
}

impl Watch {
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

/// For the summary.
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
