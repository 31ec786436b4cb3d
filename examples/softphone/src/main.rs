//! A SIP phone on a terminal, which `README.md` beside it describes.
//!
//! You learn how a SIP stack and `host_std::manager` work together in a whole program: registration, several lines,
//! transfer, a conference, and one front end with echo cancellation for all lines.

mod browsers;
mod command;
mod config;
mod phone;
mod sip;
mod sound;

use std::path::Path;
use std::process::ExitCode;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::mpsc;
use tracing_subscriber::EnvFilter;

use browsers::Browsers;
use config::Config;
use phone::{Phone, Sources};
use sip::stack::Stack;
use sound::Desk;

const USAGE: &str = "usage: softphone CONFIG.toml

The configuration file is described in README.md. Commands are read from the terminal or a pipe; `help` lists them.
RUST_LOG controls what is logged, with the filters of tracing-subscriber.";

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let mut arguments = std::env::args_os().skip(1);
    let (Some(path), None) = (arguments.next(), arguments.next()) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if path == "--help" || path == "-h" {
        println!("{USAGE}\n\n{}", command::HELP);
        return ExitCode::SUCCESS;
    }
    match run(Path::new(&path)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the phone until the user leaves.
///
/// # Errors
/// Why it can't begin, in words.
async fn run(path: &Path) -> Result<(), String> {
    let config = Config::read(path)?;
    let (media, events) = phone::media(&config)?;
    let audio = sound::open(&config.audio).map_err(|error| format!("audio: {error}"))?;
    let desk = Desk::start(audio, config.phone.lines + browsers::MOST, config.audio.processing, &config.phone.country);
    let desk = desk.map_err(|error| error.to_string())?;
    let (stack, incoming) = Stack::start(&config).await?;
    let browsers = Browsers::start(&config.web, desk.plugs()).await?;
    let (phone, outcomes) = Phone::new(config, stack, media, desk);
    phone.run(Sources { typed: typed(), incoming, events }, browsers, outcomes).await;
    Ok(())
}

/// What is typed, a line at a time; it ends where the input does.
fn typed() -> mpsc::Receiver<String> {
    let (give, take) = mpsc::channel(16);
    tokio::spawn(async move {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if give.send(line).await.is_err() {
                break;
            }
        }
    });
    take
}
