//! The emulated machine: Debian's qemu, unpacked beside the kernels with every library that it
//! needs, so that it runs on any machine and conflicts with nothing that is installed there.
//! Boots a kernel, passes on what the machine says on its serial line, and ends it in time.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::initramfs::{DONE, MARK, UP};
use crate::debian::{self, Archive};

const SUITE: &str = "trixie";
const PACKAGES: [&str; 2] = ["qemu-system-x86", "busybox-static"];

/// Many times what the tests take: the verifiers of old kernels are slow, and machines are shared.
const LIMIT: Duration = Duration::from_secs(1800);

/// The kernel's own words only when something is wrong, and no stopping in a panic. The
/// mitigations for faults of processors are slow to emulate and change no verdict: for root the
/// verifier asks for none.
const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1 mitigations=off";

/// The emulator, unpacked.
pub struct Emulator {
    root: PathBuf,
}

/// What a machine did.
#[derive(Debug, PartialEq)]
pub struct Run {
    /// From its start to the first line of the init script.
    pub boot: Duration,
    /// From its start to its end.
    pub total: Duration,
    /// The programs that it ran, and the status of each.
    pub statuses: Vec<(String, i32)>,
}

impl Emulator {
    /// The emulator that an earlier run has fetched, or Debian's.
    pub fn fetch(folder: &Path) -> Result<Self> {
        ensure!(
            cfg!(target_arch = "x86_64"),
            "emulator and tests are those of x86-64"
        );
        let emulator = Self {
            root: folder.join("qemu"),
        };
        if emulator.root.is_dir() {
            return Ok(emulator);
        }
        eprintln!("vm: fetching {}", PACKAGES.join(" and "));
        let archive = Archive::open(&folder.join("apt/qemu"), &[SUITE])?;
        let unpacked = archive.folder().join("unpacked");
        for package in archive.download_whole(&PACKAGES)? {
            debian::unpack(&package, &unpacked)?;
        }
        fs::rename(&unpacked, &emulator.root)
            .and_then(|()| archive.remove())
            .with_context(|| format!("cannot keep it in {}", emulator.root.display()))?;
        Ok(emulator)
    }

    /// A busybox that needs no library.
    pub fn busybox(&self) -> PathBuf {
        self.root.join("usr/bin/busybox")
    }

    /// Boots the kernel and waits until the machine turns itself off. What it says once it is up
    /// goes to stdout.
    pub fn boot(&self, vmlinuz: &Path, initramfs: &Path, cpus: u8) -> Result<Run> {
        let mut machine = Machine::start(&mut self.qemu(vmlinuz, initramfs, cpus))?;
        follow(&machine.lines()?, LIMIT)
    }

    fn qemu(&self, vmlinuz: &Path, initramfs: &Path, cpus: u8) -> Command {
        let libraries = self.root.join("usr/lib/x86_64-linux-gnu");
        // Its own loader, for its C library may be newer than this machine's.
        let mut qemu = Command::new(libraries.join("ld-linux-x86-64.so.2"));
        qemu.arg("--library-path")
            .arg(&libraries)
            .arg(self.root.join("usr/bin/qemu-system-x86_64"));
        for firmware in ["usr/share/seabios", "usr/share/qemu"] {
            qemu.arg("-L").arg(self.root.join(firmware));
        }
        qemu.args(["-accel", "tcg,thread=multi", "-m", "1G", "-smp"])
            .arg(cpus.to_string())
            .args(["-nodefaults", "-no-user-config", "-nographic"])
            .args(["-nic", "none", "-serial", "stdio", "-no-reboot"])
            .arg("-kernel")
            .arg(vmlinuz)
            .arg("-initrd")
            .arg(initramfs)
            .args(["-append", COMMAND_LINE]);
        qemu
    }
}

/// A running machine, which does not outlive this.
struct Machine(Child);

impl Machine {
    fn start(qemu: &mut Command) -> Result<Self> {
        let child = qemu
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start qemu")?;
        Ok(Self(child))
    }

    /// What it says, line by line, from a thread of its own: so that a machine that says nothing
    /// can be ended.
    fn lines(&mut self) -> Result<mpsc::Receiver<String>> {
        let console = self.0.stdout.take().context("qemu has no console")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || read_lines(console, &sender));
        Ok(lines)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // One that has turned itself off is gone, and only waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn read_lines(console: impl Read, sender: &mpsc::Sender<String>) {
    let lines = BufReader::new(console).split(b'\n').map_while(Result::ok);
    for line in lines {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if sender.send(line).is_err() {
            return;
        }
    }
}

/// Reads a machine's lines to the end, passing on those between its first word and its last.
fn follow(lines: &mpsc::Receiver<String>, limit: Duration) -> Result<Run> {
    let started = Instant::now();
    let mut boot = None;
    let mut statuses = Vec::new();
    let mut unheard = Vec::new();
    loop {
        let line = match lines.recv_timeout(limit.saturating_sub(started.elapsed())) {
            Ok(line) => line,
            Err(cause) => {
                // Before it was up nothing was passed on, and the reason is in there.
                for line in unheard {
                    println!("  {line}");
                }
                match cause {
                    RecvTimeoutError::Timeout => bail!("not done after {limit:?}"),
                    RecvTimeoutError::Disconnected => bail!("the machine ended before its work"),
                }
            }
        };
        match (line.strip_prefix(MARK), boot) {
            (Some(UP), _) => {
                boot = Some(started.elapsed());
                unheard.clear();
            }
            (Some(DONE), Some(boot)) => {
                return Ok(Run {
                    boot,
                    total: started.elapsed(),
                    statuses,
                });
            }
            (Some(ended), Some(_)) => {
                let (status, program) = ended.split_once(' ').unwrap_or((ended, ""));
                let status = status
                    .parse()
                    .with_context(|| format!("the machine said '{line}'"))?;
                statuses.push((program.to_owned(), status));
            }
            (None, Some(_)) => println!("  {line}"),
            (_, None) => unheard.push(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(console: &str, limit: Duration) -> Result<Vec<(String, i32)>, String> {
        let (sender, lines) = mpsc::channel();
        read_lines(console.as_bytes(), &sender);
        // A machine that goes on keeps its console open.
        let open = (!console.ends_with("Power down\r\n")).then_some(sender);
        let run = follow(&lines, limit).map_err(|error| error.to_string());
        drop(open);
        run.map(|run| run.statuses)
    }

    #[test]
    fn a_machine_is_done_when_it_says_so() {
        let console = "BIOS\r\n[vm] up\r\ntest a ... ok\r\n[vm] 0 one\r\n[vm] 101 two\r\n\
                       [vm] done\r\nPower down\r\n";
        assert_eq!(
            followed(console, LIMIT),
            Ok(vec![("one".into(), 0), ("two".into(), 101)])
        );
    }

    #[test]
    fn a_machine_that_ends_or_hangs_before_is_a_failure() {
        for (console, error) in [
            ("Power down\r\n", "the machine ended before its work"),
            (
                "[vm] up\r\n[vm] 0 one\r\nPower down\r\n",
                "the machine ended before its work",
            ),
            ("[vm] up\r\n", "not done after 10ms"),
        ] {
            let limit = Duration::from_millis(10);
            assert_eq!(followed(console, limit), Err(error.into()), "{console}");
        }
    }
}
