//! `media-core codecs`: what this build has; and how codecs are named on the command line.

use std::fmt::{self, Write};
use std::str::FromStr;

use clap::Args as ClapArgs;
use dsp_core::codec::ilbc::IlbcMode;
use host_std::opus::{HAS_DRED, RATES_HZ, library_version};
use host_std::registry::{CodecDescription, CodecFormat, Frames, Registry};
use serde_json::json;

use super::{Outcome, print};

/// A codec by its name on the command line: an encoding name in any case, or `ilbc30`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CodecName(String);

/// iLBC in frames of 30 ms.
const ILBC30: &str = "ilbc30";

impl FromStr for CodecName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.trim().to_lowercase();
        let mut names = Registry::builtin().names();
        let after = names.iter().position(|name| name == "ilbc").map_or(names.len(), |at| at + 1);
        names.insert(after, ILBC30.into());
        if names.contains(&name) { Ok(Self(name)) } else { Err(format!("this build has {}", names.join(", "))) }
    }
}

impl fmt::Display for CodecName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl CodecName {
    /// Returns whether it is this one.
    pub(super) fn is(&self, name: &str) -> bool {
        self.0 == name
    }

    /// Returns whether it is iLBC.
    pub(super) fn is_ilbc(&self) -> bool {
        self.is("ilbc") || self.is(ILBC30)
    }

    /// The format; where a codec has several rates and channels (L16), the one of these.
    pub(super) fn format(&self, rate_hz: u32, channels: u8) -> Result<CodecFormat, String> {
        match self.0.as_str() {
            ILBC30 => Ok(CodecFormat::ilbc(IlbcMode::Ms30)),
            "l16" => {
                let wanted = CodecFormat::l16(rate_hz, channels);
                let known = Registry::builtin().find(&wanted).is_some();
                if known { Ok(wanted) } else { Err(format!("l16 has no rate of {rate_hz} Hz")) }
            }
            name => Registry::builtin().named(name).ok_or_else(|| format!("no codec {name} in this build")),
        }
    }

    /// Returns the rates that its sound may have, in Hz, the lowest first.
    pub(super) fn rates_hz(&self) -> Vec<u32> {
        if self.is("opus") {
            return RATES_HZ.to_vec();
        }
        let registry = Registry::builtin();
        let mut rates: Vec<_> = registry
            .codecs()
            .flat_map(|codec| codec.formats().into_iter().map(|format| (codec.describe(&format), format)))
            .filter(|(_, format)| format.is_named(if self.is_ilbc() { "ilbc" } else { &self.0 }))
            .map(|(description, _)| description.sample_rate_hz)
            .collect();
        rates.sort_unstable();
        rates.dedup();
        rates
    }

    /// The lowest rate of its sound that loses nothing of sound at `rate_hz`, else its highest.
    pub(super) fn rate_for(&self, rate_hz: u32) -> u32 {
        let rates = self.rates_hz();
        rates.iter().copied().find(|rate| *rate >= rate_hz).or(rates.last().copied()).unwrap_or(8_000)
    }
}

/// List the codecs of this build: rates, payload types, frame lengths, bit rates, delay and memory
#[derive(ClapArgs)]
pub(super) struct CodecsArgs {
    /// Print JSON: every format by itself, with all that is known of it
    #[arg(long)]
    json: bool,
}

/// Formats of a codec that differ in rate and channels alone.
struct Row {
    name: String,
    formats: Vec<(CodecFormat, CodecDescription)>,
}

pub(super) fn run(args: &CodecsArgs) -> Outcome {
    let rows = rows(&Registry::builtin());
    if args.json {
        let formats =
            rows.iter().flat_map(|row| &row.formats).map(|(format, description)| to_json(format, description));
        let opus = json!({ "library": library_version(), "dred": HAS_DRED });
        let json = json!({ "codecs": formats.collect::<Vec<_>>(), "opus": opus });
        return print(&format!("{}\n", serde_json::to_string_pretty(&json)?));
    }
    let mut table = vec![
        ["codec", "sound", "RTP clock", "payload type", "frame", "kbit/s", "delay", "encoder", "decoder", "of its own"]
            .map(str::to_owned),
    ];
    table.extend(rows.iter().map(Row::cells));
    let mut text = String::new();
    for cells in &table {
        let mut line = String::new();
        for (column, cell) in cells.iter().enumerate() {
            let width = table.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0);
            let _ = write!(line, "{cell:<width$}  ");
        }
        text += line.trim_end();
        text.push('\n');
    }
    let (version, has) = (library_version(), if HAS_DRED { "with" } else { "without" });
    text += "\nDelay is beyond the frame; memory is in bytes.\n";
    text += "Where the codec has no concealment of its own, the receiver conceals; `--concealment codec` takes Appendix I of\n";
    text += "G.711 or G.722's own instead.\n";
    text += &format!("Opus is {version}, {has} deep concealment and DRED (cargo feature opus-dred).\n");
    print(&text)
}

fn rows(registry: &Registry) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for codec in registry.codecs() {
        let mut formats: Vec<_> = codec.formats().into_iter().map(|format| (codec.describe(&format), format)).collect();
        formats.sort_by_key(|(_, format)| (format.channels, format.rtp_clock_hz));
        let own = rows.len();
        for (description, format) in formats {
            let like = |other: &CodecDescription| {
                let bare = |d: &CodecDescription| CodecDescription {
                    sample_rate_hz: 0,
                    channels: 0,
                    bit_rate_bps: [0; 2],
                    ..d.clone()
                };
                bare(other) == bare(&description)
            };
            match rows[own..].iter_mut().find(|row| row.formats.iter().any(|(_, other)| like(other))) {
                Some(row) => row.formats.push((format, description)),
                None => rows.push(Row { name: format.name.to_string(), formats: vec![(format, description)] }),
            }
        }
    }
    rows
}

impl Row {
    fn cells(&self) -> [String; 10] {
        let of = |what: fn(&(CodecFormat, CodecDescription)) -> u32, unit: f64| {
            let numbers: Vec<_> = self.formats.iter().map(what).collect();
            span(&numbers, unit)
        };
        let (first, description) = &self.formats[0];
        let stereo = self.formats.iter().any(|(_, description)| description.channels == 2);
        let opus = first.is_named("opus");
        let sound = if opus { "8-48 kHz".into() } else { format!("{} kHz", of(|(_, d)| d.sample_rate_hz, 1e3)) };
        let mut numbers: Vec<_> = self.formats.iter().filter_map(|(format, _)| format.static_payload_type()).collect();
        numbers.sort_unstable_by_key(|number| number.get());
        let mut types: Vec<_> = numbers.iter().map(|number| number.get().to_string()).collect();
        if numbers.len() < self.formats.len() {
            types.push("dynamic".into());
        }
        let bps: Vec<_> = self.formats.iter().flat_map(|(_, description)| description.bit_rate_bps).collect();
        let own =
            [(description.own_concealment, "concealment"), (description.redundancy, "FEC"), (description.dtx, "DTX")];
        let own: Vec<_> = own.into_iter().filter(|(has, _)| *has).map(|(_, name)| name).collect();
        [
            self.name.clone(),
            format!("{sound}{}", if stereo || opus { ", mono or stereo" } else { "" }),
            format!("{} kHz", of(|(format, _)| format.rtp_clock_hz, 1e3)),
            types.join(", "),
            frames(description.frames),
            span(&bps, 1e3),
            format!("{} ms", span(&[description.delay_us], 1e3)),
            description.encoder_bytes.to_string(),
            description.decoder_bytes.to_string(),
            own.join(", "),
        ]
    }
}

fn span(numbers: &[u32], unit: f64) -> String {
    let short = |number: u32| format!("{}", (f64::from(number) / unit * 10.0).round() / 10.0);
    match (numbers.iter().min(), numbers.iter().max()) {
        (Some(low), Some(high)) if low < high => format!("{}-{}", short(*low), short(*high)),
        (Some(low), _) => short(*low),
        _ => String::new(),
    }
}

fn frames(frames: Frames) -> String {
    match frames {
        Frames::Any | Frames::Of(0..1_000) => "any".into(),
        Frames::Of(us) => format!("{} ms", us / 1_000),
        Frames::OneOf(lengths_us) => format!("{} ms", span(lengths_us, 1e3)),
    }
}

/// The lengths of a payload that a codec has, in a sentence.
pub(super) fn frames_in_words(frames: Frames) -> String {
    match frames {
        Frames::Any => "any length".into(),
        Frames::Of(us) => format!("a multiple of {} ms", f64::from(us) / 1e3),
        Frames::OneOf(us) => {
            let lengths: Vec<_> = us.iter().map(|us| format!("{}", f64::from(*us) / 1e3)).collect();
            format!("{} ms", lengths.join(", "))
        }
    }
}

fn to_json(format: &CodecFormat, description: &CodecDescription) -> serde_json::Value {
    let frames_ms = match description.frames {
        Frames::Any => json!("any"),
        Frames::Of(us) => json!({ "multiple_of": f64::from(us) / 1e3 }),
        Frames::OneOf(us) => json!(us.iter().map(|us| f64::from(*us) / 1e3).collect::<Vec<_>>()),
    };
    json!({
        "name": format.name,
        "rtpmap": format.to_rtpmap(),
        "fmtp": format.fmtp,
        "payload_type": format.static_payload_type().map(|number| number.get()),
        "rtp_clock_hz": format.rtp_clock_hz,
        "sample_rate_hz": description.sample_rate_hz,
        "channels": description.channels,
        "frames_ms": frames_ms,
        "bit_rate_bps": description.bit_rate_bps,
        "own_concealment": description.own_concealment,
        "redundancy": description.redundancy,
        "dtx": description.dtx,
        "delay_ms": f64::from(description.delay_us) / 1e3,
        "encoder_bytes": description.encoder_bytes,
        "decoder_bytes": description.decoder_bytes,
    })
}
