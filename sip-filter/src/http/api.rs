//! What is answered: which path leads where, and the header fields of every answer.

use std::{num::NonZeroUsize, sync::Arc};

use anyhow::Result;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::Bytes,
    header::{
        ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
        HeaderValue, REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};

use super::{
    auth::Guard,
    exposition::Text,
    metrics, page,
    readings::{BRIEF, Readings, document},
};

type Answer = Response<Full<Bytes>>;

/// Nothing that is shown here runs but what comes from here, and nobody frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What every answer says.
const SECURITY: [(HeaderName, &str); 6] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (X_FRAME_OPTIONS, "DENY"),
    (CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// What is read of the filter, beside the files of the page.
const PATHS: [&str; 6] = [
    "/metrics",
    "/healthz",
    "/api/v1/stats",
    "/api/v1/status",
    "/api/v1/series",
    "/api/v1/events",
];

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// Answers a request.
pub(super) async fn answer<B>(request: &Request<B>, guard: &Guard, readings: &Readings) -> Answer {
    let mut answer = match guard.admit(request.uri(), request.headers()) {
        Ok(()) => routed(request, readings).await,
        Err(status) => refused(status),
    };
    for (name, value) in SECURITY {
        let value = HeaderValue::from_static(value);
        answer.headers_mut().insert(name, value);
    }
    answer
}

async fn routed<B>(request: &Request<B>, readings: &Readings) -> Answer {
    let path = request.uri().path();
    let file = page::file(path);
    let is_known = file.is_some() || PATHS.contains(&path);
    if !is_known {
        return text(StatusCode::NOT_FOUND, "nothing is here; / says what is\n");
    }
    // What HEAD has no body, hyper sees to.
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD alone\n");
        let allowed = HeaderValue::from_static("GET, HEAD");
        answer.headers_mut().insert(ALLOW, allowed);
        return answer;
    }
    if let Some(page::File { kind, text }) = file {
        return of(StatusCode::OK, kind, Bytes::from_static(text.as_bytes()));
    }
    let answered = match path {
        "/metrics" => {
            let accepted = request.headers().get(ACCEPT);
            let format = Text::accepted(accepted.and_then(|accepted| accepted.to_str().ok()));
            let text = metrics(readings, format).await;
            text.map(|text| of(StatusCode::OK, format.content_type(), text.into()))
        }
        "/healthz" => health(readings).await,
        "/api/v1/stats" | "/api/v1/events" => match (top(request.uri()), path) {
            (Err(reason), _) => Ok(text(StatusCode::BAD_REQUEST, reason)),
            (Ok(top), "/api/v1/stats") => json(stats(readings, top).await),
            (Ok(top), _) => json(readings.events(top.map_or(usize::MAX, NonZeroUsize::get))),
        },
        "/api/v1/status" => json(status(readings).await),
        _ => json(readings.series().await),
    };
    answered.unwrap_or_else(|error| {
        let reason = format!("{error:#}\n");
        of(StatusCode::SERVICE_UNAVAILABLE, PLAIN, reason.into())
    })
}

/// Whoever asks for a token is told how to show it.
fn refused(status: StatusCode) -> Answer {
    match status {
        StatusCode::UNAUTHORIZED => {
            let mut answer = text(
                status,
                "the token is asked for that --http-token-file or `token_file` names: send it as \
                 `Authorization: Bearer TOKEN`, or as the password of any user\n",
            );
            let how = HeaderValue::from_static("Basic realm=\"sip-filter\", charset=\"UTF-8\"");
            answer.headers_mut().insert(WWW_AUTHENTICATE, how);
            answer
        }
        StatusCode::MISDIRECTED_REQUEST => text(
            status,
            "this answers to localhost and its own address alone, unless it asks for a token\n",
        ),
        _ => text(status, "a request names one host\n"),
    }
}

async fn metrics(readings: &Readings, format: Text) -> Result<String> {
    let counted = readings.brief().await.map_err(shared)?;
    let in_force = readings.in_force().await.map_err(shared)?;
    metrics::encode(format, &counted, &in_force, &readings.missing())
}

async fn health(readings: &Readings) -> Result<Answer> {
    let health = readings.health().await.map_err(shared)?;
    let (status, lines) = match &*health {
        Ok(lines) => (StatusCode::OK, lines),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason),
    };
    Ok(of(status, PLAIN, lines.clone().into()))
}

async fn stats(readings: &Readings, top: Option<NonZeroUsize>) -> Result<Bytes> {
    match top.map(NonZeroUsize::get) {
        Some(top @ ..=BRIEF) => readings.brief().await.map_err(shared)?.top(top),
        Some(top) => readings.counted().await.map_err(shared)?.top(top),
        None => readings.counted().await.map_err(shared)?.document(),
    }
}

async fn status(readings: &Readings) -> Result<Bytes> {
    document(&*readings.in_force().await.map_err(shared)?)
}

/// How many sources or events are asked for, by `?top=N`.
fn top(uri: &Uri) -> Result<Option<NonZeroUsize>, &'static str> {
    let Some(query) = uri.query() else {
        return Ok(None);
    };
    let top = query.strip_prefix("top=").and_then(|top| top.parse().ok());
    top.map(Some)
        .ok_or("the one thing to ask for is ?top=N, N from 1 on\n")
}

/// An error that others were told too.
fn shared(error: Arc<anyhow::Error>) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}

fn json(document: Result<Bytes>) -> Result<Answer> {
    document.map(|document| of(StatusCode::OK, JSON, document))
}

fn text(status: StatusCode, text: &'static str) -> Answer {
    of(status, PLAIN, Bytes::from_static(text.as_bytes()))
}

fn of(status: StatusCode, kind: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}
