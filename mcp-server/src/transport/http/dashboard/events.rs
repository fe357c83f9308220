//! The status as it changes, for whoever looks: one status a second for all of them together, and
//! none while nobody looks.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{body::Body, extract::Request, response::Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, StatusCode, header};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Interval, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::caller;
use crate::{
    auth::{Caller, Scope},
    monitoring::Status,
    transport::http::{body, ending::Ending},
};

/// How often each viewer gets a status.
const EVERY: Duration = Duration::from_secs(1);
/// A status that is younger is sent to the next viewer, too.
const FRESH: Duration = Duration::from_millis(900);
/// What a browser sends with what a page of another site has asked for.
const SITE: &str = "sec-fetch-site";

/// Tells the status.
pub(super) type Source = Arc<dyn Fn() -> Status + Send + Sync>;

/// One status, for all who look.
struct Sample {
    status: Status,
    /// As who looks after the server gets it.
    event: Bytes,
}

/// Streams of the status.
pub(super) struct Events {
    source: Source,
    /// The last status, and when it was made.
    latest: Mutex<Option<(Instant, Arc<Sample>)>>,
    viewers: Arc<Semaphore>,
    /// Ends the streams.
    end: CancellationToken,
}

impl Events {
    pub(super) fn new(source: Source, viewers_max: usize, end: CancellationToken) -> Self {
        Self {
            source,
            latest: Mutex::new(None),
            viewers: Arc::new(Semaphore::new(viewers_max)),
            end,
        }
    }

    /// Answers with a stream that lasts for as long as somebody reads it.
    pub(super) fn open(self: &Arc<Self>, request: &Request) -> Response {
        // Another page could not read it, and yet take a viewer's place.
        if request.headers().get(SITE) == Some(&HeaderValue::from_static("cross-site"))
            && !request.headers().contains_key(header::ORIGIN)
        {
            return body::plain(StatusCode::FORBIDDEN, "other sites may not look here");
        }
        let Ok(place) = self.viewers.clone().try_acquire_owned() else {
            let says =
                "too many look at once: close a dashboard, or raise http.dashboard.viewers_max";
            let mut refusal = body::plain(StatusCode::SERVICE_UNAVAILABLE, says);
            let wait = HeaderValue::from_static("5");
            refusal.headers_mut().insert(header::RETRY_AFTER, wait);
            return refusal;
        };
        let viewer = Viewer::new(self.clone(), caller(request.extensions()), place);
        let events = stream::unfold(viewer, |mut viewer| async move {
            let event = viewer.next().await;
            Some((Ok::<_, Infallible>(event), viewer))
        });
        let body = Ending::new(
            Body::from_stream(events),
            self.end.clone().cancelled_owned(),
        );
        let mut response = body::response(StatusCode::OK, "text/event-stream", Body::new(body));
        let no_store = HeaderValue::from_static("no-store");
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, no_store);
        response
    }

    /// The status of this moment, or one that is hardly older, as far as the caller may know it.
    fn event(&self, now: Instant, caller: &Caller) -> Bytes {
        let sample = self.sample(now);
        if caller.scope == Scope::Admin {
            return sample.event.clone();
        }
        written(&sample.status.clone().seen_by(&caller.owner, caller.scope))
    }

    fn sample(&self, now: Instant) -> Arc<Sample> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, sample)) = &*latest
            && now.saturating_duration_since(*at) < FRESH
        {
            return sample.clone();
        }
        let status = (self.source)();
        let event = written(&status);
        let sample = Arc::new(Sample { status, event });
        *latest = Some((now, sample.clone()));
        sample
    }
}

fn written(status: &Status) -> Bytes {
    // Names and numbers only: there is nothing that JSON cannot hold.
    let json = serde_json::to_vec(status).unwrap_or_default();
    Bytes::from([b"data: ", json.as_slice(), b"\n\n"].concat())
}

/// One who looks. Dropping it gives the place back.
struct Viewer {
    events: Arc<Events>,
    caller: Caller,
    ticks: Interval,
    _place: OwnedSemaphorePermit,
}

impl Viewer {
    fn new(events: Arc<Events>, caller: Caller, place: OwnedSemaphorePermit) -> Self {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self {
            events,
            caller,
            ticks,
            _place: place,
        }
    }

    /// The next event; the first one is there at once.
    async fn next(&mut self) -> Bytes {
        let now = self.ticks.tick().await;
        self.events.event(now, &self.caller)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http_body_util::BodyExt;

    use super::*;
    use crate::{
        client::Clients,
        monitoring::{Monitor, MonitoringConfig, Recorder, Sources},
        telemetry::SlowOperations,
    };

    fn events(viewers_max: usize) -> (Arc<Events>, Arc<AtomicUsize>, CancellationToken) {
        let made = Arc::new(AtomicUsize::new(0));
        let end = CancellationToken::new();
        let count = made.clone();
        let monitor = Monitor::new(
            MonitoringConfig::default(),
            Sources {
                recorder: Arc::new(Recorder::new(Duration::from_secs(60))),
                parts: Vec::new(),
                checks: Vec::new(),
                slow: Arc::new(SlowOperations::new(&Default::default())),
                clients: Clients::default(),
                http: Default::default(),
                courier: None,
                rollups: None,
                reports: None,
            },
        );
        let source: Source = Arc::new(move || {
            let mut status = monitor.status();
            status.uptime_ms = count.fetch_add(1, Ordering::SeqCst) as u64;
            status
        });
        (
            Arc::new(Events::new(source, viewers_max, end.clone())),
            made,
            end,
        )
    }

    fn open(events: &Arc<Events>, headers: &[(&str, &str)]) -> Response {
        let mut request = Request::new(Body::empty());
        for (name, value) in headers {
            let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        events.open(&request)
    }

    async fn next(response: &mut Response) -> Option<String> {
        let frame = response.body_mut().frame().await?.unwrap();
        Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn all_viewers_share_a_status_and_without_them_there_is_none() {
        let (events, made, _) = events(4);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(made.load(Ordering::SeqCst), 0);
        let mut viewers: Vec<_> = (0..4).map(|_| open(&events, &[])).collect();
        for number in 0..3 {
            for viewer in &mut viewers {
                let event = next(viewer).await.unwrap();
                let numbered = format!("\"uptime_ms\":{number},");
                assert!(
                    event.starts_with("data: {") && event.contains(&numbered),
                    "{event}"
                );
                assert!(event.ends_with("}\n\n"), "{event}");
            }
        }
        assert_eq!(made.load(Ordering::SeqCst), 3);
        drop(viewers);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(made.load(Ordering::SeqCst), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn viewers_are_bounded_and_a_place_comes_back() {
        let (events, _, _) = events(1);
        let first = open(&events, &[]);
        assert_eq!(first.status(), StatusCode::OK);
        let refused = open(&events, &[]);
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.headers().contains_key(header::RETRY_AFTER));
        drop(first);
        assert_eq!(open(&events, &[]).status(), StatusCode::OK);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_server_ends_the_streams() {
        let (events, _, end) = events(1);
        let mut viewer = open(&events, &[]);
        assert!(next(&mut viewer).await.is_some());
        end.cancel();
        assert_eq!(next(&mut viewer).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn other_sites_take_no_place() {
        let (events, _, _) = events(1);
        let refused = open(&events, &[(SITE, "cross-site")]);
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert_eq!(
            open(&events, &[(SITE, "same-origin")]).status(),
            StatusCode::OK
        );
    }
}
