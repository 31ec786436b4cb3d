//! Chromium without a window, driven through its own protocol (Chrome DevTools Protocol) over two pipes: what is
//! written to it and what comes back is JSON with a zero byte behind each message.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use media_core_tests::skipped;
use serde_json::{Value, json};

/// So long anything may take that is asked of it.
const LIMIT: Duration = Duration::from_secs(60);

type Waiting = Arc<Mutex<HashMap<u64, Sender<Value>>>>;

/// A browser with a profile of its own; it ends when it is dropped.
pub(crate) struct Chromium {
    child: Child,
    to: Mutex<ChildStdin>,
    next: AtomicU64,
    waiting: Waiting,
}

/// A page of it.
pub(crate) struct Page<'a> {
    browser: &'a Chromium,
    target: String,
    session: String,
}

impl Chromium {
    /// Starts it with a WAV file as its microphone, or none; `None` where it isn't installed. What it keeps is in `folder`.
    pub(crate) fn start(folder: &Path, microphone: Option<&Path>) -> Option<Self> {
        Self::start_with(folder, microphone, &[])
    }

    /// The same with more options.
    pub(crate) fn start_with(folder: &Path, microphone: Option<&Path>, more: &[&str]) -> Option<Self> {
        let there = Command::new("chromium").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if there.is_err() {
            skipped::lacks("chromium is not installed (apt-get install chromium)");
            return None;
        }
        // It reads from descriptor 3 and writes to descriptor 4.
        let mut command = Command::new("sh");
        command.args(["-c", "exec 3<&0 4>&1 </dev/null >/dev/null; exec \"$@\"", "sh", "chromium"]);
        command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--mute-audio"]);
        command.args(["--remote-debugging-pipe", "--autoplay-policy=no-user-gesture-required"]);
        command.args(["--ignore-certificate-errors", "--disable-background-timer-throttling"]);
        command.arg(format!("--user-data-dir={}", folder.join("profile").display()));
        if let Some(file) = microphone {
            command.args(["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]);
            command.arg(format!("--use-file-for-fake-audio-capture={}%noloop", file.display()));
        }
        command.args(more);
        let log = std::fs::File::create(folder.join("chromium.log")).expect("the test's folder can be written");
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn().expect("chromium starts");
        let to = Mutex::new(child.stdin.take().expect("it was asked for"));
        let from = child.stdout.take().expect("it was asked for");
        let waiting = Waiting::default();
        let for_reader = waiting.clone();
        thread::spawn(move || {
            for message in BufReader::new(from).split(0).map_while(Result::ok) {
                let Ok(message) = serde_json::from_slice::<Value>(&message) else { continue };
                let waits = message["id"].as_u64().and_then(|id| for_reader.lock().unwrap().remove(&id));
                if let Some(waits) = waits {
                    let _ = waits.send(message);
                }
            }
            // Nobody waits for an answer that won't come.
            for_reader.lock().unwrap().clear();
        });
        Some(Self { child, to, next: AtomicU64::new(1), waiting })
    }

    #[track_caller]
    fn ask(&self, session: Option<&str>, method: &str, parameters: Value) -> Value {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let (answer, answered) = channel();
        self.waiting.lock().unwrap().insert(id, answer);
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.lock().unwrap().write_all(&bytes).expect("chromium reads");
        let answer = answered.recv_timeout(LIMIT).unwrap_or_else(|error| panic!("{method}: {error}"));
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Opens a page, and waits until it is there.
    #[track_caller]
    pub(crate) fn open(&self, url: &str) -> Page<'_> {
        let made = self.ask(None, "Target.createTarget", json!({ "url": "about:blank" }));
        let target = made["targetId"].as_str().expect("a target").to_owned();
        let attached = self.ask(None, "Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        let session = attached["sessionId"].as_str().expect("a session").to_owned();
        let page = Page { browser: self, target, session };
        // What a test puts into the page is no part of it.
        page.ask("Page.setBypassCSP", json!({ "enabled": true }));
        page.ask("Page.enable", json!({}));
        page.ask("Page.navigate", json!({ "url": url }));
        page.wait_for(&format!(
            "location.href !== 'about:blank' === {} && document.readyState === 'complete'",
            url != "about:blank"
        ));
        page
    }

    /// Ends it at once, as a crash does.
    pub(crate) fn kill(mut self) {
        let _ = self.child.kill();
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Page<'_> {
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, parameters: Value) -> Value {
        self.browser.ask(Some(&self.session), method, parameters)
    }

    /// The value of an expression, also of one that has to be waited for.
    #[track_caller]
    pub(crate) fn eval(&self, expression: &str) -> Value {
        let parameters = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true,
        });
        let answer = self.ask("Runtime.evaluate", parameters);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub(crate) fn wait_for(&self, expression: &str) {
        self.wait_within(expression, LIMIT);
    }

    #[track_caller]
    pub(crate) fn wait_within(&self, expression: &str, limit: Duration) {
        let begin = Instant::now();
        while self.eval(expression) != Value::Bool(true) {
            let shown = self.eval("document.body ? document.body.innerText : ''");
            assert!(begin.elapsed() < limit, "{expression} is not true after {limit:?}: {shown}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// A picture of it as PNG, as wide and as high as it is said, in dark or in light.
    #[track_caller]
    pub(crate) fn picture(&self, path: &Path, width: u32, dark: bool) {
        let mobile = width < 600;
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.ask("Emulation.setEmulatedMedia", json!({ "features": features }));
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": mobile });
        self.ask("Emulation.setDeviceMetricsOverride", metrics);
        let height = self.eval("document.documentElement.scrollHeight").as_u64().unwrap_or(900);
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        self.ask("Emulation.setDeviceMetricsOverride", metrics);
        let shot = self.ask("Page.captureScreenshot", json!({ "format": "png" }));
        let bytes = STANDARD.decode(shot["data"].as_str().expect("a picture")).expect("base64");
        std::fs::write(path, bytes).expect("the picture's folder can be written");
    }

    /// Closes it as a tab is closed.
    pub(crate) fn close(self) {
        self.browser.ask(None, "Target.closeTarget", json!({ "targetId": self.target }));
    }
}
