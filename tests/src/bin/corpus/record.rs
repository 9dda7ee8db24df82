//! One run: the link, who answers at the far end, the program, and what it sent.

use std::{
    collections::HashSet,
    fmt::Write as _,
    fs,
    net::UdpSocket,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant, UNIX_EPOCH},
};

use sip_filter_tests::{
    corpus::{Frame, KEPT, PORTS, Run},
    namespace::{FILTERED, Folder, Link, Namespace, OUTSIDE, SCANNER, SERVER},
    offload,
    packet::{RECEIVER_MAC, SENDER_MAC},
    process::{self, Running, SOON},
    registrar::Registrar,
    tools,
    watch::{Datagram, Watch},
};

use crate::{
    STOPPED,
    plan::{Answering, Planned, Source},
};

/// How often a run is looked at.
const STEP: Duration = Duration::from_millis(50);

/// Records one run.
///
/// # Panics
///
/// If a program is missing, or has sent nothing.
pub fn record(planned: &Planned) -> (Run, Vec<Frame>) {
    let link = link();
    let folder = folder(planned);
    let watch = Watch::on(&link.outside, OUTSIDE);
    let wrote = {
        let _answering = Far::start(&link.server, &folder, planned.answering);
        let running = start(
            &link.outside,
            "scanner",
            &folder,
            planned.source,
            planned.command,
        );
        run_for(running, Duration::from_secs(planned.seconds))
    };
    let kept = choose(watch.finish());
    assert!(
        !kept.is_empty(),
        "{}: it has sent nothing\n{wrote}",
        planned.name
    );
    let packets = kept.iter().map(|sent| class(&sent.payload)).collect();
    let frames = kept.into_iter().map(frame).collect();
    let Planned {
        name,
        program,
        source,
        command,
        tool,
        kind,
        named_by,
        sure,
        note,
        ..
    } = *planned;
    let run = Run {
        file: format!("{name}.pcap"),
        program: program.to_owned(),
        version: version(source),
        command: command.to_owned(),
        packets,
        tool: tool.to_owned(),
        kind: kind.to_owned(),
        named_by: named_by.to_owned(),
        sure,
        note: note.to_owned(),
    };
    (run, frames)
}

/// A link whose frames are the same wherever it is made, but for what the programs put in.
fn link() -> Link {
    let link = Link::new();
    for (namespace, interface, mac) in [
        (&link.server, FILTERED, RECEIVER_MAC),
        (&link.outside, OUTSIDE, SENDER_MAC),
    ] {
        let address = mac.map(|byte| format!("{byte:02x}")).join(":");
        namespace.ip(&format!("link set {interface} address {address}"));
        namespace.inside(|| offload::complete_checksums(interface));
    }
    link.route_a_network_to_the_server();
    // Some programs ask for the way to everywhere to find their own address. It ends here.
    link.outside.ip(&format!("route add default via {SERVER}"));
    link
}

/// The folder that a run starts in.
fn folder(planned: &Planned) -> Folder {
    let folder = Folder::new();
    let mut hosts = "127.0.0.1 localhost\n".to_owned();
    for (address, names) in HOSTS {
        let _ = writeln!(hosts, "{address} {names}");
    }
    // No name server: what is not in the list of hosts is not found.
    for (name, text) in [("hosts", &*hosts), ("resolv.conf", "")]
        .iter()
        .chain(planned.files)
    {
        let path = folder.path().join(name);
        if let Err(error) = fs::write(&path, text) {
            panic!("cannot write {path:?}: {error}");
        }
    }
    folder
}

/// Those who answer, until they are dropped.
struct Far {
    _registrar: Option<Registrar>,
    _sockets: Vec<UdpSocket>,
    _programs: Vec<Running>,
}

impl Far {
    fn start(server: &Namespace, folder: &Folder, answering: Answering) -> Self {
        let mut far = Self {
            _registrar: None,
            _sockets: Vec::new(),
            _programs: Vec::new(),
        };
        match answering {
            Answering::Silence => {
                let silent = |port| UdpSocket::bind(("::", port));
                let sockets = server.inside(|| PORTS.map(silent).collect());
                far._sockets = match sockets {
                    Ok(sockets) => sockets,
                    Err(error) => panic!("no sockets that stay silent: {error}"),
                };
            }
            Answering::Registrar => far._registrar = Some(Registrar::start(server, 5060)),
            Answering::Calls => far._programs.push(tools::answer_calls(server, 5060)),
            Answering::Shell(line) => {
                let mut program = start(server, "pbx", folder, Source::Debian("coreutils"), line);
                program.wait_until("it listened", SOON, |_| server.has_udp_port(5060));
                far._programs.push(program);
            }
        }
        far
    }
}

/// What the programs take for the system's hosts, so that they find the address of their own
/// host, and nothing of the machine that they run on gets into a packet.
const HOSTS: [(&str, &str); 2] = [
    (SCANNER, "scanner.example.com scanner"),
    (SERVER, "pbx.example.com pbx"),
];

/// Starts a shell's command line in a process namespace of its own, whose processes all end
/// with it, daemons too. `host` is what it takes for its host's name.
fn start(
    namespace: &Namespace,
    host: &str,
    folder: &Folder,
    source: Source,
    line: &str,
) -> Running {
    const AS_A_HOST: &str = "hostname $0 && mount --bind $1/hosts /etc/hosts \
                             && mount --bind $1/resolv.conf /etc/resolv.conf && exec sh -c \"$2\"";
    let mut command = namespace.command("unshare");
    command
        .args(["--pid", "--fork", "--kill-child", "--mount-proc", "--uts"])
        .args(["sh", "-c", AS_A_HOST, host])
        .arg(folder.path())
        .arg(line)
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .env_remove("XDG_RUNTIME_DIR")
        .env("PATH", path_with(source));
    if let Source::Npm(package, version) = source {
        let folder = installed().join(format!("npm/{package}-{version}"));
        command.env("NODE_PATH", folder.join("node_modules"));
    }
    Running::start(command)
}

/// Waits for the program to end, for at most so long, and gives what it wrote.
fn run_for(mut running: Running, within: Duration) -> String {
    let end = Instant::now() + within;
    while running.is_running() && Instant::now() < end {
        assert!(!STOPPED.load(Ordering::Relaxed), "stopped");
        thread::sleep(STEP);
    }
    running.kill().to_string()
}

/// The folder that `cargo xtask corpus` installs into.
fn installed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools")
}

/// The programs of Python packages, and then those of the system.
fn path_with(source: Source) -> std::ffi::OsString {
    let mut folders = Vec::new();
    if let Source::Python(package, version) = source {
        folders.push(installed().join(format!("python/{package}-{version}/bin")));
    }
    folders.extend(["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from));
    match std::env::join_paths(folders) {
        Ok(path) => path,
        Err(error) => panic!("no PATH: {error}"),
    }
}

fn version(source: Source) -> String {
    match source {
        Source::Debian(package) => {
            let mut ask = Command::new("dpkg-query");
            ask.args(["--show", "--showformat=${Version}", package]);
            format!("{} (Debian)", process::run(ask, SOON).successful().stdout)
        }
        Source::Python(_, version) => format!("{version} (PyPI)"),
        Source::Npm(_, version) => format!("{version} (npm)"),
    }
}

/// What is kept: at least one packet of each class to each port, and then the first ones.
fn choose(datagrams: Vec<Datagram>) -> Vec<Datagram> {
    let sent: Vec<_> = datagrams
        .into_iter()
        .filter(|datagram| datagram.sent && PORTS.contains(&datagram.destination.port()))
        .collect();
    let mut met = HashSet::new();
    let is_new =
        |datagram: &Datagram| met.insert((class(&datagram.payload), datagram.destination.port()));
    let (mut kept, others): (Vec<_>, Vec<_>) = sent.into_iter().partition(is_new);
    kept.extend(others);
    kept.truncate(KEPT);
    kept.sort_by_key(|datagram| datagram.at);
    kept
}

fn frame(datagram: Datagram) -> Frame {
    let at = datagram.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Frame {
        at,
        bytes: datagram.frame,
    }
}

/// What a payload is, told without sip-filter's classifier, which is tested by it.
fn class(payload: &[u8]) -> String {
    const METHODS: [&str; 14] = [
        "REGISTER",
        "INVITE",
        "ACK",
        "BYE",
        "CANCEL",
        "OPTIONS",
        "PRACK",
        "SUBSCRIBE",
        "NOTIFY",
        "PUBLISH",
        "INFO",
        "REFER",
        "MESSAGE",
        "UPDATE",
    ];
    let is_stun = payload.len() >= 20 && payload[4..8] == [0x21, 0x12, 0xa4, 0x42];
    let line_ends = payload.iter().all(|byte| b"\r\n".contains(byte));
    let zeros = payload.len() <= 4 && payload.iter().all(|byte| *byte == 0);
    if is_stun || line_ends || zeros {
        return "keepalive".to_owned();
    }
    let line = payload
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let words: Vec<_> = line.split_whitespace().collect();
    let name = match words.as_slice() {
        ["SIP/2.0", ..] => "response",
        [method, _, "SIP/2.0"] if METHODS.contains(method) => method,
        [_, _, "SIP/2.0"] => "OTHER",
        _ => "malformed",
    };
    name.to_owned()
}
