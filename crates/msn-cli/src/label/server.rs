//! The page's side of this machine.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Result, anyhow};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, RawQuery, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, runtime, sync::mpsc, task};

use super::{
    curve::{Curve, Scores},
    film::{Film, FilmInfo, Player, Shown, Wanted},
    spans::{PageSpan, Saved, SpanFile, VideoSpans},
};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Videos whose decoders stay open: what stays in memory is a few frames of each.
const PLAYERS: usize = 2;
/// How long answers that are under way may take once the page has said that it is done.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

type Seat = Arc<Mutex<Option<Player>>>;

/// What a page works on.
pub(super) struct Session {
    pub name: String,
    pub films: Vec<Film>,
    pub file: SpanFile,
    pub scores: Option<Scores>,
    /// One page at a time reads the file and writes it.
    saving: Mutex<()>,
    /// The latest last.
    players: Mutex<Vec<(usize, Seat)>>,
}

impl Session {
    pub fn new(name: String, films: Vec<Film>, file: SpanFile, scores: Option<Scores>) -> Self {
        Self {
            name,
            films,
            file,
            scores,
            saving: Mutex::new(()),
            players: Mutex::new(Vec::new()),
        }
    }

    /// The place of a video's decoder, of which only the latest few stay.
    fn seat(&self, video: usize) -> Seat {
        let mut seats = self.players.lock().unwrap_or_else(PoisonError::into_inner);
        let at = seats.iter().position(|(v, _)| *v == video);
        let seat = at.map_or_else(Seat::default, |at| seats.remove(at).1);
        if seats.len() == PLAYERS {
            seats.remove(0);
        }
        seats.push((video, Arc::clone(&seat)));
        seat
    }

    fn show(&self, video: usize, wanted: Wanted) -> Result<Shown> {
        let film = &self.films[video];
        let seat = self.seat(video);
        let mut player = seat.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = match player.as_mut() {
            Some(player) => player.show(film, wanted),
            None => player.insert(Player::open(film)?).show(film, wanted),
        };
        if shown.is_err() {
            // Whatever state it is in, the next frame is looked for from the start.
            *player = None;
        }
        shown
    }
}

/// Why a request is not served.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

impl From<anyhow::Error> for Refused {
    fn from(error: anyhow::Error) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

#[derive(Serialize)]
struct PageSet<'a> {
    name: &'a str,
    file: &'a str,
    videos: Vec<&'a str>,
}

#[derive(Serialize)]
struct PageVideo {
    #[serde(flatten)]
    info: FilmInfo,
    #[serde(flatten)]
    spans: VideoSpans,
    curve: Option<Curve>,
}

/// Spans to be written, and those that the page started from.
#[derive(Deserialize)]
struct Save {
    version: String,
    spans: Vec<PageSpan>,
}

type Shared = State<Arc<Session>>;

/// Serves the page until it says that it is done. `said` hears its address.
pub(super) fn run(session: Session, port: u16, said: impl FnOnce(&str)) -> Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let ended = runtime.block_on(serve(Arc::new(session), port, said));
    // A decoder that still works on a frame that nobody wants is left alone.
    runtime.shutdown_background();
    ended
}

async fn serve(session: Arc<Session>, port: u16, said: impl FnOnce(&str)) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(|e| {
        anyhow!("port {port} of 127.0.0.1 can't be opened: {e}; give another --port")
    })?;
    let port = listener.local_addr()?.port();
    let mut hosts = vec![format!("127.0.0.1:{port}"), format!("localhost:{port}")];
    // Browsers leave the usual port out.
    if port == 80 {
        hosts.extend(["127.0.0.1".to_owned(), "localhost".to_owned()]);
    }
    let hosts = Arc::new(hosts);
    let (quit, mut quitting) = mpsc::channel::<()>(1);
    let text = |kind: &'static str, text: &'static str| {
        get(async move || ([(header::CONTENT_TYPE, kind)], text))
    };
    let app = Router::new()
        .route("/", text("text/html; charset=utf-8", PAGE))
        .route("/page.css", text("text/css; charset=utf-8", STYLE))
        .route("/page.js", text("text/javascript; charset=utf-8", SCRIPT))
        .route("/videos", get(videos))
        .route("/videos/{video}", get(video))
        .route("/videos/{video}/picture", get(picture))
        .route("/videos/{video}/spans", post(spans))
        .route(
            "/quit",
            post(async move || {
                let _ = quit.try_send(());
            }),
        )
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            local(Arc::clone(&hosts), request, next)
        }))
        .with_state(session);
    said(&format!("127.0.0.1:{port}"));
    let (over, mut is_over) = mpsc::channel::<()>(1);
    let graceful = axum::serve(listener, app).with_graceful_shutdown(async move {
        let _ = quitting.recv().await;
        // A client that hangs does not hold up the end.
        std::thread::spawn(move || {
            std::thread::sleep(LAST_ANSWERS);
            let _ = over.blocking_send(());
        });
    });
    let mut graceful = std::pin::pin!(graceful.into_future());
    std::future::poll_fn(|context| {
        if let std::task::Poll::Ready(ended) = graceful.as_mut().poll(context) {
            return std::task::Poll::Ready(ended);
        }
        match is_over.poll_recv(context) {
            // The sender is gone with the future that is awaited.
            std::task::Poll::Ready(Some(())) => std::task::Poll::Ready(Ok(())),
            _ => std::task::Poll::Pending,
        }
    })
    .await?;
    Ok(())
}

/// Refuses what other pages in the same browser send here.
async fn local(hosts: Arc<Vec<String>>, request: Request, next: Next) -> Response {
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

async fn videos(State(session): Shared) -> Response {
    let set = PageSet {
        name: &session.name,
        file: session.file.path.as_str(),
        videos: session
            .films
            .iter()
            .map(|f| f.video.name.as_str())
            .collect(),
    };
    Json(set).into_response()
}

/// Does what may take its time where it holds up no other answer.
async fn apart<T: Send + 'static>(
    session: Arc<Session>,
    video: usize,
    work: impl FnOnce(&Session) -> Result<T> + Send + 'static,
) -> Result<T, Refused> {
    if video >= session.films.len() {
        return Err(Refused(StatusCode::NOT_FOUND, "no such video".to_owned()));
    }
    let done = task::spawn_blocking(move || work(&session)).await;
    Ok(done.map_err(|e| anyhow!("{e}"))??)
}

async fn video(
    State(session): Shared,
    Path(video): Path<usize>,
) -> Result<Json<PageVideo>, Refused> {
    let page = apart(session, video, move |session| {
        let film = &session.films[video];
        let info = film.info()?;
        let scores = session.scores.as_ref();
        let curve = scores.and_then(|scores| scores.curve(&film.video.name, &info));
        let guard = session
            .saving
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let spans = session.file.read(&session.films, video)?;
        drop(guard);
        Ok(PageVideo { info, spans, curve })
    });
    Ok(Json(page.await?))
}

/// A frame as JPEG; `x-at` is its position, and the last one has `x-last`.
async fn picture(
    State(session): Shared,
    Path(video): Path<usize>,
    RawQuery(place): RawQuery,
) -> Result<Response, Refused> {
    let wanted = place.as_deref().and_then(wanted).ok_or_else(|| {
        let text = "give one of at=, after= and before= with a position".to_owned();
        Refused(StatusCode::BAD_REQUEST, text)
    })?;
    let shown = apart(session, video, move |session| session.show(video, wanted)).await?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let at = HeaderValue::from_str(&format!("{:.6}", shown.at)).map_err(|e| anyhow!(e))?;
    headers.insert("x-at", at);
    if shown.last {
        headers.insert("x-last", HeaderValue::from_static("1"));
    }
    Ok((headers, shown.jpeg).into_response())
}

/// Which frame a query names.
fn wanted(query: &str) -> Option<Wanted> {
    let (name, at) = query.split_once('=')?;
    let at = at.parse::<f64>().ok().filter(|at| at.is_finite())?;
    match name {
        "at" => Some(Wanted::At(at)),
        "after" => Some(Wanted::After(at)),
        "before" => Some(Wanted::Before(at)),
        _ => None,
    }
}

/// Takes a video's spans and writes them.
async fn spans(
    State(session): Shared,
    Path(video): Path<usize>,
    body: Bytes,
) -> Result<Response, Refused> {
    let wrong = |e: serde_json::Error| Refused(StatusCode::BAD_REQUEST, e.to_string());
    let save: Save = serde_json::from_slice(&body).map_err(wrong)?;
    let saved = apart(session, video, move |session| {
        let _guard = session
            .saving
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let spans = &save.spans;
        session
            .file
            .save(&session.films, video, &save.version, spans)
    });
    Ok(match saved.await? {
        Saved::Done(now) => Json(now).into_response(),
        Saved::Conflict(now) => (StatusCode::CONFLICT, Json(now)).into_response(),
    })
}
