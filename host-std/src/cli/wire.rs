//! `--capture` and `--keys-log`: what passes a call on the wire, in files while it runs.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args as ClapArgs;
use host_std::record::wire::{WireConfig, WireRecorder, WireStatus, record_wire};
use host_std::session::Call;
use serde_json::json;

/// Options of the files.
#[derive(ClapArgs)]
pub(super) struct WireArgs {
    /// Write all datagrams of the call to this capture (pcap) while it runs, protected as they are
    #[arg(help_heading = "Recording", long, value_name = "FILE.pcap")]
    capture: Option<PathBuf>,
    /// Write the SRTP keys of the call here, those of a DTLS handshake too, for `media-core replay --keys` and other tools.
    /// Whoever has the file can hear the call
    #[arg(help_heading = "Recording", long, value_name = "FILE.keys")]
    keys_log: Option<PathBuf>,
}

impl WireArgs {
    /// Begins to write, if that is wished; `local`: our own addresses, for RTP and RTCP.
    pub(super) fn start(
        &self,
        call: &mut Call,
        local: [SocketAddr; 2],
        unix_micros_at_zero: u64,
    ) -> Result<Option<WireRecorder>, Box<dyn Error>> {
        if self.capture.is_none() && self.keys_log.is_none() {
            return Ok(None);
        }
        let config =
            WireConfig { capture: self.capture.clone(), keys: self.keys_log.clone(), local, unix_micros_at_zero };
        let started = record_wire(call, &config).map_err(|error| format!("{}: {error}", self.names()))?;
        Ok(Some(started))
    }

    fn names(&self) -> String {
        let names: Vec<_> = [&self.capture, &self.keys_log].into_iter().flatten().collect();
        let names: Vec<_> = names.iter().map(|path| path.display().to_string()).collect();
        format!("cannot write {}", names.join(" and "))
    }

    /// Writes the status for the summary.
    pub(super) fn text(&self, status: &WireStatus) -> String {
        let mut text = String::new();
        if let Some(path) = &self.capture {
            let dropped = match status.dropped {
                0 => String::new(),
                dropped => format!(", {dropped} more were dropped"),
            };
            text += &format!("  capture     {} datagrams in {}{dropped}\n", status.datagrams, path.display());
        }
        if let Some(path) = &self.keys_log {
            text += &format!("  keys        {} lines in {}\n", status.keys, path.display());
        }
        text
    }

    /// The same as JSON.
    pub(super) fn json(&self, status: &WireStatus) -> serde_json::Value {
        json!({ "datagrams": status.datagrams, "dropped": status.dropped, "key_lines": status.keys })
    }

    /// Why it has ended before the call, in words.
    pub(super) fn failure(&self, status: &WireStatus) -> Option<String> {
        status.error.as_ref().map(|error| format!("{}: {error}", self.names()))
    }
}
