//! A terminal that a test types into and looks at: one of tmux's, whose server is the test's own and
//! goes with it.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{
    namespace::Folder,
    process::{self, Running, SOON},
};

/// How long a screen may take to show something, on whatever busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(50);

/// A terminal with a shell in it.
#[derive(Debug)]
pub struct Tmux {
    // In this order: the folder holds the server's socket.
    _server: Running,
    folder: Folder,
}

impl Tmux {
    /// A terminal of so many columns and lines.
    ///
    /// # Panics
    ///
    /// Without tmux.
    pub fn new(columns: u16, lines: u16) -> Self {
        let folder = Folder::new();
        let mut server = Self::command(&folder);
        // In the foreground, so that it ends with the test, whatever ends that.
        server.args(["-f", "/dev/null", "-D"]);
        let mut server = Running::start(server);
        let socket = Self::socket(&folder);
        server.wait_until("it made its socket", SOON, |_| socket.exists());
        let tmux = Self {
            _server: server,
            folder,
        };
        let (columns, lines) = (columns.to_string(), lines.to_string());
        let size = ["-x", &columns, "-y", &lines];
        tmux.run(&[&["new-session", "-d"], &size[..], &["sh"]].concat());
        tmux.wait_for("a prompt", |screen| !screen.trim().is_empty());
        tmux
    }

    fn socket(folder: &Folder) -> PathBuf {
        folder.path().join("tmux")
    }

    fn command(folder: &Folder) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-u").arg("-S").arg(Self::socket(folder));
        // One that the test is started in is not this one.
        command.env_remove("TMUX").env_remove("NO_COLOR");
        command
    }

    fn run(&self, arguments: &[&str]) -> String {
        let mut command = Self::command(&self.folder);
        command.args(arguments);
        process::run(command, SOON).successful().stdout
    }

    /// Presses keys, by tmux's names for them.
    ///
    /// # Panics
    ///
    /// If the terminal is gone, as for all that follow.
    pub fn press(&self, keys: &[&str]) {
        self.run(&[&["send-keys"], keys].concat());
    }

    /// Types a line for the shell.
    pub fn type_line(&self, line: &str) {
        self.run(&["send-keys", "-l", line]);
        self.press(&["Enter"]);
    }

    /// Gives the terminal another size.
    pub fn resize(&self, columns: u16, lines: u16) {
        let (columns, lines) = (columns.to_string(), lines.to_string());
        self.run(&["resize-window", "-x", &columns, "-y", &lines]);
    }

    /// Closes it, as whoever loses a connection does; nobody can look at it then.
    pub fn close(&self) {
        self.run(&["kill-session"]);
    }

    /// What it shows.
    pub fn screen(&self) -> String {
        self.run(&["capture-pane", "-p"])
    }

    /// The same with the escape sequences that its colours take.
    pub fn coloured_screen(&self) -> String {
        self.run(&["capture-pane", "-p", "-e"])
    }

    /// What it shows as soon as that is what it should be.
    ///
    /// # Panics
    ///
    /// With the screen, if it does not come to be that.
    pub fn wait_for(&self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if is_it(&screen) {
                return screen;
            }
            assert!(Instant::now() < end, "{what} is not shown:\n{screen}");
            thread::sleep(STEP);
        }
    }

    /// One of tmux's own variables, as `alternate_on`.
    pub fn variable(&self, name: &str) -> String {
        let shown = self.run(&["display-message", "-p", &format!("#{{{name}}}")]);
        shown.trim_end().to_owned()
    }

    /// The process that the shell has started last.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn child(&self) -> i32 {
        let shell = self.variable("pane_pid");
        let path = format!("/proc/{shell}/task/{shell}/children");
        let children = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let last = children.split_whitespace().last();
        match last.map(str::parse) {
            Some(Ok(child)) => child,
            _ => panic!("the shell has started nothing"),
        }
    }

    /// How the terminal is set, from a command in its shell.
    pub fn settings(&self) -> String {
        let file = self.folder.path().join("settings");
        let _ = fs::remove_file(&file);
        // Renamed, so that it is whole where it is found.
        let path = file.display();
        self.type_line(&format!("stty -a > {path}.new; mv {path}.new {path}"));
        let end = Instant::now() + PATIENCE;
        loop {
            match fs::read_to_string(&file) {
                Ok(settings) => return settings,
                Err(error) => {
                    let screen = self.screen();
                    assert!(Instant::now() < end, "{path}: {error}\n{screen}");
                }
            }
            thread::sleep(STEP);
        }
    }
}
