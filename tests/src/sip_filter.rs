//! The loader as its users start it: the program `sip-filter`, in a namespace, with an
//! instance and a BPF file system of the test's own.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use crate::{
    clock::Clock,
    namespace::{Bpffs, FILTERED, Folder, Namespace},
    process::{self, Finished, Running},
    stats::Stats,
};

/// How long any command of the loader may take: the verifier alone takes a while.
const PATIENCE: Duration = Duration::from_secs(60);

/// The instance's name in tests; the BPF file system is what keeps them apart.
const INSTANCE: &str = "test";

/// The modes that every interface of the tests has.
pub const MODES: [&str; 3] = ["native", "skb", "tcx"];

/// Does the same in each mode, in all of them at once: what takes time is mostly tools that wait.
///
/// # Panics
///
/// If it fails in any.
pub fn in_each_mode(case: impl Fn(&'static str) + Sync) {
    thread::scope(|scope| {
        let in_mode = |mode: &'static str| {
            let case = &case;
            let named = thread::Builder::new().name(mode.to_owned());
            named
                .spawn_scoped(scope, move || case(mode))
                .unwrap_or_else(|error| panic!("no thread: {error}"))
        };
        let cases = MODES.map(|mode| (mode, in_mode(mode)));
        let failed = cases.map(|(mode, case)| case.join().is_err().then_some(mode));
        let failed: Vec<_> = failed.into_iter().flatten().collect();
        assert!(failed.is_empty(), "failed in {failed:?} mode: see above");
    });
}

/// The program's path: `SIP_FILTER_BIN`, or what was last built beside this test.
///
/// # Panics
///
/// If it is not there.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("SIP_FILTER_BIN") {
        let path = PathBuf::from(path);
        assert!(
            path.is_file(),
            "SIP_FILTER_BIN names {path:?}, which is no file"
        );
        return path;
    }
    // Tests are `target/PROFILE/deps/NAME`, programs `target/PROFILE/NAME`.
    let target_of_this = std::env::current_exe().ok().and_then(|path| {
        let profile = path
            .ancestors()
            .find(|folder| folder.join("deps").is_dir())?;
        Some(profile.parent()?.to_owned())
    });
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let candidates = target_of_this
        .into_iter()
        .chain([target])
        .flat_map(|target| {
            ["release", "debug"].map(|profile| target.join(profile).join("sip-filter"))
        });
    let built = candidates.filter(|path| path.is_file()).max_by_key(|path| {
        let metadata = path.metadata().and_then(|metadata| metadata.modified());
        metadata.ok()
    });
    match built {
        Some(path) => path,
        None => panic!(
            "sip-filter is not built: run `cargo xtask build`, or set SIP_FILTER_BIN to its path"
        ),
    }
}

/// A copy of [`binary`] in the folder, which everybody may start: where the program was built, not
/// everybody may go.
///
/// # Panics
///
/// If it cannot be copied.
pub fn binary_for_everybody(folder: &Folder) -> PathBuf {
    let copy = folder.path().join("sip-filter");
    // Copied by a process of its own: what this one has open for writing, a program that another
    // test starts at that moment has open too, and the kernel runs no file that is being written.
    let mut install = Command::new("install");
    install.args(["-m", "755"]).arg(binary()).arg(&copy);
    process::run(install, PATIENCE).successful();
    copy
}

/// The loader in a namespace. What it has attached is detached when this is dropped.
#[derive(Debug)]
pub struct SipFilter<'a> {
    namespace: &'a Namespace,
    bpffs: Bpffs,
    state: Folder,
    instance: &'static str,
    /// Options of whatever attaches it.
    mode: String,
}

impl<'a> SipFilter<'a> {
    /// The loader in this namespace.
    pub fn new(namespace: &'a Namespace) -> Self {
        Self::named(namespace, INSTANCE)
    }

    /// The same with an instance of this name.
    pub fn named(namespace: &'a Namespace, instance: &'static str) -> Self {
        let bpffs = Bpffs::new();
        Self {
            namespace,
            bpffs,
            state: Folder::new(),
            instance,
            mode: String::new(),
        }
    }

    /// The loader in this namespace, which attaches in this mode.
    pub fn in_mode(namespace: &'a Namespace, mode: &str) -> Self {
        let mut filter = Self::new(namespace);
        filter.mode = format!("--mode {mode}");
        filter
    }

    /// The folder of what outlives a reboot.
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// The BPF file system that holds its pins.
    pub fn bpffs(&self) -> &Bpffs {
        &self.bpffs
    }

    /// The folder of its pins.
    pub fn pins(&self) -> PathBuf {
        self.bpffs.path().join("sip-filter").join(self.instance)
    }

    /// A command, with the instance, the BPF file system and the folder of its state given.
    pub fn command(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = self.command_for_all(arguments);
        command.args(["--name", self.instance]);
        command
    }

    /// A command, with the BPF file system and the folder of the state given: about every instance
    /// in it.
    pub fn command_for_all(
        &self,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Command {
        let mut command = self.namespace.command(binary());
        command
            .args(arguments)
            .arg("--bpffs")
            .arg(self.bpffs.path())
            .arg("--state")
            .arg(self.state.path());
        command.env_remove("RUST_LOG");
        command
    }

    /// Runs a command to its end, whatever that is; its words are separated by blanks.
    pub fn attempt(&self, line: &str) -> Finished {
        process::run(self.command(line.split_whitespace()), PATIENCE)
    }

    /// Runs a command to its end and gives what it wrote to standard output.
    ///
    /// # Panics
    ///
    /// If it fails.
    pub fn succeed(&self, line: &str) -> String {
        self.attempt(line).successful().stdout
    }

    /// `attach` to [`FILTERED`] with these options.
    ///
    /// # Panics
    ///
    /// If it fails.
    pub fn attach(&self, options: &str) {
        let mode = &self.mode;
        self.succeed(&format!("attach -i {FILTERED} {mode} {options}"));
    }

    /// `run` on [`FILTERED`] with these options, once it is attached, or has replaced the
    /// program that was.
    ///
    /// # Panics
    ///
    /// If it fails.
    pub fn run(&self, options: &str) -> Running {
        self.run_as(options, |_| {})
    }

    /// The same, by a clock that is set.
    ///
    /// # Panics
    ///
    /// If it fails.
    pub fn run_by(&self, clock: &Clock, options: &str) -> Running {
        self.run_as(options, |command| clock.wear(command))
    }

    fn run_as(&self, options: &str, dress: impl Fn(&mut Command)) -> Running {
        let before = self.namespace.programs(FILTERED);
        let line = format!("run -i {FILTERED} {} {options}", self.mode);
        let mut command = self.command(line.split_whitespace());
        dress(&mut command);
        let mut running = Running::start(command);
        running.wait_until("its program was attached", PATIENCE, |_| {
            let now = self.namespace.programs(FILTERED);
            !now.is_empty() && now != before && self.attempt("stats").status.success()
        });
        running
    }

    /// `detach`.
    ///
    /// # Panics
    ///
    /// If it fails.
    pub fn detach(&self) {
        self.succeed("detach");
    }

    /// `detach --all`.
    ///
    /// # Panics
    ///
    /// If it fails.
    pub fn detach_all(&self) {
        process::run(self.command_for_all(["detach", "--all"]), PATIENCE).successful();
    }

    /// Nothing of the filter is there any more, or yet.
    ///
    /// # Panics
    ///
    /// If a program is attached to [`FILTERED`], or anything is pinned.
    pub fn assert_absent(&self) {
        let programs = self.namespace.programs(FILTERED);
        assert!(programs.is_empty(), "attached to {FILTERED}: {programs:?}");
        let pins = self.bpffs.entries();
        assert!(pins.is_empty(), "pinned: {pins:?}");
    }

    /// `stats`, of a process of its own.
    ///
    /// # Panics
    ///
    /// If it fails, or the counts contradict each other.
    pub fn stats(&self) -> Stats {
        Stats::read(&self.succeed("stats --format json"))
    }

    /// The same while packets arrive.
    ///
    /// # Panics
    ///
    /// If it fails.
    pub fn stats_under_load(&self) -> Stats {
        Stats::read_under_load(&self.succeed("stats --format json"))
    }
}

impl Drop for SipFilter<'_> {
    fn drop(&mut self) {
        // Unmounting would do as well, but not at once. A failure is the tests' to find.
        if self.pins().exists() {
            let _ = self.command_for_all(["detach", "--all"]).output();
        }
    }
}
