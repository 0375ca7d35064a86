//! `msn data label`: a page on this machine on which test videos' anomalies are marked.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, anyhow};
use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use camino::{Utf8Path, Utf8PathBuf};
use msn_data::{
    Color, DataSet, Extent, FrameSpan, LabelSpan, LoadOptions, LoadedVideo, Size, Video,
    write_events,
};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, runtime, sync::mpsc, task};

use crate::args::{LayoutArgs, StoreArgs};

/// Largest side of a picture on the page, pixels.
const SIDE: u32 = 480;

const PAGE: &str = include_str!("label.html");

pub(crate) fn label(
    dir: &Utf8Path,
    port: u16,
    layout: &LayoutArgs,
    store: &StoreArgs,
) -> Result<()> {
    let set = DataSet::open(dir, &layout.options(None)?)?;
    if set.test.is_empty() {
        return Err(anyhow!(
            "{dir} has no test videos to label: put them into {dir}/test"
        ));
    }
    let file = dir.join("events.csv");
    if let Some(labels) = &set.labels
        && !labels.paths.contains(&file)
    {
        return Err(anyhow!(
            "{dir} has labels already ({}), which come before events.csv: move them away to make new ones",
            labels.paths[0]
        ));
    }
    eprintln!("reading {} test videos", set.test.len());
    let mut marked = Vec::new();
    let store = store.store();
    for video in &set.test {
        let options = LoadOptions::new(page_size(video)?, Color::Rgb);
        for frames in store.load(std::slice::from_ref(video), &options)? {
            for warning in &frames.warnings {
                eprintln!("warning: {warning}");
            }
            let spans = match &video.labels {
                Some(labels) => labels.resolve(&frames)?.spans,
                None => Vec::new(),
            };
            marked.push(Marked {
                frames: Arc::new(frames),
                spans,
            });
        }
    }
    let (quit, quitting) = mpsc::channel(1);
    let session = Arc::new(Session {
        name: set.name.clone(),
        file,
        videos: Mutex::new(marked),
        quit,
    });
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(serve(session, port, quitting))
}

/// A video's size on the page: its own proportions, within [`SIDE`].
fn page_size(video: &Video) -> Result<Size> {
    let size = msn_video::open(&video.source, &msn_video::Options::default())?
        .info()
        .size;
    let share = f64::from(SIDE) / f64::from(size.width.max(size.height));
    let side = |pixels: u32| -> u32 {
        let scaled = (f64::from(pixels) * share.min(1.0)).round().max(1.0);
        // At most SIDE.
        scaled as u32
    };
    Ok(Size::new(side(size.width), side(size.height)))
}

struct Session {
    name: String,
    file: Utf8PathBuf,
    videos: Mutex<Vec<Marked>>,
    quit: mpsc::Sender<()>,
}

struct Marked {
    frames: Arc<LoadedVideo>,
    spans: Vec<FrameSpan>,
}

impl Marked {
    /// The spans as they are written: in seconds, from half a step before the first frame to half a
    /// step after the last, or in frames of the source, which the page may show at another rate.
    fn of_source(&self, timed: bool) -> Vec<LabelSpan> {
        let frames = &self.frames;
        let step = frames.rate_hz.map_or(0.0, |hz| 1.0 / hz);
        let known = |at: usize| frames.seconds[at];
        let spans = self.spans.iter().map(|span| {
            // A lost frame has no time: its neighbours do.
            let first = (span.start..span.end).find_map(known);
            let last = (span.start..span.end).rev().find_map(known);
            let extent = match (first, last, &frames.resampled) {
                (Some(first), Some(last), _) if timed => {
                    Extent::Seconds((first - step / 2.0).max(0.0)..last + step / 2.0)
                }
                (_, _, Some(resampled)) => {
                    let shows = &resampled.source_index;
                    Extent::Frames(shows[span.start]..shows[span.end - 1] + 1)
                }
                _ => Extent::Frames(span.start..span.end),
            };
            let kind = span.kind.clone();
            LabelSpan { extent, kind }
        });
        spans.collect()
    }
}

/// A span as the page has it: frames, end exclusive.
#[derive(Serialize, Deserialize)]
struct PageSpan {
    start: usize,
    end: usize,
    #[serde(default)]
    kind: String,
}

#[derive(Serialize)]
struct PageVideo {
    name: String,
    frames: usize,
    seconds: Vec<Option<f64>>,
    rate_hz: Option<f64>,
    spans: Vec<PageSpan>,
}

#[derive(Serialize)]
struct PageSet {
    name: String,
    file: String,
    videos: Vec<PageVideo>,
}

type Shared = State<Arc<Session>>;

async fn serve(session: Arc<Session>, port: u16, mut quitting: mpsc::Receiver<()>) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(|e| {
        anyhow!("port {port} of 127.0.0.1 can't be opened: {e}; give another --port")
    })?;
    let address = listener.local_addr()?;
    let hosts = [address.to_string(), format!("localhost:{}", address.port())];
    let file = session.file.clone();
    let app = Router::new()
        .route("/", get(async || Html(PAGE)))
        .route("/videos", get(videos))
        .route("/videos/{video}/frames/{frame}", get(frame))
        .route("/videos/{video}/spans", post(spans))
        .route("/quit", post(quit))
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            local(hosts.clone(), request, next)
        }))
        .with_state(session);
    println!("http://{address} marks spans in {file}; Ctrl-C or the page's button ends it");
    axum::serve(listener, app)
        .with_graceful_shutdown(async move {
            let _ = quitting.recv().await;
        })
        .await?;
    Ok(())
}

/// Refuses what other pages in the same browser send here.
async fn local(hosts: [String; 2], request: Request, next: Next) -> Response {
    if is_ours(&hosts, request.headers()) {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, "this page is for this machine alone").into_response()
    }
}

fn is_ours(hosts: &[String], headers: &HeaderMap) -> bool {
    let says = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = says(header::HOST).unwrap_or_default();
    let known = |address: &str| hosts.iter().any(|h| h == address);
    let origin = says(header::ORIGIN).map(|o| o.strip_prefix("http://").unwrap_or_default());
    known(host) && origin.is_none_or(known)
}

async fn videos(State(session): Shared) -> Json<PageSet> {
    let videos = session
        .videos
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let page = |video: &Marked| PageVideo {
        name: video.frames.name.clone(),
        frames: video.frames.frames(),
        seconds: video.frames.seconds.clone(),
        rate_hz: video.frames.rate_hz,
        spans: video.spans.iter().map(page_span).collect(),
    };
    Json(PageSet {
        name: session.name.clone(),
        file: session.file.to_string(),
        videos: videos.iter().map(page).collect(),
    })
}

fn page_span(span: &FrameSpan) -> PageSpan {
    PageSpan {
        start: span.start,
        end: span.end,
        kind: span.kind.clone().unwrap_or_default(),
    }
}

/// A frame as JPEG.
async fn frame(
    State(session): Shared,
    Path((video, frame)): Path<(usize, usize)>,
) -> Result<impl IntoResponse, (StatusCode, String)> {
    let frames = {
        let videos = session
            .videos
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        videos.get(video).map(|v| Arc::clone(&v.frames))
    };
    let frames = frames
        .filter(|f| frame < f.frames())
        .ok_or((StatusCode::NOT_FOUND, "no such frame".to_owned()))?;
    let failed = |e: String| (StatusCode::INTERNAL_SERVER_ERROR, e);
    // Decoding may take its time; spans are taken meanwhile.
    let jpeg = task::spawn_blocking(move || jpeg(&frames, frame))
        .await
        .map_err(|e| failed(e.to_string()))?
        .map_err(|e| failed(e.to_string()))?;
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("image/jpeg"),
    );
    Ok((headers, jpeg))
}

fn jpeg(frames: &LoadedVideo, frame: usize) -> Result<Vec<u8>> {
    let mut jpeg = std::io::Cursor::new(Vec::new());
    image::write_buffer_with_format(
        &mut jpeg,
        &frames.frame(frame)?,
        frames.size.width,
        frames.size.height,
        image::ColorType::Rgb8,
        image::ImageFormat::Jpeg,
    )?;
    Ok(jpeg.into_inner())
}

/// Takes a video's spans and writes them all.
async fn spans(
    State(session): Shared,
    Path(video): Path<usize>,
    Json(spans): Json<Vec<PageSpan>>,
) -> Result<(), (StatusCode, String)> {
    let mut videos = session
        .videos
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let wrong = |e: &str| (StatusCode::BAD_REQUEST, e.to_owned());
    let marked = videos.get_mut(video).ok_or(wrong("no such video"))?;
    let frames = marked.frames.frames();
    if spans.iter().any(|s| s.start >= s.end || s.end > frames) {
        return Err(wrong("a span lies outside of its video"));
    }
    let mut spans: Vec<FrameSpan> = spans
        .into_iter()
        .map(|span| FrameSpan {
            start: span.start,
            end: span.end,
            kind: Some(span.kind.trim().to_owned()).filter(|kind| !kind.is_empty()),
        })
        .collect();
    spans.sort_by_key(|span| (span.start, span.end));
    let before = std::mem::replace(&mut marked.spans, spans);
    let timed = videos
        .iter()
        .all(|v| v.frames.seconds.iter().any(Option::is_some));
    let of_source: Vec<Vec<LabelSpan>> = videos.iter().map(|v| v.of_source(timed)).collect();
    let names = videos.iter().map(|v| v.frames.name.as_str());
    let all = names.zip(of_source.iter().map(Vec::as_slice));
    let written = write_events(&session.file, all);
    written.map_err(|error| {
        videos[video].spans = before;
        (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    })
}

async fn quit(State(session): Shared) {
    let _ = session.quit.try_send(());
}
