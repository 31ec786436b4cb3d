//! The commands, their options, and the output of their errors: one clear line on stderr, and a non-zero exit.

mod captured;
mod chain;
mod codecs;
mod conference;
mod decode;
mod demo;
mod devices;
mod digits;
mod dtmf;
mod encode;
mod exchange;
mod ice;
mod keep;
mod keyboard;
mod mix;
mod monitoring;
mod netsim;
mod network;
mod probe;
mod process;
mod reoffer;
mod replay;
mod resample;
mod security;
mod settings;
mod signals;
mod sound;
mod summary;
mod talk;
mod tone;
mod waiting;
mod web;
mod wire;

use std::any::TypeId;
use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use host_std::sockets::Dscp;
use tracing_subscriber::EnvFilter;

/// The log filter unless the environment sets another. Refusals of TURN servers are reported by the program itself.
const LOG: &str = "warn,turn_client_proto=error,stun_proto=error";

/// Voice calls over RTP: demonstrate one, make one, answer one.
#[derive(Parser)]
#[command(name = "media-core", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Offer(talk::OfferArgs),
    Answer(talk::AnswerArgs),
    Devices(devices::DevicesArgs),
    Encode(encode::EncodeArgs),
    Decode(decode::DecodeArgs),
    Codecs(codecs::CodecsArgs),
    Resample(resample::ResampleArgs),
    Process(process::ProcessArgs),
    Dtmf(dtmf::DtmfArgs),
    Tone(tone::ToneArgs),
    Mix(mix::MixArgs),
    Conference(conference::ConferenceArgs),
    Probe(probe::ProbeArgs),
    Replay(replay::ReplayArgs),
    Netsim(netsim::NetsimArgs),
    Web(web::WebArgs),
}

/// A woman who speaks, 16 kHz.
const WOMAN: &[u8] = include_bytes!("../../assets/woman.wav");

/// A man who speaks, 16 kHz.
const MAN: &[u8] = include_bytes!("../../assets/man.wav");

/// The result of a command.
type Outcome = Result<(), Box<dyn Error>>;

/// Options whose value may be left out, and the value that they have then. Clap would take a file's name after them for the
/// value, as in `process --vad mic.wav out.wav`.
const WITHOUT_VALUE: [[&str; 2]; 2] = [["--ns", "--ns=medium"], ["--vad", "--vad=2"]];

/// The arguments, where such an option before a file's name has its value.
fn with_values(mut arguments: Vec<OsString>) -> Vec<OsString> {
    // After `--` there are only files, whatever their names are.
    let options = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    for at in 1..options {
        let [option, next] = &mut arguments[at - 1..=at] else { continue };
        let is_file =
            Path::new(next).extension().is_some() && next.to_str().is_none_or(|text| text.parse::<f64>().is_err());
        let known = WITHOUT_VALUE.iter().find(|[name, _]| option == name);
        if let Some([_, with_value]) = known.filter(|_| is_file) {
            *option = (*with_value).into();
        }
    }
    arguments
}

/// Parses the arguments and runs the command.
pub(crate) fn run() -> ExitCode {
    let matches = command_line().get_matches_from(with_values(std::env::args_os().collect()));
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let filter = EnvFilter::try_from_env("MEDIA_CORE_LOG").unwrap_or_else(|_| EnvFilter::new(LOG));
    // Where stderr can't be written, an error message about that on stderr would be a panic, in the middle of a call.
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    log.log_internal_errors(false).init();
    signals::survive_file_limits();
    let outcome = match cli.command {
        Command::Demo(args) => demo::run(args),
        Command::Offer(args) => talk::offer(args),
        Command::Answer(args) => talk::answer(args),
        Command::Devices(args) => devices::run(&args),
        Command::Encode(args) => encode::run(&args),
        Command::Decode(args) => decode::run(&args),
        Command::Codecs(args) => codecs::run(&args),
        Command::Resample(args) => resample::run(&args),
        Command::Process(args) => process::run(&args),
        Command::Dtmf(args) => dtmf::run(&args),
        Command::Tone(args) => tone::run(&args),
        Command::Conference(args) => conference::run(&args),
        Command::Mix(args) => mix::run(&args),
        Command::Probe(args) => probe::run(&args),
        Command::Replay(args) => replay::run(args),
        Command::Netsim(args) => netsim::run(&args),
        Command::Web(args) => web::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("media-core: {}\n", chain(&*error)));
            ExitCode::FAILURE
        }
    }
}

/// Returns the commands and options. Each option that takes a number accepts a negative one: so the error names its range, and
/// doesn't say that there is no option `-5`.
fn command_line() -> clap::Command {
    Cli::command().mut_subcommands(with_numbers)
}

/// That of a command and of those under it.
fn with_numbers(command: clap::Command) -> clap::Command {
    let numbers = [
        TypeId::of::<f64>(),
        TypeId::of::<u64>(),
        TypeId::of::<u32>(),
        TypeId::of::<u16>(),
        TypeId::of::<u8>(),
        TypeId::of::<Dscp>(),
    ];
    let command = command.mut_args(|option| {
        let is_number = numbers.iter().any(|number| option.get_value_parser().type_id() == *number);
        if is_number { option.allow_negative_numbers(true) } else { option }
    });
    command.mut_subcommands(with_numbers)
}

/// Writes to stdout what the user asked for. A reader that has seen enough (`| head`) is no error.
fn print(text: &str) -> Outcome {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("stdout: {error}").into()),
        _ => Ok(()),
    }
}

/// Writes to stderr what the user should know. Where even that can't be written, nothing can be reported.
fn tell(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// Says what is odd about a file that is read all the same: each remark once, however often the file is opened.
fn mind(path: &Path, remarks: &[String]) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    for remark in remarks {
        let line = format!("media-core: mind: {}: {remark}\n", path.display());
        if SAID.lock().is_ok_and(|mut said| said.insert(line.clone())) {
            tell(&line);
        }
    }
}

/// An error and its sources in one line.
fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        // Some systems' messages have several lines, or end as a sentence does.
        let text = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        let text = text.trim_end_matches('.');
        if !line.ends_with(text) {
            line = format!("{line}: {text}");
        }
        source = error.source();
    }
    line
}

/// Makes the folder of the results, and those above it.
fn make_folder(path: &Path) -> Outcome {
    Ok(fs::create_dir_all(path).map_err(|error| format!("cannot make the folder {}: {error}", path.display()))?)
}

/// Refuses to write over what is still to be read.
fn apart(input: &Path, output: &Path) -> Outcome {
    match (input.canonicalize(), output.canonicalize()) {
        (Ok(from), Ok(to)) if from == to => Err(format!("{}: is both input and output", input.display()).into()),
        _ => Ok(()),
    }
}

/// Refuses numbers outside a range, with a message that names it.
fn number_in(text: &str, low: f64, high: f64) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (low..=high).contains(&number) => Ok(number),
        Ok(_) => Err(format!("must be from {low} to {high}")),
        Err(_) => Err("must be a number".into()),
    }
}

/// `FILE@SECONDS`: a file, and when it is wanted.
fn file_at(text: &str) -> Result<(std::path::PathBuf, f64), String> {
    let (file, seconds) = text.rsplit_once('@').unwrap_or((text, "0"));
    let seconds: f64 = seconds.parse().map_err(|_| format!("{seconds} is no number of seconds"))?;
    if !(0.0..=86_400.0).contains(&seconds) || file.is_empty() {
        return Err("FILE@SECONDS, 0 to 86400 s".into());
    }
    Ok((file.into(), seconds))
}

#[cfg(test)]
mod tests {
    use super::with_values;

    fn changed(line: &str) -> String {
        let arguments = with_values(line.split(' ').map(Into::into).collect());
        arguments.iter().map(|argument| argument.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn an_option_before_a_file_gets_its_value_and_a_file_stays_what_it_is() {
        assert_eq!(changed("media-core process --vad mic.wav out.wav"), "media-core process --vad=2 mic.wav out.wav");
        assert_eq!(changed("media-core process --vad 3 mic.wav"), "media-core process --vad 3 mic.wav");
        // Behind `--` all are files.
        assert_eq!(changed("media-core process -- --vad out.wav"), "media-core process -- --vad out.wav");
    }
}
