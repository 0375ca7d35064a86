//! A real browser without a window, driven through its debugging protocol.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket, stream::MaybeTlsStream};

/// A page in Chromium.
pub struct Page {
    process: Child,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    session: Value,
    calls: u64,
    _profile: tempfile::TempDir,
}

impl Page {
    /// Opens an address; `None`, with a word, where no Chromium is installed.
    pub fn open(address: &str) -> Option<Self> {
        let profile = tempfile::tempdir().unwrap();
        let start = |name: &&str| {
            Command::new(name)
                .args([
                    "--headless",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--remote-debugging-port=0",
                ])
                .arg("--window-size=1000,900")
                .arg(format!("--user-data-dir={}", profile.path().display()))
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .ok()
        };
        let names = ["chromium", "chromium-browser", "google-chrome"];
        let Some(mut process) = names.iter().find_map(start) else {
            eprintln!("skipped: no chromium on this machine");
            return None;
        };
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let socket = lines.find_map(|line| {
            let line = line.unwrap();
            line.strip_prefix("DevTools listening on ")
                .map(str::to_owned)
        });
        // What it says later must go somewhere.
        std::thread::spawn(move || lines.count());
        let (socket, _) = tungstenite::connect(socket.expect("Chromium starts")).unwrap();
        let mut page = Self {
            process,
            socket,
            session: Value::Null,
            calls: 0,
            _profile: profile,
        };
        let target = page.call("Target.createTarget", json!({ "url": address }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        page.session = page.call("Target.attachToTarget", attach)["sessionId"].clone();
        Some(page)
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let mut call = json!({ "id": self.calls, "method": method, "params": params });
        if self.session.is_string() {
            call["sessionId"] = self.session.clone();
        }
        self.socket.send(Message::text(call.to_string())).unwrap();
        loop {
            let message = self.socket.read().unwrap();
            let Ok(answer) = serde_json::from_str::<Value>(message.to_text().unwrap_or_default())
            else {
                continue;
            };
            if answer["id"] == self.calls {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    /// The value of an expression of the page's script.
    pub fn value(&mut self, expression: &str) -> Value {
        let ask = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        self.call("Runtime.evaluate", ask)["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    pub fn wait_for(&mut self, expression: &str) {
        let began = Instant::now();
        while self.value(expression) != json!(true) {
            let text = self.value("document.body.innerText");
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "never `{expression}`: {text}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Makes the window a phone's, with a finger for a mouse.
    pub fn become_phone(&mut self) {
        let size = json!({ "width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": true });
        self.call("Emulation.setDeviceMetricsOverride", size);
        self.call(
            "Emulation.setTouchEmulationEnabled",
            json!({ "enabled": true }),
        );
    }

    /// Drags from a point to another, pixels of the page's window, with a finger.
    pub fn drag(&mut self, from: [f64; 2], to: [f64; 2]) {
        let middle = [f64::midpoint(from[0], to[0]), f64::midpoint(from[1], to[1])];
        for (kind, at) in [
            ("touchStart", Some(from)),
            ("touchMove", Some(middle)),
            ("touchMove", Some(to)),
            ("touchEnd", None),
        ] {
            let points: Vec<Value> = at.iter().map(|[x, y]| json!({ "x": x, "y": y })).collect();
            let event = json!({ "type": kind, "touchPoints": points });
            self.call("Input.dispatchTouchEvent", event);
        }
    }

    /// Presses a key.
    pub fn press(&mut self, key: &str) {
        self.press_with(key, false);
    }

    /// Presses a key, with shift or without.
    pub fn press_with(&mut self, key: &str, shift: bool) {
        for kind in ["keyDown", "keyUp"] {
            let mut event =
                json!({ "type": kind, "key": key, "modifiers": if shift { 8 } else { 0 } });
            if kind == "keyDown" && key.chars().count() == 1 {
                event["text"] = json!(key);
            }
            self.call("Input.dispatchKeyEvent", event);
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
