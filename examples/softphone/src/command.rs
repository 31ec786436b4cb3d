//! The commands that a user types.

use std::path::PathBuf;

/// Told by `help`.
pub(crate) const HELP: &str = "\
call ADDRESS             call sip:bob@example.org; a line that talks is held
answer [LINE]            answer the call that comes in; a line that talks is held
reject [LINE]            refuse it: busy
hangup [LINE]            end a call
hold [LINE]              put the other side on hold
resume [LINE]            talk again; another line that talks is held
dtmf DIGITS              press keys: 0 to 9, *, #, A to D
transfer ADDRESS         give the call to somebody else (blind)
transfer LINE            give the call to whoever is on that line (attended)
conference               bring all lines together
split                    end the conference: one line stays, the others are held
mute, unmute             the microphone
device SPEAKER [MICROPHONE]
                         talk by other devices: default, null, a name, a WAV file
record FILE, record off  record all that is said to a .wav or .opus file
lines                    what the lines do
help                     this
quit                     end all calls, unregister, leave";

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Call(String),
    Answer(Option<u32>),
    Reject(Option<u32>),
    HangUp(Option<u32>),
    Hold(Option<u32>),
    Resume(Option<u32>),
    Digits(String),
    TransferTo(String),
    TransferToLine(u32),
    Conference,
    Split,
    Mute(bool),
    /// Loudspeaker and microphone.
    Device(String, String),
    Record(Option<PathBuf>),
    Lines,
    Help,
    Quit,
}

impl Command {
    /// Reads a line; `None` for an empty one.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn parse(line: &str) -> Result<Option<Self>, String> {
        let line = line.trim();
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let needs = |what: &str| match rest.is_empty() {
            true => Err(format!("{name}: {what} is missing")),
            false => Ok(rest.to_string()),
        };
        let a_line = || match rest {
            "" => Ok(None),
            number => number.parse().map(Some).map_err(|_| format!("{name} {number}: no line has this number")),
        };
        let alone = |command| match rest {
            "" => Ok(command),
            _ => Err(format!("{name}: nothing follows it")),
        };
        Ok(Some(match name {
            "" => return Ok(None),
            "call" => Self::Call(needs("an address")?),
            "answer" => Self::Answer(a_line()?),
            "reject" => Self::Reject(a_line()?),
            "hangup" => Self::HangUp(a_line()?),
            "hold" => Self::Hold(a_line()?),
            "resume" => Self::Resume(a_line()?),
            "dtmf" => Self::Digits(needs("what to press")?),
            "transfer" => match needs("an address or a line")?.parse() {
                Ok(line) => Self::TransferToLine(line),
                Err(_) => Self::TransferTo(rest.into()),
            },
            "conference" => alone(Self::Conference)?,
            "split" => alone(Self::Split)?,
            "mute" => alone(Self::Mute(true))?,
            "unmute" => alone(Self::Mute(false))?,
            "device" => {
                let speaker = needs("a device")?;
                let (speaker, microphone) = speaker.split_once(' ').unwrap_or((&speaker, "default"));
                Self::Device(speaker.into(), microphone.trim().into())
            }
            "record" => match needs("a file, or `off`,")?.as_str() {
                "off" => Self::Record(None),
                file => Self::Record(Some(file.into())),
            },
            "lines" => alone(Self::Lines)?,
            "help" => Self::Help,
            "quit" | "exit" => alone(Self::Quit)?,
            other => return Err(format!("{other}: there is no such command; `help` tells which there are")),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read() {
        let parse = |line| Command::parse(line).unwrap();
        assert_eq!(parse("  "), None);
        assert_eq!(parse("call sip:bob@h"), Some(Command::Call("sip:bob@h".into())));
        assert_eq!(
            (parse("answer"), parse(" answer 2 ")),
            (Some(Command::Answer(None)), Some(Command::Answer(Some(2))))
        );
        assert_eq!(parse("transfer 2"), Some(Command::TransferToLine(2)));
        assert_eq!(parse("transfer carol@h"), Some(Command::TransferTo("carol@h".into())));
        assert_eq!(parse("record off"), Some(Command::Record(None)));
        assert_eq!(parse("device null"), Some(Command::Device("null".into(), "default".into())));
        assert_eq!(parse("device a.wav  b.wav"), Some(Command::Device("a.wav".into(), "b.wav".into())));
    }

    #[test]
    fn what_is_no_command_is_said_so() {
        for (line, why) in [
            ("call", "an address is missing"),
            ("hold x", "no line"),
            ("fly", "no such command"),
            ("mute now", "nothing follows"),
        ] {
            assert!(Command::parse(line).unwrap_err().contains(why), "{line}");
        }
    }

    #[test]
    fn help_tells_of_every_command() {
        for name in
            "call answer reject hangup hold resume dtmf transfer conference split mute unmute device record lines quit"
                .split(' ')
        {
            assert!(HELP.contains(name), "{name}");
        }
    }
}
