//! Connections: each for one request, and none for longer than it takes a patient client.

use std::{convert::Infallible, net::TcpListener, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net, task, time};

use super::{api, auth::Guard, crowd::Crowd, readings::Readings, series};

/// How long a client may take to say what it wants.
const HEADER: Duration = Duration::from_secs(5);
/// How long a request may take in all, with the answer on its way.
const REQUEST: Duration = Duration::from_secs(60);
/// The most bytes of a request's header.
const LONGEST: usize = 16 * 1024;
/// How long to wait where no connection can be taken, for want of descriptors mostly.
const PAUSE: Duration = Duration::from_millis(200);

/// Answers for ever.
pub(super) async fn serve(listener: TcpListener, guard: Guard, readings: Arc<Readings>) {
    let listener = match net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return log::error!("HTTP is not answered: {error}"),
    };
    task::spawn(sample(Arc::clone(&readings)));
    let guard = Arc::new(guard);
    let crowd = Crowd::new();
    loop {
        let Some(mut place) = crowd.room().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, from)) if place.is_for(from.ip()) => stream,
            Ok(_) => continue,
            Err(error) => {
                log::debug!("HTTP: {error}");
                time::sleep(PAUSE).await;
                continue;
            }
        };
        let (guard, readings) = (Arc::clone(&guard), Arc::clone(&readings));
        task::spawn(async move {
            let answer = service_fn(|request| {
                let (guard, readings) = (&guard, &readings);
                async move { Ok::<_, Infallible>(api::answer(&request, guard, readings).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER)
                .max_buf_size(LONGEST)
                // A client that asks again connects again: so a connection has an end.
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), answer);
            if let Ok(Err(error)) = time::timeout(REQUEST, connection).await {
                log::debug!("HTTP: {error}");
            }
            drop(place);
        });
    }
}

/// Takes samples for the pictures, for ever.
async fn sample(readings: Arc<Readings>) {
    let mut ticks = time::interval(series::EVERY);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        readings.sample().await;
    }
}
