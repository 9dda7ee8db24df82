//! Network namespaces of a test's own, the link between two of them, and a BPF file system:
//! all that the tests touch of the system, and all gone with the test.
//!
//! Names hold the test process's id, so that tests run side by side and the next run can
//! remove what a killed one left. Traffic stays between the namespaces of one test.

use std::{
    ffi::CString,
    fs::{self, File},
    io,
    net::UdpSocket,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::{ffi::OsStrExt as _, process::CommandExt as _},
    },
    panic,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Once,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use aya::programs::{SchedClassifier, TcAttachType};
use serde_json::Value;

use crate::{process::set_up, vlan};

/// What the names of namespaces and mounts begin with; the process id and a number follow.
const PREFIX: &str = "sip-filter-test-";
/// Where `ip netns` keeps its handles.
const NETNS: &str = "/run/netns";

/// A name that no other test uses.
///
/// # Panics
///
/// Without root, which every test here needs.
fn unused_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    static LEFTOVERS: Once = Once::new();
    // SAFETY: a system call without arguments.
    let user = unsafe { libc::geteuid() };
    assert!(
        user == 0,
        "network namespaces and XDP need root: run this as root"
    );
    LEFTOVERS.call_once(remove_leftovers);
    format!(
        "{PREFIX}{}-{}",
        std::process::id(),
        NUMBER.fetch_add(1, Ordering::Relaxed)
    )
}

/// Removes namespaces and mounts of test processes that are no longer there to do it.
fn remove_leftovers() {
    let abandoned = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let is_abandoned = |path: &PathBuf| {
            let name = path.file_name()?.to_str()?;
            let (id, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
            id.parse::<u32>().ok()?;
            Some(!Path::new("/proc").join(id).exists())
        };
        entries
            .map(|entry| entry.path())
            .filter(|path| is_abandoned(path) == Some(true))
            .collect()
    };
    for handle in abandoned(Path::new(NETNS)) {
        if let Some(name) = handle.file_name().and_then(|name| name.to_str()) {
            remove_namespace(name);
        }
    }
    for folder in abandoned(&std::env::temp_dir()) {
        remove_mount(&folder);
    }
}

/// A network namespace, empty but for `lo`, which is up.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    handle: Arc<OwnedFd>,
}

impl Namespace {
    /// Makes one.
    ///
    /// # Panics
    ///
    /// Without root, or if the system has no network namespaces.
    #[expect(clippy::new_without_default, reason = "it changes the system")]
    pub fn new() -> Self {
        let name = unused_name();
        set_up(&format!("ip netns add {name}"));
        let path = Path::new(NETNS).join(&name);
        let handle =
            File::open(&path).unwrap_or_else(|error| panic!("cannot open {path:?}: {error}"));
        let namespace = Self {
            name,
            handle: Arc::new(handle.into()),
        };
        namespace.ip("link set lo up");
        namespace
    }

    /// Its name, as `ip netns` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that will run inside. The mounts stay as they are, so pins under any BPF
    /// file system can be reached.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        let handle = Arc::clone(&self.handle);
        // SAFETY: one async-signal-safe system call between fork and exec.
        unsafe { command.pre_exec(move || enter(&handle)) };
        command
    }

    /// Runs `ip` inside with these arguments.
    ///
    /// # Panics
    ///
    /// If it fails.
    pub fn ip(&self, arguments: &str) -> String {
        set_up(&format!("ip -n {} {arguments}", self.name))
    }

    /// Does something inside, on a thread of its own: a socket made there stays inside.
    ///
    /// # Panics
    ///
    /// If it does, or if the namespace cannot be entered.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let in_there = || {
            if let Err(error) = enter(&self.handle) {
                panic!("cannot enter the network namespace {}: {error}", self.name);
            }
            work()
        };
        match thread::scope(|scope| scope.spawn(in_there).join()) {
            Ok(done) => done,
            Err(cause) => panic::resume_unwind(cause),
        }
    }

    /// A UDP socket inside, at the address and any port.
    ///
    /// # Panics
    ///
    /// If there is no such address inside.
    pub fn udp_socket(&self, address: &str) -> UdpSocket {
        self.inside(|| UdpSocket::bind((address, 0)))
            .unwrap_or_else(|error| panic!("no socket at {address}: {error}"))
    }

    /// The id of the XDP program on the interface, as `ip` shows it.
    ///
    /// # Panics
    ///
    /// If there is no such interface.
    pub fn xdp_program(&self, interface: &str) -> Option<u64> {
        let shown = set_up(&format!("ip -n {} -json link show {interface}", self.name));
        let links: Value = serde_json::from_str(&shown)
            .unwrap_or_else(|error| panic!("ip wrote what is not JSON: {error}\n{shown}"));
        links.pointer("/0/xdp/prog/id").and_then(Value::as_u64)
    }

    /// The ids of the programs that see what arrives at the interface: at XDP, and at tcx.
    ///
    /// # Panics
    ///
    /// As [`Namespace::xdp_program`].
    pub fn programs(&self, interface: &str) -> Vec<u64> {
        let tcx = self.inside(|| SchedClassifier::query_tcx(interface, TcAttachType::Ingress));
        // Kernels before 6.6 have no tcx to ask.
        let tcx = tcx.map_or_else(|_| Vec::new(), |(_, programs)| programs);
        let tcx = tcx.iter().map(|program| u64::from(program.id()));
        self.xdp_program(interface).into_iter().chain(tcx).collect()
    }

    /// Whether a process inside has this UDP port.
    ///
    /// # Panics
    ///
    /// If the kernel does not say.
    pub fn has_udp_port(&self, port: u16) -> bool {
        let ending = format!(":{port:04X}");
        ["udp", "udp6"].into_iter().any(|table| {
            // `/proc/net` is that of the process's first thread, whatever this one entered.
            let path = Path::new("/proc/thread-self/net").join(table);
            let sockets = self
                .inside(|| fs::read_to_string(&path))
                .unwrap_or_else(|error| panic!("cannot read {path:?}: {error}"));
            let mut locals = sockets
                .lines()
                .filter_map(|line| line.split_whitespace().nth(1));
            locals.any(|local| local.ends_with(&ending))
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove_namespace(&self.name);
    }
}

fn enter(handle: &OwnedFd) -> io::Result<()> {
    // SAFETY: a system call on an open descriptor.
    match unsafe { libc::setns(handle.as_raw_fd(), libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Removes a namespace with all that is in it. A failure is told, never a panic: this runs
/// while a failed test unwinds.
fn remove_namespace(name: &str) {
    match Command::new("ip").args(["netns", "delete", name]).output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            eprintln!(
                "{name} stays: {}",
                String::from_utf8_lossy(&output.stderr).trim_end()
            );
        }
        Err(error) => eprintln!("{name} stays: {error}"),
    }
}

/// The interface of the server's end, which the filter is attached to.
pub const FILTERED: &str = "sip0";
/// The interface of the other end.
pub const OUTSIDE: &str = "out0";

/// The server's address.
pub const SERVER: &str = "192.0.2.10";
/// The address that scanners use.
pub const SCANNER: &str = "192.0.2.66";
/// The address of an honest phone, on the scanners' end.
pub const PHONE: &str = "192.0.2.20";
/// The server's IPv6 address.
pub const SERVER_IPV6: &str = "2001:db8::10";
/// The IPv6 address that scanners use.
pub const SCANNER_IPV6: &str = "2001:db8::66";

/// Two namespaces and a pair of virtual Ethernet interfaces between them: a server behind
/// [`FILTERED`], and the rest of the world, with a scanner and a phone, behind [`OUTSIDE`].
#[derive(Debug)]
pub struct Link {
    /// Where the server runs.
    pub server: Namespace,
    /// Where everybody else is.
    pub outside: Namespace,
}

impl Link {
    /// A link that is up, with IPv4 and IPv6.
    ///
    /// # Panics
    ///
    /// If it cannot be set up.
    #[expect(clippy::new_without_default, reason = "it changes the system")]
    pub fn new() -> Self {
        let link = Self {
            server: Namespace::new(),
            outside: Namespace::new(),
        };
        link.create();
        link.take_up();
        link
    }

    /// Creates the interfaces, which are down.
    ///
    /// # Panics
    ///
    /// If they are there already.
    pub fn create(&self) {
        self.outside.ip(&format!(
            "link add {OUTSIDE} type veth peer name {FILTERED} netns {}",
            self.server.name()
        ));
    }

    /// Deletes both.
    ///
    /// # Panics
    ///
    /// If they are not there.
    pub fn delete(&self) {
        self.server.ip(&format!("link delete {FILTERED}"));
    }

    /// Takes the interfaces up, and gives them their addresses.
    ///
    /// # Panics
    ///
    /// If they have them already.
    pub fn take_up(&self) {
        let Self { server, outside } = self;
        for (namespace, interface, addresses) in [
            (server, FILTERED, [SERVER, SERVER_IPV6].as_slice()),
            (outside, OUTSIDE, &[SCANNER, PHONE, SCANNER_IPV6]),
        ] {
            namespace.ip(&format!("link set {interface} up"));
            for address in addresses {
                let length = if address.contains(':') { 64 } else { 24 };
                // An address that is still being checked for doubles cannot be used.
                let check = if address.contains(':') { "nodad" } else { "" };
                namespace.ip(&format!(
                    "addr add {address}/{length} dev {interface} {check}"
                ));
            }
        }
    }

    /// A link on which every frame carries an 802.1Q tag.
    ///
    /// # Panics
    ///
    /// If it cannot be set up.
    pub fn tagged(id: u16, bpffs: &Bpffs) -> Self {
        let link = Self::new();
        vlan::tag(&link.server, FILTERED, id, bpffs);
        vlan::tag(&link.outside, OUTSIDE, id, bpffs);
        link
    }

    /// Has the server answer for every address of 198.51.100.0/24, to which the way leads
    /// through the filtered interface.
    ///
    /// # Panics
    ///
    /// If it cannot be set up.
    pub fn route_a_network_to_the_server(&self) {
        self.server.ip("route add local 198.51.100.0/24 dev lo");
        self.outside
            .ip(&format!("route add 198.51.100.0/24 via {SERVER}"));
    }
}

/// A BPF file system of a test's own.
#[derive(Debug)]
pub struct Bpffs {
    path: PathBuf,
}

impl Bpffs {
    /// Mounts one in a new folder.
    ///
    /// # Panics
    ///
    /// Without root, or if the kernel has no BPF file system.
    #[expect(clippy::new_without_default, reason = "it changes the system")]
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(unused_name());
        if let Err(error) = fs::create_dir(&path) {
            panic!("cannot make {path:?}: {error}");
        }
        let bpffs = Self { path };
        let target = c_path(&bpffs.path);
        // SAFETY: every pointer is to a string that ends in a zero byte, or null.
        let mounted = unsafe {
            libc::mount(
                c"bpf".as_ptr(),
                target.as_ptr(),
                c"bpf".as_ptr(),
                0,
                std::ptr::null(),
            )
        };
        if mounted != 0 {
            let error = io::Error::last_os_error();
            panic!(
                "cannot mount a BPF file system at {:?}: {error}",
                bpffs.path
            );
        }
        bpffs
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every file and folder in it, sorted.
    ///
    /// # Panics
    ///
    /// If it cannot be read.
    pub fn entries(&self) -> Vec<PathBuf> {
        let mut entries = Vec::new();
        let mut folders = vec![self.path.clone()];
        while let Some(folder) = folders.pop() {
            let listed = fs::read_dir(&folder)
                .and_then(Iterator::collect::<io::Result<Vec<_>>>)
                .unwrap_or_else(|error| panic!("cannot list {folder:?}: {error}"));
            for path in listed.into_iter().map(|entry| entry.path()) {
                // The kernel's own, there from the start.
                if matches!(path.extension(), Some(extension) if extension == "debug") {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path.clone());
                }
                entries.push(path);
            }
        }
        entries.sort();
        entries
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        remove_mount(&self.path);
    }
}

/// A folder of a test's own for other files, which every user can read.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes one.
    ///
    /// # Panics
    ///
    /// Without root, or if it cannot be made.
    #[expect(clippy::new_without_default, reason = "it changes the system")]
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(unused_name());
        if let Err(error) = fs::create_dir(&path) {
            panic!("cannot make {path:?}: {error}");
        }
        Self { path }
    }

    /// One with room for so many bytes: a file system of its own, in memory.
    ///
    /// # Panics
    ///
    /// As [`Folder::new`]; and if it cannot be mounted.
    pub fn with_room(bytes: u64) -> Self {
        let folder = Self::new();
        let path = folder.path.display();
        set_up(&format!("mount -t tmpfs -o size={bytes} tmpfs {path}"));
        folder
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        remove_mount(&self.path);
    }
}

/// Removes a folder, and first what is mounted on it. A failure is told, never a panic.
fn remove_mount(folder: &Path) {
    let target = c_path(folder);
    // SAFETY: the string ends in a zero byte. A folder that nothing is mounted on is fine.
    unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW) };
    if let Err(error) = fs::remove_dir_all(folder) {
        eprintln!("{folder:?} stays: {error}");
    }
}

/// # Panics
///
/// If the path holds a zero byte, which none does.
pub(crate) fn c_path(path: &Path) -> CString {
    match CString::new(path.as_os_str().as_bytes()) {
        Ok(path) => path,
        Err(error) => panic!("{path:?} is no path: {error}"),
    }
}
