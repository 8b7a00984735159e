//! Which requests are answered: those of a browser that shows the page itself.
//!
//! A page from elsewhere cannot read this one through a name that it lets point here (DNS rebinding): the `Host` that the
//! browser asks for has to be this one's own. And no page from elsewhere may ask at all, which `Origin` tells.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// What the page may do: run its own scripts, and ask its own server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The names under which the page is reached: `127.0.0.1:8088`, `localhost:8088`.
#[derive(Debug, Clone)]
pub(super) struct Names(Arc<[String; 2]>);

impl Names {
    /// Those on a port of this machine.
    pub(super) fn of(port: u16) -> Self {
        Self(Arc::new([format!("127.0.0.1:{port}"), format!("localhost:{port}")]))
    }

    /// Whether a request with these headers is of the page itself.
    fn allow(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.is_some_and(|host| self.0.iter().any(|name| name == host));
        let origin = headers.get(header::ORIGIN).is_none_or(|origin| {
            let name = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
            name.is_some_and(|name| self.0.iter().any(|own| own == name))
        });
        host && origin
    }
}

/// Refuses what is not of the page itself, and says to browsers what the page may do.
pub(super) async fn guard(State(names): State<Names>, request: Request, next: Next) -> Response {
    if !names.allow(request.headers()) {
        let text = format!("khd shows this page at http://{} only\n", names.0[0]);
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // A report brings a policy of its own, which names its script.
    let policy = HeaderValue::from_static(POLICY);
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(policy);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_page_itself_is_answered() {
        let names = Names::of(8088);
        let headers = |host: Option<&'static str>, origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
                value.map(|value| headers.insert(name, HeaderValue::from_static(value)));
            }
            headers
        };
        for (host, origin, allowed) in [
            (Some("127.0.0.1:8088"), None, true),
            (Some("localhost:8088"), Some("http://localhost:8088"), true),
            (None, None, false),
            (Some("evil.example:8088"), None, false),
            (Some("127.0.0.1:80"), None, false),
            (Some("127.0.0.1:8088"), Some("http://evil.example"), false),
            (Some("127.0.0.1:8088"), Some("https://127.0.0.1:8088"), false),
            (Some("127.0.0.1:8088"), Some("null"), false),
        ] {
            assert_eq!(names.allow(&headers(host, origin)), allowed, "{host:?} {origin:?}");
        }
    }
}
