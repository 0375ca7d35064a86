//! `msn data label` in a real browser.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use assert_cmd::cargo::cargo_bin;
use camino::Utf8Path;

use crate::{browser::Page, msn, stdout, temporary};

/// A labelling program that is at work.
struct Labelling {
    process: Child,
    /// `127.0.0.1:PORT`.
    address: String,
}

impl Labelling {
    fn start(dir: &Utf8Path) -> Self {
        let mut process = Command::new(cargo_bin("msn"))
            .current_dir(dir)
            .args(["data", "label", "set"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.strip_prefix("http://").expect(&line);
        let address = address.split(' ').next().unwrap().to_owned();
        Self { process, address }
    }

    /// First line and body of the answer to a request.
    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\n{headers}connection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&answer[..end]);
        let status = head.lines().next().unwrap().to_owned();
        (status, answer[end + 4..].to_vec())
    }
}

impl Drop for Labelling {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Two short test videos as folders of frames, and a training video.
fn set(dir: &Utf8Path) {
    for (folder, frames) in [("train/01", 8), ("test/01", 30), ("test/02", 20)] {
        let folder = dir.join("set").join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        for t in 0..frames {
            let picture = image::GrayImage::from_fn(64, 48, |x, y| {
                image::Luma([((x + 4 * t) % 64 * 3 + y) as u8])
            });
            picture.save(folder.join(format!("{t:03}.png"))).unwrap();
        }
    }
}

fn events(dir: &Utf8Path) -> String {
    std::fs::read_to_string(dir.join("set/events.csv")).unwrap()
}

#[test]
fn spans_are_marked_with_the_keyboard_and_written() {
    let (_guard, dir) = temporary();
    set(&dir);
    let mut labelling = Labelling::start(&dir);
    let Some(mut page) = Page::open(&format!("http://{}/", labelling.address)) else {
        return;
    };
    page.wait_for("document.body.dataset.frame === '0'");
    page.wait_for("document.getElementById('picture').naturalWidth === 64");
    // Frames 3 to 12 of the first video, then a kind for it.
    for _ in 0..3 {
        page.press("ArrowRight");
    }
    page.press("s");
    page.press_with("ArrowRight", true);
    page.press("ArrowLeft");
    page.wait_for("document.querySelectorAll('#timeline .open').length === 1");
    page.press("e");
    page.wait_for("document.getElementById('state').textContent.startsWith('saved')");
    assert_eq!(events(&dir), "video,start_frame,end_frame,kind\n01,3,13,\n");
    page.press("k");
    for key in ["c", "a", "r", "t"] {
        page.press(key);
    }
    page.press("Enter");
    page.wait_for("set.videos[0].spans[0].kind === 'cart' && document.getElementById('state').textContent.startsWith('saved')");
    // A second span in the next video, and one that is taken back and put back.
    page.press("n");
    page.wait_for("document.getElementById('place').textContent.startsWith('frame 0 of 20')");
    page.press("s");
    page.press("End");
    page.press("Home");
    page.press_with("ArrowRight", true);
    page.press("e");
    page.wait_for("set.videos[1].spans.length === 1 && document.getElementById('state').textContent.startsWith('saved')");
    page.press("Delete");
    page.wait_for("set.videos[1].spans.length === 0 && document.getElementById('state').textContent.startsWith('saved')");
    assert_eq!(
        events(&dir),
        "video,start_frame,end_frame,kind\n01,3,13,cart\n"
    );
    page.press("u");
    page.wait_for("set.videos[1].spans.length === 1 && document.getElementById('state').textContent.startsWith('saved')");
    assert_eq!(
        events(&dir),
        "video,start_frame,end_frame,kind\n01,3,13,cart\n02,0,11,\n"
    );
    page.value("document.getElementById('quit').click()");
    assert!(labelling.process.wait().unwrap().success());
    // What was written is what the rest of the program reads, and what the page starts from.
    let said = stdout(msn(&dir).args(["data", "check", "set"]));
    assert!(said.contains("events.csv") && said.contains("21"), "{said}");
    let again = Labelling::start(&dir);
    let (_, body) = again.ask(
        "GET",
        "/videos",
        &format!("host: {}\r\n", again.address),
        "",
    );
    let read: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(read["videos"][0]["spans"][0]["kind"], "cart");
}

#[test]
fn only_this_machine_and_only_this_page_are_answered() {
    let (_guard, dir) = temporary();
    set(&dir);
    let labelling = Labelling::start(&dir);
    assert!(labelling.address.starts_with("127.0.0.1:"));
    let ours = format!("host: {}\r\n", labelling.address);
    let span = r#"[{"start":1,"end":3,"kind":"x"}]"#;
    for (headers, status) in [
        ("host: example.org\r\n".to_owned(), "403"),
        (format!("{ours}origin: http://example.org\r\n"), "403"),
        (
            format!("{ours}origin: http://{}\r\n", labelling.address),
            "200",
        ),
        (ours.clone(), "200"),
    ] {
        let (line, _) = labelling.ask("POST", "/videos/0/spans", &headers, span);
        assert!(line.contains(status), "{headers}: {line}");
    }
    let before = events(&dir);
    for (path, body, status) in [
        ("/videos/0/spans", r#"[{"start":1,"end":31}]"#, "400"),
        ("/videos/0/spans", r#"[{"start":4,"end":4}]"#, "400"),
        ("/videos/9/spans", "[]", "400"),
        ("/videos/0/spans", "nonsense", "400"),
    ] {
        let (line, _) = labelling.ask("POST", path, &ours, body);
        assert!(line.contains(status), "{path} {body}: {line}");
    }
    assert_eq!(events(&dir), before);
    for (path, status) in [
        ("/videos/0/frames/29", "200"),
        ("/videos/0/frames/30", "404"),
    ] {
        let (line, _) = labelling.ask("GET", path, &ours, "");
        assert!(line.contains(status), "{path}: {line}");
    }
}

#[test]
fn labels_that_come_first_are_not_passed_over() {
    let (_guard, dir) = temporary();
    std::fs::create_dir_all(dir.join("set/train")).unwrap();
    let output = msn(&dir).args(["data", "label", "set"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("set"));
}
