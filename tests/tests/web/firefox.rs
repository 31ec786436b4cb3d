//! Firefox without a window, driven through its own protocol (Marionette): JSON behind its length, over a connection of TCP.
//! Scripts see the page's elements and not its variables.

use std::cell::RefCell;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use media_core_tests::skipped;
use serde_json::{Value, json};

/// So long anything may take that is asked of it.
const LIMIT: Duration = Duration::from_secs(60);
/// Its microphone says a tone, and asks nobody; no questions on a first start, no calls home.
const PREFERENCES: &str = r#"user_pref("marionette.port", 0);
user_pref("media.navigator.streams.fake", true);
user_pref("media.navigator.permission.disabled", true);
user_pref("media.autoplay.default", 0);
user_pref("app.update.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
"#;

/// A browser with a profile of its own; it ends when it is dropped.
pub(crate) struct Firefox {
    child: Child,
    connection: RefCell<(TcpStream, u32)>,
}

impl Firefox {
    /// Starts it; `None` where it isn't installed. What it keeps is in `folder`.
    pub(crate) fn start(folder: &Path) -> Option<Self> {
        let program = ["firefox-esr", "firefox"].into_iter().find(|program| {
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
        });
        let Some(program) = program else {
            skipped::lacks("firefox is not installed (apt-get install firefox-esr)");
            return None;
        };
        let profile = folder.join("firefox");
        fs::create_dir_all(&profile).unwrap();
        fs::write(profile.join("user.js"), PREFERENCES).unwrap();
        let log = fs::File::create(folder.join("firefox.log")).unwrap();
        let mut command = Command::new(program);
        command.args(["--headless", "--marionette", "--no-remote", "--profile"]).arg(&profile).env("HOME", folder);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().expect("firefox starts");
        let begin = Instant::now();
        let stream = loop {
            // Which port it has it writes here.
            let port = fs::read_to_string(profile.join("MarionetteActivePort")).unwrap_or_default();
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", port.trim().parse().unwrap_or(0))) {
                break stream;
            }
            assert!(begin.elapsed() < LIMIT, "firefox doesn't listen: {}", folder.join("firefox.log").display());
            sleep(Duration::from_millis(100));
        };
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let firefox = Self { child, connection: RefCell::new((stream, 0)) };
        let hello = message(&firefox.connection.borrow().0);
        assert_eq!(hello["marionetteProtocol"], 3, "{hello}");
        let session = firefox.ask("WebDriver:NewSession", json!({ "acceptInsecureCerts": true }));
        println!("Firefox {}", session["capabilities"]["browserVersion"]);
        Some(firefox)
    }

    #[track_caller]
    fn ask(&self, command: &str, parameters: Value) -> Value {
        let (stream, id) = &mut *self.connection.borrow_mut();
        *id += 1;
        let text = json!([0, *id, command, parameters]).to_string();
        write!(stream, "{}:{text}", text.len()).expect("firefox reads");
        // A response is [1, id, error, result].
        let answer = message(stream);
        assert!(answer[1] == *id && answer[2].is_null(), "{command}: {answer}");
        answer[3].clone()
    }

    /// Opens a page, and waits until it is there.
    #[track_caller]
    pub(crate) fn open(&self, url: &str) {
        self.ask("WebDriver:Navigate", json!({ "url": url }));
    }

    /// What a script gives back (`return …`), also if that has to be waited for.
    #[track_caller]
    pub(crate) fn run(&self, script: &str) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             (async () => {{ {script} }})().then((value) => done([value]), (error) => done(String(error)));"
        );
        let answer = self.ask("WebDriver:ExecuteAsyncScript", json!({ "script": script, "args": [] }));
        assert!(answer["value"].is_array(), "{answer}");
        answer["value"][0].clone()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub(crate) fn wait_for(&self, expression: &str) {
        let begin = Instant::now();
        while self.run(&format!("return {expression};")) != Value::Bool(true) {
            let shown = self.run("return document.body.innerText;");
            assert!(begin.elapsed() < LIMIT, "{expression} is not true: {shown}");
            sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Firefox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One message: its length in digits, a colon, JSON.
#[track_caller]
fn message(mut stream: &TcpStream) -> Value {
    let mut length = 0usize;
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("firefox answers");
        match byte[0] {
            digit @ b'0'..=b'9' => length = length * 10 + usize::from(digit - b'0'),
            _ => break,
        }
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).expect("firefox answers");
    serde_json::from_slice(&bytes).expect("JSON")
}
