//! `media-core web`: a page that one opens in a browser, and talks.

use std::error::Error;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args as ClapArgs;
use host_std::device::FileIo;
use host_std::session::{AdaptationConfig, Certificate};
use host_std::sockets::Ports;
use host_std::web::{Card, Echo, Recording, RoomEnd, ServeConfig, SoundEnd, Tls, Web, WebConfig, serve};
use tokio::net::TcpListener;

use super::monitoring::MetricsArgs;
use super::network::{own_address, ports};
use super::signals::asked_to_end;
use super::{Outcome, chain, mind, number_in, print, tell};

const AFTER_HELP: &str = "\
One opens the address that is printed, presses Call, and talks. Pages of this machine (http://127.0.0.1, http://localhost) get the
browser's microphone as they are; a telephone on the same network needs TLS, and asks once whether it may trust the certificate:
  media-core web --listen 0.0.0.0:8443 --tls self --token SECRET
Firefox looks for no way to 127.0.0.1, so it needs that too, on this machine as well.
How all calls go is shown at http://ADDRESS/calls: to whoever has the token; without --token to this machine's users alone.
Any program that speaks WHIP (RFC 9725) can call http://ADDRESS/whip.";

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
enum With {
    Echo,
    Device,
    Room,
    File(PathBuf),
}

impl With {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "echo" => Ok(Self::Echo),
            "device" => Ok(Self::Device),
            "room" => Ok(Self::Room),
            _ if text.to_ascii_lowercase().ends_with(".wav") => Ok(Self::File(text.into())),
            _ => Err("must be echo, device, room, or a WAV file".into()),
        }
    }
}

/// Serve a page that calls from a browser: an echo, a WAV file, this machine's microphone and loudspeaker, or a room
///
/// The address goes to stdout; Ctrl-C ends all calls. Sound is protected by DTLS-SRTP, and its way is found by ICE.
#[derive(ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(super) struct WebArgs {
    /// Where the page is. `0.0.0.0` or `[::]`: at all addresses of this machine
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Whom one talks to: an echo, a WAV file that is repeated, this machine's sound card (one call at a time), or
    /// everybody else who opened the page
    #[arg(long, default_value = "echo", value_parser = With::parse, value_name = "echo|FILE.wav|device|room")]
    with: With,
    /// Over TLS: self makes a certificate now; else a file (PEM) with certificate and key, or one for each
    #[arg(help_heading = "Security", long, num_args = 1..=2, value_names = ["self|CERT", "KEY"])]
    tls: Vec<PathBuf>,
    /// What whoever calls must know; the page asks for it, and the address that is printed has it
    #[arg(help_heading = "Security", long, value_parser = token, value_name = "TOKEN")]
    token: Option<String>,
    /// A site whose pages may call here too, as `https://example.com`; may be given several times
    #[arg(help_heading = "Security", long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// A name by which this machine is asked for, besides its addresses and localhost; may be given several times
    #[arg(help_heading = "Security", long, value_name = "NAME")]
    name: Vec<String>,
    /// Calls at once
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1_000), value_name = "NUMBER")]
    max_calls: u16,
    /// The longest a call may take, in minutes
    #[arg(long, default_value_t = 60.0, value_parser = |s: &str| number_in(s, 0.05, 1_440.0), value_name = "MINUTES")]
    max_minutes: f64,
    /// The ports that calls' packets may come to, as 20000-20999 [default: any free ones]
    #[arg(help_heading = "Network", long, value_parser = ports, value_name = "FIRST-LAST")]
    ports: Option<RangeInclusive<u16>>,
    /// What is sent follows the network that browsers' feedback shows: bit rate, packet length and redundancy
    #[arg(help_heading = "Network", long)]
    adapt: bool,
    /// Write what the latest caller says to this WAV file; with --with FILE.wav only
    #[arg(long, value_name = "FILE")]
    speaker: Option<PathBuf>,
    #[command(flatten)]
    metrics: MetricsArgs,
    /// End after this time [default: only on request]
    #[arg(long, value_parser = |s: &str| number_in(s, 0.1, 864_000.0), value_name = "S")]
    seconds: Option<f64>,
}

/// A token goes into a header.
fn token(text: &str) -> Result<String, String> {
    let fits = (1..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        Ok(text.into())
    } else {
        Err("must be 1 to 256 letters, digits and signs of ASCII, without spaces".into())
    }
}

pub(super) fn run(args: &WebArgs) -> Outcome {
    if args.speaker.is_some() && !matches!(args.with, With::File(_)) {
        return Err("--speaker is for --with FILE.wav".into());
    }
    let tls = tls(args)?;
    let end = end(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(args.listen).await;
        let listener = listener.map_err(|error| format!("cannot listen at {}: {error}", args.listen))?;
        let here = listener.local_addr()?;
        let config = WebConfig {
            address: here.ip(),
            ports: args.ports.clone().map_or(Ports::Any, Ports::Range),
            token: args.token.clone(),
            origins: args.allow_origin.clone(),
            names: Some(args.name.clone()),
            max_calls: args.max_calls.into(),
            call_time: Duration::from_secs_f64(args.max_minutes * 60.0),
            adaptation: args.adapt.then(|| AdaptationConfig::with_copies(1)),
            ..WebConfig::default()
        };
        let web = Web::shared(config, end);
        if args.metrics.serve()? {
            web.publish_metrics();
        }
        let scheme = if tls.is_some() { "https" } else { "http" };
        let address = SocketAddr::new(reachable(here.ip()), here.port());
        let secret = args.token.as_ref().map_or_else(String::new, |token| format!("#token={}", escaped(token)));
        print(&format!("{scheme}://{address}/{secret}\n"))?;
        warn(args, here.ip(), tls.is_some());
        let serving = serve(listener, web.router(), ServeConfig { tls, ..ServeConfig::default() });
        let time = async {
            match args.seconds {
                Some(seconds) => tokio::time::sleep(Duration::from_secs_f64(seconds)).await,
                None => std::future::pending().await,
            }
        };
        let failed = tokio::select! {
            error = serving => Some(error),
            () = asked_to_end() => None,
            () = time => None,
        };
        web.close().await;
        let stats = web.stats();
        let refused: u32 = stats.refused.iter().map(|(_, count)| count).sum();
        tell(&format!("{} calls; {refused} requests refused", stats.begun));
        for (why, count) in stats.refused.iter().filter(|(_, count)| *count > 0) {
            tell(&format!(", {why} {count}"));
        }
        tell("\n");
        failed.map_or(Ok(()), |error| Err(format!("cannot listen any more: {error}").into()))
    })
}

/// Prints warnings.
fn warn(args: &WebArgs, here: IpAddr, tls: bool) {
    if here.is_loopback() {
        return;
    }
    if !tls {
        tell("media-core: mind: without --tls only browsers of this machine have a microphone for this page\n");
    }
    if args.token.is_none() {
        let who = if args.with == With::Device { ", and hears this machine's microphone" } else { "" };
        tell(&format!("media-core: mind: without --token whoever reaches this address may call{who}\n"));
    }
}

/// The address that others find us by.
pub(super) fn reachable(address: IpAddr) -> IpAddr {
    if address.is_unspecified() { own_address(address.is_ipv6()) } else { address }
}

/// Escapes characters that have a meaning after `#` as `%XX`.
pub(super) fn escaped(token: &str) -> String {
    let sign = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    token.bytes().map(sign).collect()
}

fn end(args: &WebArgs) -> Result<Arc<dyn SoundEnd>, Box<dyn Error>> {
    Ok(match &args.with {
        With::Echo => Arc::new(Echo),
        With::Device => Arc::new(Card::default()),
        With::Room => Arc::new(RoomEnd::new(args.max_calls.into()).map_err(|error| chain(&*error))?),
        With::File(path) => {
            let file = FileIo::null(48_000).capture_from(path, true)?;
            mind(path, file.remarks());
            let recording = Recording::new(path)?;
            match &args.speaker {
                Some(speaker) => Arc::new(recording.with_spoken(speaker)),
                None => Arc::new(recording),
            }
        }
    })
}

fn tls(args: &WebArgs) -> Result<Option<Tls>, Box<dyn Error>> {
    let read = |path: &Path| {
        fs::read_to_string(path).map_err(|error| format!("--tls: cannot read {}: {error}", path.display()))
    };
    let (certificate, key) = match &args.tls[..] {
        [] => return Ok(None),
        [one] if one.as_os_str() == "self" => {
            let mut names = vec!["localhost".into(), "127.0.0.1".into(), "::1".into()];
            names.push(reachable(args.listen.ip()).to_string());
            names.extend(args.name.iter().cloned());
            let certificate = Certificate::for_names(&names)?;
            tell(&format!("certificate for {}: {}\n", names.join(", "), certificate.fingerprint()));
            let pem = certificate.to_pem().to_string();
            (pem.clone(), pem)
        }
        // Both in one file.
        [both] => (read(both)?, read(both)?),
        [certificate, key, ..] => (read(certificate)?, read(key)?),
    };
    Ok(Some(Tls::from_pem(&certificate, &key).map_err(|error| format!("--tls: {error}"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_the_address_and_fits_into_a_header() {
        assert_eq!(escaped("aZ0-._~"), "aZ0-._~");
        assert_eq!(escaped("a#&%+/="), "a%23%26%25%2B%2F%3D");
        assert!(token("").is_err() && token("a b").is_err() && token("ä").is_err() && token(&"x".repeat(257)).is_err());
        assert_eq!(token("s3cret!"), Ok("s3cret!".into()));
    }

    #[test]
    fn ends_are_named() {
        assert_eq!(With::parse("room"), Ok(With::Room));
        assert_eq!(With::parse("a/B.WAV"), Ok(With::File("a/B.WAV".into())));
        assert!(With::parse("music.mp3").is_err());
    }
}
