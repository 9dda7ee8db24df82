//! Programs that a test starts: bounded in time, and gone when the test is.

use std::{
    fs,
    io::{self, Read},
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long a command may take that only sets something up.
pub const SOON: Duration = Duration::from_secs(20);

const STEP: Duration = Duration::from_millis(10);

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    /// The command as it was started.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Finished {
    /// The same, if the program ended well.
    ///
    /// # Panics
    ///
    /// With all that the program wrote, if it did not.
    pub fn successful(self) -> Self {
        assert!(self.status.success(), "{self}");
        self
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            command,
            status,
            stdout,
            stderr,
        } = self;
        write!(
            formatter,
            "{command}: {status}\nstdout:\n{stdout}\nstderr:\n{stderr}"
        )
    }
}

/// Runs a command to its end.
///
/// # Panics
///
/// If it cannot be started, or has not ended in time; it is killed then.
pub fn run(command: Command, within: Duration) -> Finished {
    Running::start(command).finish(within)
}

/// Runs a command line that sets something up, its words separated by blanks, and returns
/// what it wrote to standard output.
///
/// # Panics
///
/// If it cannot be started, fails, or takes too long.
pub fn set_up(line: &str) -> String {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    run(command, SOON).successful().stdout
}

/// A program that runs beside the test, until it ends by itself, is stopped, or is dropped.
///
/// It does not outlive the thread that started it.
#[derive(Debug)]
pub struct Running {
    command: String,
    child: Child,
    stdout: Output,
    stderr: Output,
}

impl Running {
    /// Starts a command, with nothing to read and its output kept.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn start(mut command: Command) -> Self {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let line: Vec<_> = words
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let line = line.join(" ");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        die_with_parent(&mut command);
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {line}: {error}"));
        let stdout = Output::of(child.stdout.take());
        let stderr = Output::of(child.stderr.take());
        Self {
            command: line,
            child,
            stdout,
            stderr,
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.so_far()
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.so_far()
    }

    /// Whether it has not ended yet.
    ///
    /// # Panics
    ///
    /// If the kernel no longer knows it.
    pub fn is_running(&mut self) -> bool {
        match self.child.try_wait() {
            Ok(status) => status.is_none(),
            Err(error) => panic!("cannot wait for {}: {error}", self.command),
        }
    }

    /// Waits until the condition holds while the program runs.
    ///
    /// # Panics
    ///
    /// If the program ends before, or the time is up; with all that it wrote.
    pub fn wait_until(&mut self, what: &str, within: Duration, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + within;
        while !holds(self) {
            let running = self.is_running();
            assert!(
                running && Instant::now() < end,
                "{} {} before {what}\nstdout:\n{}\nstderr:\n{}",
                self.command,
                if running {
                    format!("ran for {within:?}")
                } else {
                    "ended".to_owned()
                },
                self.stdout(),
                self.stderr(),
            );
            thread::sleep(STEP);
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: a system call on a process that is a child of this one and not waited for.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }

    /// Asks the program to end, as a terminal's Ctrl-C does, and waits for it.
    ///
    /// # Panics
    ///
    /// If it has not ended in time; it is killed then.
    pub fn interrupt(self, within: Duration) -> Finished {
        self.signal(libc::SIGINT);
        self.finish(within)
    }

    /// Kills the program outright and waits for it.
    ///
    /// # Panics
    ///
    /// If the kernel does not let it go.
    pub fn kill(self) -> Finished {
        self.signal(libc::SIGKILL);
        self.finish(SOON)
    }

    /// Waits for the program to end by itself.
    ///
    /// # Panics
    ///
    /// If it has not ended in time; it is killed then.
    pub fn finish(mut self, within: Duration) -> Finished {
        self.wait_to_end(within);
        let status = self
            .child
            .wait()
            .unwrap_or_else(|error| panic!("cannot wait for {}: {error}", self.command));
        Finished {
            command: self.command.clone(),
            status,
            stdout: self.stdout.whole(),
            stderr: self.stderr.whole(),
        }
    }

    fn wait_to_end(&mut self, within: Duration) {
        let end = Instant::now() + within;
        while self.is_running() {
            assert!(
                Instant::now() < end,
                "{} has not ended within {within:?}\nstdout:\n{}\nstderr:\n{}",
                self.command,
                self.stdout(),
                self.stderr(),
            );
            thread::sleep(STEP);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What has ended already is neither found nor waited for again.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Memory of a process, in kilobytes of 1,024 bytes: a field of proc_pid_status(5), such as `RssAnon`.
///
/// # Panics
///
/// If there is no such process, or no such field.
pub fn memory(process: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.unwrap_or_else(|error| panic!("{error}"));
    let mut lines = status.lines();
    let value = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let value = value.and_then(|value| value.strip_suffix(" kB"));
    value
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or_else(|| panic!("no {field}: {status}"))
}

/// The processor's time that a process has taken (`utime` and `stime` in proc_pid_stat(5)), to 10 ms.
///
/// # Panics
///
/// If there is no such process.
pub fn processor_time(process: u32) -> Duration {
    /// Ticks a second, whatever the kernel's own (USER_HZ).
    const TICKS: u64 = 100;
    let stat = fs::read_to_string(format!("/proc/{process}/stat"));
    let stat = stat.unwrap_or_else(|error| panic!("{error}"));
    // Behind the name, which may hold anything, the state is the third field.
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>);
    let ticks = ticks.sum::<Result<u64, _>>();
    let ticks = ticks.unwrap_or_else(|error| panic!("{error}: {stat}"));
    Duration::from_millis(ticks * 1_000 / TICKS)
}

/// Has a command give up root as it starts, once it has entered its namespace, which needs it.
pub fn as_nobody(command: &mut Command) {
    as_nobody_in(command, &[]);
}

/// The same, and become a member of the groups with these numbers.
pub fn as_nobody_in(command: &mut Command, groups: &'static [u32]) {
    const NOBODY: u32 = 65_534;
    // SAFETY: async-signal-safe system calls alone between fork and exec.
    unsafe {
        command.pre_exec(move || {
            let given_up = libc::setgroups(groups.len(), groups.as_ptr()) == 0
                && libc::setgid(NOBODY) == 0
                && libc::setuid(NOBODY) == 0;
            if given_up {
                Ok(())
            } else {
                Err(io::Error::last_os_error())
            }
        });
    }
}

/// Has the kernel kill the program when the thread that starts it ends, whatever ended it.
fn die_with_parent(command: &mut Command) {
    let parent = std::process::id() as i32;
    // SAFETY: async-signal-safe system calls alone between fork and exec.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 || libc::getppid() != parent
            {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        });
    }
}

/// What a program writes, read as it comes so that the program never waits for its reader.
#[derive(Debug)]
struct Output {
    written: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Output {
    fn of(pipe: Option<impl Read + Send + 'static>) -> Self {
        let written = Arc::new(Mutex::new(Vec::new()));
        let reader = pipe.map(|mut pipe| {
            let written = Arc::clone(&written);
            thread::spawn(move || {
                let mut piece = [0; 4096];
                while let Ok(length @ 1..) = pipe.read(&mut piece) {
                    let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
                    written.extend(&piece[..length]);
                }
            })
        });
        Self { written, reader }
    }

    fn so_far(&self) -> String {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&written).into_owned()
    }

    /// All of it, once the program has ended. A grandchild that still holds the pipe is not
    /// waited for for long.
    fn whole(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            let end = Instant::now() + Duration::from_secs(1);
            while !reader.is_finished() && Instant::now() < end {
                thread::sleep(STEP);
            }
        }
        self.so_far()
    }
}
