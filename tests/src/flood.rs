//! A flood of probes that lasts as long as a test works, and the sink that hears what comes through.

use std::{
    io::ErrorKind,
    net::UdpSocket,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    messages::SVMAP,
    namespace::{Link, SCANNER, SERVER},
};

/// Where the probes go.
pub const PORT: u16 = 5060;

/// Hears what comes through, whatever becomes of the interfaces meanwhile.
#[derive(Debug)]
pub struct Sink {
    socket: UdpSocket,
}

impl Sink {
    /// One on the server.
    ///
    /// # Panics
    ///
    /// If the port is taken.
    pub fn new(link: &Link) -> Self {
        let socket = link
            .server
            .inside(|| UdpSocket::bind(("0.0.0.0", PORT)))
            .unwrap_or_else(|error| panic!("no sink: {error}"));
        let waits = socket.set_read_timeout(Some(Duration::from_millis(300)));
        waits.unwrap_or_else(|error| panic!("{error}"));
        Self { socket }
    }

    /// How many datagrams have come until now.
    ///
    /// # Panics
    ///
    /// If it cannot hear.
    pub fn heard_so_far(&self) -> u64 {
        let waits = |is_to_wait: bool| {
            let set = self.socket.set_nonblocking(!is_to_wait);
            set.unwrap_or_else(|error| panic!("{error}"));
        };
        waits(false);
        let heard = self.heard();
        waits(true);
        heard
    }

    /// How many datagrams have come, or come soon.
    ///
    /// # Panics
    ///
    /// If it cannot hear.
    pub fn heard(&self) -> u64 {
        let mut heard = 0;
        loop {
            match self.socket.recv(&mut [0; 9000]) {
                Ok(_) => heard += 1,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return heard,
                Err(error) => panic!("the sink cannot hear: {error}"),
            }
        }
    }
}

/// What was sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Probes that the kernel took.
    pub probes: u64,
    /// For how long they were sent.
    pub lasted: Duration,
}

impl Sent {
    /// Probes a second.
    pub fn rate(&self) -> f64 {
        self.probes as f64 / self.lasted.as_secs_f64()
    }
}

/// Does something while svmap's probes flood the server, from one source.
///
/// # Panics
///
/// If the work does.
pub fn during<T>(link: &Link, work: impl FnOnce() -> T) -> (T, Sent) {
    let done = AtomicBool::new(false);
    let scanner = link.outside.udp_socket(SCANNER);
    thread::scope(|scope| {
        let flood = scope.spawn(|| flood(&scanner, &done));
        // The flood ends even where this fails.
        let ends = Ends(&done);
        let result = work();
        drop(ends);
        match flood.join() {
            Ok(sent) => (result, sent),
            Err(_) => panic!("the flood has failed"),
        }
    })
}

/// Sets what it holds when it is dropped, so that what runs beside it ends even where a test fails.
#[derive(Debug)]
pub struct Ends<'a>(pub &'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn flood(scanner: &UdpSocket, done: &AtomicBool) -> Sent {
    // Not as fast as the CPU can: others need it too.
    const A_MILLISECOND: u64 = 15;
    let begun = Instant::now();
    let (mut tried, mut probes) = (0, 0);
    while !done.load(Ordering::Relaxed) {
        // Made up for, where the CPU was somebody else's for a while.
        while tried < begun.elapsed().as_millis() as u64 * A_MILLISECOND {
            // Where there is no interface for now, there is no way.
            probes += u64::from(scanner.send_to(SVMAP, (SERVER, PORT)).is_ok());
            tried += 1;
        }
        thread::sleep(Duration::from_millis(1));
    }
    Sent {
        probes,
        lasted: begun.elapsed(),
    }
}
