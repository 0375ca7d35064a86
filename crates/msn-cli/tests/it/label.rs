//! `msn data label` in a real browser.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use assert_cmd::cargo::cargo_bin;
use camino::Utf8Path;
use serde_json::{Value, json};

use crate::{browser::Page, msn, stdout, temporary};

/// A labelling program that is at work.
struct Labelling {
    process: Child,
    /// `127.0.0.1:PORT`.
    address: String,
}

impl Labelling {
    fn start(dir: &Utf8Path, more: &[&str]) -> Self {
        let mut process = Command::new(cargo_bin("msn"))
            .current_dir(dir)
            .args(["data", "label", "set"])
            .args(more)
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

impl Labelling {
    /// The JSON of an answer that must be one.
    fn json(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, &format!("host: {}\r\n", self.address), "");
        assert!(status.contains("200"), "{path}: {status}");
        serde_json::from_slice(&body).unwrap()
    }

    /// The status of a save of spans that began from a version, and the answer.
    fn save(&self, video: usize, version: &Value, spans: Value) -> (String, String) {
        let ours = format!("host: {}\r\n", self.address);
        let body = json!({ "version": version, "spans": spans }).to_string();
        let (status, answer) = self.ask("POST", &format!("/videos/{video}/spans"), &ours, &body);
        (status, String::from_utf8_lossy(&answer).into_owned())
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

const SAVED: &str = "document.getElementById('state').textContent.startsWith('saved')";

#[test]
fn spans_are_marked_with_the_keyboard_and_written() {
    let (_guard, dir) = temporary();
    set(&dir);
    let mut labelling = Labelling::start(&dir, &[]);
    let Some(mut page) = Page::open(&format!("http://{}/", labelling.address)) else {
        return;
    };
    page.wait_for("document.body.dataset.at === '0'");
    page.wait_for("document.getElementById('picture').naturalWidth === 64");
    // Frames 3 to 12 of the first video, then a kind for it.
    for at in 1..4 {
        page.press("ArrowRight");
        page.wait_for(&format!("document.body.dataset.at === '{at}'"));
    }
    page.press("s");
    page.press_with("ArrowRight", true);
    page.wait_for("document.body.dataset.at === '13' && fetching === null");
    page.press("ArrowLeft");
    page.wait_for("document.body.dataset.at === '12'");
    page.wait_for("document.querySelectorAll('#timeline .open').length === 1");
    page.press("e");
    page.wait_for(SAVED);
    assert_eq!(
        events(&dir),
        "video,start_frame,end_frame,kind\n./01,3,13,\n"
    );
    page.press("k");
    for key in ["c", "a", "r", "t"] {
        page.press(key);
    }
    page.press("Enter");
    page.wait_for(&format!("film.spans[0].kind === 'cart' && {SAVED}"));
    // A second span in the next video, and one that is taken back and put back.
    page.press("n");
    page.wait_for("document.getElementById('place').textContent.startsWith('frame 0 of 20')");
    page.press("s");
    page.press("End");
    page.wait_for("document.body.dataset.at === '19' && fetching === null");
    page.press("Home");
    page.wait_for("document.body.dataset.at === '0' && fetching === null");
    page.press_with("ArrowRight", true);
    page.wait_for("document.body.dataset.at === '10' && fetching === null");
    page.press("e");
    page.wait_for(&format!("film.spans.length === 1 && {SAVED}"));
    page.press("Delete");
    page.wait_for(&format!("film.spans.length === 0 && {SAVED}"));
    let first = "video,start_frame,end_frame,kind\n./01,3,13,cart\n";
    assert_eq!(events(&dir), first);
    page.press("u");
    page.wait_for(&format!("film.spans.length === 1 && {SAVED}"));
    assert_eq!(events(&dir), format!("{first}./02,0,11,\n"));
    // A client that hangs does not hold up the end.
    let mut hanging = TcpStream::connect(&labelling.address).unwrap();
    write!(hanging, "GET /videos/0/picture?at=0 HTTP/1.1\r\n").unwrap();
    page.value("document.getElementById('quit').click()");
    let began = Instant::now();
    assert!(labelling.process.wait().unwrap().success());
    assert!(began.elapsed() < Duration::from_secs(10));
    drop(hanging);
    // What was written is what the rest of the program reads, and what the page starts from.
    let said = stdout(msn(&dir).args(["data", "check", "set"]));
    assert!(said.contains("events.csv") && said.contains("21"), "{said}");
    let again = Labelling::start(&dir, &[]);
    assert_eq!(again.json("/videos/0")["spans"][0]["kind"], "cart");
}

#[test]
fn a_finger_marks_spans_and_drags_their_edges() {
    let (_guard, dir) = temporary();
    set(&dir);
    let labelling = Labelling::start(&dir, &["--fps", "10"]);
    let Some(mut page) = Page::open(&format!("http://{}/", labelling.address)) else {
        return;
    };
    page.become_phone();
    page.wait_for("document.getElementById('picture').naturalWidth === 64 && fetching === null");
    let tap = |page: &mut Page, key: &str| {
        page.value(&format!(
            "document.querySelector('[data-key=\"{key}\"]').click()"
        ));
    };
    page.value("seek(1)");
    page.wait_for("document.body.dataset.at === '1' && fetching === null");
    tap(&mut page, "s");
    tap(&mut page, "After");
    page.wait_for("document.body.dataset.at === '1.1' && fetching === null");
    tap(&mut page, "e");
    page.wait_for(SAVED);
    // From half a frame before the first to half a frame after the last.
    assert_eq!(events(&dir), "video,start,end,kind\n./01,0.9500,1.1500,\n");
    let edge = "document.querySelector('.edge[data-side=end]').getBoundingClientRect()";
    let of = |page: &mut Page, what: &str| page.value(&format!("{edge}.{what}")).as_f64().unwrap();
    let x = f64::midpoint(of(&mut page, "left"), of(&mut page, "right"));
    let y = f64::midpoint(of(&mut page, "top"), of(&mut page, "bottom"));
    page.drag([x, y], [x + 100.0, y]);
    page.wait_for(&format!(
        "film.spans[0].end > 1.5 && drag === null && {SAVED}"
    ));
    let text = events(&dir);
    let end: f64 = text.split(',').rev().nth(1).unwrap().parse().unwrap();
    assert!((1.8..2.1).contains(&end), "{text}");
    // Playing ends at the end; nothing is wider than the screen.
    page.value("seek(2.5)");
    page.wait_for("fetching === null");
    tap(&mut page, " ");
    page.wait_for("playing === null && Math.abs(at - 2.9) < 0.001");
    assert_eq!(page.value("document.documentElement.scrollWidth"), 390);
    tap(&mut page, "Delete");
    page.wait_for("document.getElementById('state').textContent === 'there is no span here'");
}

#[test]
fn the_curve_has_peaks_to_jump_between() {
    let (_guard, dir) = temporary();
    set(&dir);
    let mut csv = "video,frame,score\n".to_owned();
    for frame in 0..30 {
        csv += &format!("01,{frame},{}\n", if frame == 12 { 9.0 } else { 0.5 });
    }
    std::fs::write(dir.join("mine.csv"), csv).unwrap();
    let labelling = Labelling::start(&dir, &["--scores", "mine.csv"]);
    let video = labelling.json("/videos/0");
    assert_eq!(video["curve"]["peaks"], json!([12.0]));
    assert_eq!(video["curve"]["points"].as_array().unwrap().len(), 30);
    assert!(labelling.json("/videos/1")["curve"].is_null());
    let Some(mut page) = Page::open(&format!("http://{}/", labelling.address)) else {
        return;
    };
    page.wait_for("fetching === null && film !== null");
    page.wait_for("!document.getElementById('curve').hasAttribute('hidden')");
    page.press("]");
    page.wait_for("document.body.dataset.at === '12'");
    let output = msn(&dir)
        .args(["data", "label", "set", "--scores", "nothing.csv"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing.csv"));
}

#[test]
fn two_pages_and_an_edit_by_hand_lose_nothing() {
    let (_guard, dir) = temporary();
    set(&dir);
    let labelling = Labelling::start(&dir, &[]);
    // Two pages that both started from nothing.
    let [first, second] =
        [0, 1].map(|v| labelling.json(&format!("/videos/{v}"))["version"].clone());
    let span = |start: u32| json!([{ "start": start, "end": start + 2, "kind": "x" }]);
    let (status, _) = labelling.save(0, &first, span(1));
    assert!(status.contains("200"), "{status}");
    let (status, answer) = labelling.save(0, &first, span(9));
    assert!(status.contains("409"), "{status}");
    let theirs: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(theirs["spans"][0]["start"], 1.0);
    // Another video is no conflict, and neither loses the other's.
    let (status, _) = labelling.save(1, &second, span(4));
    assert!(status.contains("200"), "{status}");
    let both = "video,start_frame,end_frame,kind\n./01,1,3,x\n./02,4,6,x\n";
    assert_eq!(events(&dir), both);
    // An edit by hand, of the same video and of one that is none of the set's.
    let edited = format!("{both}./02,10,12,hand\nelsewhere,1,2,\n");
    std::fs::write(dir.join("set/events.csv"), &edited).unwrap();
    let now = labelling.json("/videos/1");
    assert_eq!(now["spans"][1]["kind"], "hand");
    let (status, _) = labelling.save(0, &theirs["version"], json!([]));
    assert!(status.contains("200"), "{status}");
    assert_eq!(events(&dir), edited.replace("./01,1,3,x\n", ""));
    // What can't be read is not written over.
    std::fs::write(dir.join("set/events.csv"), "video,start_frame\n").unwrap();
    let (status, answer) = labelling.save(1, &now["version"], json!([]));
    assert!(
        status.contains("500") && answer.contains("events.csv"),
        "{status} {answer}"
    );
    assert_eq!(events(&dir), "video,start_frame\n");
}

#[test]
fn a_conflict_is_shown_and_a_person_decides() {
    let (_guard, dir) = temporary();
    set(&dir);
    let labelling = Labelling::start(&dir, &[]);
    let Some(mut page) = Page::open(&format!("http://{}/", labelling.address)) else {
        return;
    };
    page.wait_for("film !== null && fetching === null");
    let by_hand = "video,start_frame,end_frame,kind\n01,5,7,hand\n";
    std::fs::write(dir.join("set/events.csv"), by_hand).unwrap();
    page.press("s");
    page.press("e");
    page.wait_for("document.getElementById('conflict').hidden === false");
    assert_eq!(events(&dir), by_hand);
    page.value("document.getElementById('theirs').click()");
    page.wait_for("film.spans.length === 1 && film.spans[0].kind === 'hand'");
    page.press("s");
    page.press("e");
    page.wait_for(SAVED);
    assert_eq!(
        events(&dir),
        "video,start_frame,end_frame,kind\n./01,0,1,\n./01,5,7,hand\n"
    );
}

/// A long video file is looked at from its middle without being read through.
#[test]
fn a_long_video_is_there_at_once_in_little_memory() {
    let (_guard, dir) = temporary();
    std::fs::create_dir_all(dir.join("set/test")).unwrap();
    let file = dir.join("set/test/hour.mp4");
    // An hour at two frames a second; each is 640 x 480.
    let made = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-f", "lavfi", "-i"])
        .arg("testsrc=size=640x480:rate=2:duration=3600")
        .args(["-c:v", "mpeg4", "-g", "24", "-q:v", "9"])
        .arg(file.as_std_path())
        .status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no ffmpeg on this machine");
        return;
    }
    let labelling = Labelling::start(&dir, &[]);
    let video = labelling.json("/videos/0");
    assert_eq!(video["unit"], "seconds");
    assert!(
        (video["length"].as_f64().unwrap() - 3600.0).abs() < 2.0,
        "{video}"
    );
    let ours = format!("host: {}\r\n", labelling.address);
    for (query, at) in [
        ("at=1800.2", "1800.0"),
        ("before=1800", "1799.5"),
        ("after=1800", "1800.5"),
        ("at=99999", "3599.5"),
    ] {
        let path = format!("/videos/0/picture?{query}");
        let mut stream = TcpStream::connect(&labelling.address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\n{ours}connection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        assert!(head.contains(&format!("x-at: {at}")), "{query}: {head}");
        assert_eq!(head.contains("x-last"), at == "3599.5", "{query}: {head}");
        let picture = image::load_from_memory(&answer[end + 4..]).unwrap();
        assert_eq!((picture.width(), picture.height()), (640, 480));
    }
    #[cfg(target_os = "linux")]
    {
        let status = format!("/proc/{}/status", labelling.process.id());
        let status = std::fs::read_to_string(status).unwrap();
        let peak = status
            .lines()
            .find_map(|l| l.strip_prefix("VmHWM:"))
            .unwrap();
        let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        // 7,200 frames would be 6.6 GB.
        assert!(kib < 400_000, "{kib} KiB");
    }
}

#[test]
fn only_this_machine_and_only_this_page_are_answered() {
    let (_guard, dir) = temporary();
    set(&dir);
    let labelling = Labelling::start(&dir, &[]);
    assert!(labelling.address.starts_with("127.0.0.1:"));
    let ours = format!("host: {}\r\n", labelling.address);
    let path = "/videos/0/spans";
    for (headers, status) in [
        ("host: example.org\r\n".to_owned(), "403"),
        ("host: 127.0.0.1\r\n".to_owned(), "403"),
        (format!("{ours}origin: http://example.org\r\n"), "403"),
        (
            format!("{ours}origin: http://{}\r\n", labelling.address),
            "200",
        ),
        (ours.clone(), "200"),
    ] {
        let version = labelling.json("/videos/0")["version"].clone();
        let span = json!([{ "start": 1, "end": 3, "kind": "x" }]);
        let save = json!({ "version": version, "spans": span }).to_string();
        let (line, _) = labelling.ask("POST", path, &headers, &save);
        assert!(line.contains(status), "{headers}: {line}");
    }
    let before = events(&dir);
    let version = labelling.json("/videos/0")["version"].clone();
    for spans in [
        json!([{ "start": 1, "end": 31 }]),
        json!([{ "start": 4, "end": 4 }]),
        json!([{ "start": -1, "end": 4 }]),
    ] {
        let (line, answer) = labelling.save(0, &version, spans);
        assert!(
            line.contains("500") && answer.contains("outside"),
            "{line} {answer}"
        );
    }
    for (path, body, status) in [
        (
            "/videos/9/spans",
            json!({ "version": "", "spans": [] }).to_string(),
            "404",
        ),
        (path, "nonsense".to_owned(), "400"),
    ] {
        let (line, _) = labelling.ask("POST", path, &ours, &body);
        assert!(line.contains(status), "{path} {body}: {line}");
    }
    assert_eq!(events(&dir), before);
    for (query, status) in [
        ("at=29", "200"),
        ("at=30", "200"),
        ("at=x", "400"),
        ("", "400"),
        ("at=NaN", "400"),
    ] {
        let (line, _) = labelling.ask("GET", &format!("/videos/0/picture?{query}"), &ours, "");
        assert!(line.contains(status), "{query}: {line}");
    }
}

#[test]
fn the_usual_port_is_left_out_by_browsers() {
    let (_guard, dir) = temporary();
    set(&dir);
    if std::net::TcpListener::bind("127.0.0.1:80").is_err() {
        eprintln!("skipped: port 80 can't be opened here");
        return;
    }
    let labelling = Labelling::start(&dir, &["--port", "80"]);
    for host in ["127.0.0.1", "localhost", "127.0.0.1:80"] {
        let headers = format!("host: {host}\r\norigin: http://{host}\r\n");
        let (line, _) = labelling.ask("GET", "/videos", &headers, "");
        assert!(line.contains("200"), "{host}: {line}");
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
