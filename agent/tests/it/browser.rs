//! A headless Chromium, driven over its debugging pipe: NUL-terminated JSON on descriptors 3 and 4.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// Names it goes by.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

pub(crate) struct Browser {
    child: Child,
    input: File,
    output: BufReader<File>,
    asked: u64,
    session: Option<String>,
    /// What the pages complained of: refused content, failed requests, exceptions.
    pub(crate) complaints: Vec<String>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Start it with one empty tab; `None` where there is none.
    pub(crate) fn start() -> Option<Self> {
        let program = NAMES.into_iter().find(|name| {
            let mut version = Command::new(name);
            version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
            version.status().is_ok_and(|status| status.success())
        })?;
        let profile = tempfile::tempdir().unwrap();
        let pipes = [profile.path().join("in"), profile.path().join("out")];
        assert!(Command::new("mkfifo").args(&pipes).status().unwrap().success());
        let child = Command::new("sh")
            .args(["-c", "in=$1 out=$2; shift 2; exec \"$@\" 3<\"$in\" 4>\"$out\"", "sh"])
            .args(&pipes)
            .args([program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--remote-debugging-pipe", "--no-first-run", "--disable-background-networking"])
            .args(["--window-size=1100,900", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", profile.path().join("profile").display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Opening a pipe waits for the other end, in the shell's order.
        let input = File::options().write(true).open(&pipes[0]).unwrap();
        let output = BufReader::new(File::open(&pipes[1]).unwrap());
        let complaints = Vec::new();
        let mut browser =
            Self { child, input, output, asked: 0, session: None, complaints, _profile: profile };
        let target = browser.ask("Target.createTarget", &json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.ask("Target.attachToTarget", &attach);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            browser.ask(&format!("{domain}.enable"), &json!({}));
        }
        Some(browser)
    }

    /// One command and its result; events on the way are looked at for complaints.
    pub(crate) fn ask(&mut self, method: &str, parameters: &Value) -> Value {
        self.asked += 1;
        let mut message = json!({"id": self.asked, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.input.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let message = self.read();
            if message["id"] == self.asked {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    fn read(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.output.read_until(0, &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0), "the browser ended");
        let message: Value = serde_json::from_slice(&bytes).unwrap();
        let complaint = match message["method"].as_str() {
            Some("Log.entryAdded") => Some(&message["params"]["entry"]),
            Some("Runtime.exceptionThrown") => Some(&message["params"]["exceptionDetails"]),
            _ => None,
        };
        self.complaints.extend(complaint.map(ToString::to_string));
        message
    }

    /// Go to a page and wait until it is loaded.
    pub(crate) fn open(&mut self, url: &str) {
        self.ask("Page.navigate", &json!({"url": url}));
        while self.read()["method"] != "Page.loadEventFired" {}
    }

    /// The value of an expression; promises are waited for.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let result = self.ask("Runtime.evaluate", &parameters);
        assert!(result.get("exceptionDetails").is_none(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// Wait until the text of the page contains something.
    pub(crate) fn wait_for(&mut self, text: &str) {
        self.evaluate(&format!(
            "new Promise(done => {{
                const look = () => document.body.innerText.toLowerCase().includes({text:?}) && done(true);
                new MutationObserver(look).observe(document, {{subtree: true, childList: true, characterData: true}});
                look();
            }})"
        ));
    }

    /// The page as a PNG, in base64.
    pub(crate) fn picture(&mut self) -> String {
        let result =
            self.ask("Page.captureScreenshot", &json!({"format": "png", "captureBeyondViewport": true}));
        result["data"].as_str().unwrap().to_owned()
    }

    /// With or without JavaScript.
    pub(crate) fn scripts(&mut self, on: bool) {
        self.ask("Emulation.setScriptExecutionDisabled", &json!({"value": !on}));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}
