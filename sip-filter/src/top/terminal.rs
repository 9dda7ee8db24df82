//! The terminal while it is ours: raw, on its other screen, without a cursor. It is given back as it
//! was, once, whatever ends the program: a key, an error, a panic, a signal.

use std::{
    io::{self, Stdout},
    panic, process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use crossterm::{
    cursor::Show,
    execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use ratatui::{Frame, Terminal, backend::CrosstermBackend};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM},
    iterator::Signals,
};

/// Whether the terminal is ours.
static IS_OURS: AtomicBool = AtomicBool::new(false);

/// The terminal, until it is dropped.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal of standard output.
    ///
    /// # Errors
    ///
    /// When it cannot be set up; it is as it was then.
    pub(super) fn take() -> Result<Self> {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |cause| {
            // Or nobody would see the cause, which is written before anything is dropped.
            give_back();
            before(cause);
        }));
        let set_up = || -> io::Result<Self> {
            enable_raw_mode()?;
            IS_OURS.store(true, Ordering::SeqCst);
            execute!(io::stdout(), EnterAlternateScreen)?;
            let mut terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
            terminal.hide_cursor()?;
            Ok(Self { terminal })
        };
        set_up()
            .inspect_err(|_| give_back())
            .context("the terminal cannot be set up; `sip-filter stats` needs none")
    }

    /// Draws what has changed.
    ///
    /// # Errors
    ///
    /// When the terminal cannot be written.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<()> {
        let drawn = self.terminal.draw(draw);
        drawn.context("the terminal cannot be written").map(drop)
    }

    /// Has all of it drawn again.
    ///
    /// # Errors
    ///
    /// When the terminal cannot be written.
    pub(super) fn clear(&mut self) -> Result<()> {
        self.terminal
            .clear()
            .context("the terminal cannot be written")
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back. One that is gone takes nothing, and needs nothing.
fn give_back() {
    if IS_OURS.swap(false, Ordering::SeqCst) {
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// Whether a signal has asked for an end.
pub(super) struct End(Arc<AtomicBool>);

impl End {
    /// How long it may take from the signal on.
    const PATIENCE: Duration = Duration::from_secs(1);

    /// Listens for them from now on.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub(super) fn listen() -> Result<Self> {
        let ours = Arc::new(AtomicBool::new(false));
        let is_asked = Arc::clone(&ours);
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGQUIT])
            .context("cannot listen for signals")?;
        thread::spawn(move || {
            if signals.forever().next().is_some() {
                is_asked.store(true, Ordering::SeqCst);
                // Who reads keys may wait for the rest of one, or for a terminal that is gone
                // (crossterm 0.29 does both without an end).
                thread::sleep(Self::PATIENCE);
                give_back();
                process::exit(0);
            }
        });
        Ok(Self(ours))
    }

    /// Whether one has come.
    pub(super) fn is_asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What came of waiting for keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// There may be one, or the time is up.
    Over,
    /// Nobody is there any more.
    HungUp,
}

/// Waits so long for keys, or until the terminal is gone or a signal comes.
///
/// # Errors
///
/// When the kernel does not say.
pub(super) fn wait(within: Duration) -> io::Result<Wait> {
    let mut keys = libc::pollfd {
        fd: libc::STDIN_FILENO,
        events: libc::POLLIN,
        revents: 0,
    };
    // Less than a millisecond is one: else the rest of each time would be asked for over and over.
    let within = i32::try_from(within.as_micros().div_ceil(1_000)).unwrap_or(i32::MAX);
    // SAFETY: one valid place, which outlives the call.
    if unsafe { libc::poll(&raw mut keys, 1, within) } < 0 {
        let error = io::Error::last_os_error();
        return match error.kind() {
            io::ErrorKind::Interrupted => Ok(Wait::Over),
            _ => Err(error),
        };
    }
    Ok(match keys.revents & (libc::POLLHUP | libc::POLLERR) {
        0 => Wait::Over,
        _ => Wait::HungUp,
    })
}
