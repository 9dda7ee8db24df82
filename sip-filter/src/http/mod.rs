//! HTTP: what `run` answers while it watches. `/metrics` for Prometheus, JSON under `/api/v1`,
//! `/healthz`, and a page for people.
//!
//! It has a thread of its own, which reads the pinned maps as any other process would: however slow
//! its clients are and whatever they ask for, neither the filter nor `run` waits for it. [`Bound`] is
//! the address taken, before anything is attached; [`Server`] answers there from then on.

mod api;
mod auth;
mod crowd;
mod exposition;
mod metrics;
mod page;
mod readings;
mod series;
mod server;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::{Context, Result};
use auth::Guard;
use readings::Readings;
use tokio::runtime;

use crate::{config::listen::Listen, events::Feed, geoip::Current, kernel::Instance, memory};

/// The names of interfaces that the filter is to be on and is not, because they are gone.
#[derive(Clone, Debug, Default)]
struct Missing(Arc<Mutex<Vec<String>>>);

impl Missing {
    fn set(&self, names: Vec<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = names;
    }

    fn names(&self) -> Vec<String> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.clone()
    }
}

/// An address that is taken and at which nobody answers yet.
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    guard: Guard,
}

impl Bound {
    /// Takes it, and reads the token that is to be asked for.
    ///
    /// # Errors
    ///
    /// When another process has it, or the file holds no token.
    pub fn new(listen: Listen, token_file: Option<&Path>) -> Result<Self> {
        let guard = Guard::new(listen, token_file)?;
        let bind = || -> io::Result<_> {
            let listener = TcpListener::bind(listen.0)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = bind().with_context(|| {
            format!(
                "cannot answer HTTP at {listen}; `ss -ltnp` shows who has the port: name another \
                 one with --http"
            )
        })?;
        Ok(Self {
            listener,
            address,
            guard,
        })
    }

    /// Answers from now on, until the process ends, of this instance and its events; what is kept of it
    /// lies in the `state` folder, and the databases know where sources are.
    ///
    /// # Errors
    ///
    /// When there can be no further thread.
    pub fn serve(
        self,
        instance: Instance,
        state: PathBuf,
        events: Feed,
        databases: Arc<Current>,
    ) -> Result<Server> {
        memory::keep_no_large_pieces();
        let missing = Missing::default();
        let readings = Arc::new(Readings::new(
            instance,
            state,
            missing.clone(),
            events,
            databases,
        ));
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            // One reads the maps, and whoever wants them waits for the same reading.
            .max_blocking_threads(2)
            .build()
            .context("cannot start the runtime of HTTP")?;
        let Self {
            listener,
            address,
            guard,
        } = self;
        let serve = move || runtime.block_on(server::serve(listener, guard, readings));
        thread::Builder::new()
            .name("http".to_owned())
            .spawn(serve)
            .context("cannot start the thread of HTTP")?;
        Ok(Server { address, missing })
    }
}

/// Who answers.
pub struct Server {
    address: SocketAddr,
    missing: Missing,
}

impl Server {
    /// Where.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// These interfaces are gone, and the filter with them.
    pub fn missing(&self, names: Vec<String>) {
        self.missing.set(names);
    }
}
