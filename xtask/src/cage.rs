//! Starts a command in a cage: namespaces of its own for processes and mounts, in which folders for
//! temporary files and for network namespaces are in memory. Whatever ends the command, or whoever
//! started it, the kernel takes all back that it has made: processes, mounts, pins, network namespaces,
//! files. What is to be kept is written elsewhere.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

/// What is done in there before the command is started.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cage.sh");

/// The words in front of a command that start it in a cage. They need root, and a parent: as soon as that
/// ends, all in the cage is killed.
///
/// `folder` is made where it is not there; it stays, and stays empty.
pub fn words(folder: &Path) -> Result<Vec<String>> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let folder = folder
        .to_str()
        .context("a path with other characters than Unicode's")?;
    let fixed = ["setpriv", "--pdeathsig", "KILL"]
        .into_iter()
        .chain(["unshare", "--mount", "--pid", "--mount-proc"])
        .chain(["--fork", "--kill-child", "sh", SCRIPT]);
    Ok(fixed.chain([folder]).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use std::{
        env,
        io::{BufRead as _, BufReader, Read as _},
        os::unix::process::CommandExt as _,
        process::{Command, Stdio, id},
        time::{Duration, Instant},
    };

    use super::*;

    /// What is in the cage ends by itself after this many seconds.
    const LONGEST: u64 = 60;

    #[test]
    fn whatever_ends_a_cage_nothing_is_left_of_it() {
        for (signal, whole_group) in [
            ("KILL", false),
            ("TERM", false),
            ("INT", true),
            ("TERM", true),
        ] {
            let name = format!("sip-filter-cage-{}-{signal}-{whole_group}", id());
            let folder = env::temp_dir().join(&name);
            let words = words(&folder).unwrap_or_else(|error| panic!("{error:#}"));
            let makes = format!(
                "set -e; ip netns add {name}; mkdir $TMPDIR/pins; mount -t bpf bpf $TMPDIR/pins; \
                 ls /run/netns $TMPDIR; echo made; exec ip netns exec {name} sleep {LONGEST}"
            );
            let started = Instant::now();
            // The shell stays, for what ends is the parent of the cage.
            let mut parent = Command::new("sh")
                .args(["-c", r#""$@"; true"#, "sh"])
                .args(words)
                .args(["sh", "-c", &makes])
                .process_group(0)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap_or_else(|error| panic!("{error}"));
            let Some(said) = parent.stdout.take() else {
                panic!("nothing to read");
            };
            let mut said = BufReader::new(said);
            let mut made = String::new();
            while !made.ends_with("made\n") {
                let read = said.read_line(&mut made);
                assert!(read.is_ok_and(|length| length > 0), "{made}");
            }
            assert!(made.contains(&name) && made.contains("pins"), "{made}");
            let group = if whole_group { "-" } else { "" };
            let kill = format!("kill -s {signal} -- {group}{}", parent.id());
            let killed = Command::new("sh").args(["-c", &kill]).status();
            assert!(killed.is_ok_and(|status| status.success()), "{kill}");
            // The other end is closed once no process of it is left.
            let left = said.read_to_end(&mut Vec::new());
            assert!(left.is_ok(), "{left:?}");
            let took = started.elapsed();
            assert!(took < Duration::from_secs(LONGEST), "{kill}: {took:?}");
            let _ = parent.wait();
            assert!(!Path::new("/run/netns").join(&name).exists(), "{kill}");
            // It is no mount, and empty.
            let removed = fs::remove_dir(&folder);
            assert!(removed.is_ok(), "{kill}: {removed:?}");
        }
    }
}
