//! The page and what it asks for, over HTTP.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use futures_util::{Stream, StreamExt as _, stream};
use include_dir::{Dir, include_dir};
use jiff::Timestamp;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::broadcast::error::RecvError;

use super::guard::{Names, guard};
use super::site::{News, Site};
use super::state;
use crate::error::Expected;
use crate::report::catalog::{self, Recorded, Standing};
use crate::report::{Format, Judgement};
use crate::state::RunFolder;
use crate::verdicts::evidence::Evidence;

/// The page.
static PAGE: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/src/web/page");

/// Serves a site on a port of this machine, and never ends.
///
/// `listening` is called once browsers can come.
///
/// # Errors
/// When the port is taken, or the network fails.
pub async fn serve(site: Arc<Site>, address: SocketAddr, listening: impl FnOnce()) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Expected::environment(format!("cannot show the page at {address}: {error}"))
            .hint("choose another port with --port, or stop what holds this one")
    })?;
    let names = Names::of(listener.local_addr()?.port());
    let app = Router::new()
        .route("/", get(async || file("index.html")))
        .route("/page/{file}", get(async |Path(name): Path<String>| file(&name)))
        .route("/live", get(live))
        .route("/runs", get(runs))
        .route("/runs/{run}", get(report))
        .with_state(site)
        .layer(from_fn_with_state(names, guard));
    listening();
    Ok(axum::serve(listener, app).await?)
}

/// A file of the page.
fn file(name: &str) -> Response {
    let kind = match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    match PAGE.get_file(name) {
        Some(file) => ([(header::CONTENT_TYPE, kind)], file.contents()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A state, and when it was told.
#[derive(Serialize)]
struct Told<'a> {
    now: i64,
    #[serde(flatten)]
    state: &'a state::State,
}

/// What was so far, and from then on what is new.
async fn live(State(site): State<Arc<Site>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (samples, lines, news) = site.join();
    let past = stream::iter([event("history", &samples), event("feed", &lines)]);
    let mut state = site.state();
    // What holds now is news to one who comes.
    state.mark_changed();
    let states = stream::unfold(state, async |mut state| {
        state.changed().await.ok()?;
        let told = event(
            "state",
            &Told {
                now: Timestamp::now().as_millisecond(),
                state: &state.borrow_and_update(),
            },
        );
        Some((told, state))
    });
    let news = stream::unfold(news, async |mut news| {
        loop {
            match news.recv().await {
                Ok(News::Sample(sample)) => return Some((event("sample", &sample), news)),
                Ok(News::Line(line)) => return Some((event("told", &line), news)),
                // A browser that was away has a hole in its charts.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    let told = past.chain(stream::select(Box::pin(states), Box::pin(news)));
    Sse::new(told.map(Ok)).keep_alive(KeepAlive::default())
}

/// A message to the page.
fn event(name: &str, data: &impl Serialize) -> Event {
    // What the page is told can always be written as JSON.
    let json = serde_json::to_string(data).unwrap_or_default();
    Event::default().event(name).data(json)
}

/// A run, and whether its report can be shown.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    run: &'a Recorded,
    readable: bool,
}

/// The runs that were recorded, newest first.
async fn runs(State(site): State<Arc<Site>>) -> Response {
    let folder = site.runs().to_owned();
    answer(move || {
        let all = catalog::list(&folder)?;
        let runs = all.iter().filter(|run| run.verdict != Standing::NotARun);
        let listed: Vec<Listed<'_>> = runs
            .map(|run| Listed {
                readable: run.is_readable(),
                run,
            })
            .collect();
        let json = serde_json::to_string(&listed)?;
        Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
    })
    .await
}

/// The report of a run, judged anew.
async fn report(State(site): State<Arc<Site>>, Path(run): Path<String>) -> Response {
    let folder = site.runs().to_owned();
    answer(move || {
        let Some(path) = named(&folder, &run)? else {
            return Ok((StatusCode::NOT_FOUND, format!("there is no run {run}\n")).into_response());
        };
        let run = RunFolder::open(&path)?;
        let page = Judgement::of(run.name(), Evidence::load(&run)?).render(Format::Html, false)?;
        let mut response = Html(page).into_response();
        // The page itself says more, by the hash of its script.
        let policy = HeaderValue::from_static("frame-ancestors 'none'");
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
        Ok(response)
    })
    .await
}

/// The folder of a run by its name. Only what the list has is found: no name leads elsewhere.
fn named(runs: &std::path::Path, name: &str) -> anyhow::Result<Option<PathBuf>> {
    let list = catalog::list(runs)?.into_iter();
    let mut readable = list.filter(Recorded::is_readable);
    Ok(readable.find(|run| run.run == name).map(|run| run.path))
}

/// Does what takes a while beside everything else, and says what went wrong.
async fn answer(work: impl FnOnce() -> anyhow::Result<Response> + Send + 'static) -> Response {
    let done = tokio::task::spawn_blocking(work).await;
    let failed = |error: anyhow::Error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response();
    done.map_err(anyhow::Error::from)
        .and_then(|done| done)
        .unwrap_or_else(failed)
}
