//! The root file system of the emulated machine: busybox, the test binaries, the files that they
//! read, and the script that the kernel starts. Written as a cpio archive of the kind that the
//! kernel unpacks into memory (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::command;

/// What the machine says of itself, among what the tests say.
pub const MARK: &str = "[vm] ";
/// It is up, and starts with its work.
pub const UP: &str = "up";
/// It has done its work and turns itself off.
pub const DONE: &str = "done";

/// What the machine does once it is up.
#[derive(Clone, Copy)]
pub enum Task<'a> {
    /// Run each test binary with these arguments.
    Tests(&'a [OsString]),
    /// Run this in a shell.
    Command(&'a OsStr),
}

/// The whole archive: test binaries by name, and folders that are to have the same path there;
/// one that does not exist is left out.
pub fn archive(
    busybox: &Path,
    binaries: &[(&str, PathBuf)],
    folders: &[PathBuf],
    task: Task<'_>,
) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    let names = binaries.iter().map(|(name, _)| *name);
    archive.file("/init", 0o755, &init(names, task));
    archive.file("/bin/busybox", 0o755, &read(busybox)?);
    for (name, path) in binaries {
        archive.file(format!("/tests/{name}"), 0o755, &read(path)?);
    }
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        archive.tree(folder)?;
    }
    for folder in ["/dev", "/proc", "/sys", "/tmp"] {
        archive.folder(Path::new(folder));
    }
    Ok(archive.finish())
}

/// The script that the kernel starts. The BIOS leaves an unfinished line on the console. The tests'
/// own words come with `--show-output`: there a test says what it leaves out on a kernel that
/// cannot do it. Nothing is mounted over /tmp: the checkout, and so what tests read, may be there.
fn init<'a>(binaries: impl Iterator<Item = &'a str>, task: Task<'_>) -> Vec<u8> {
    let mut script = OsString::from(format!(
        "#!/bin/busybox sh
set -e
export PATH=/bin
busybox mount -t proc proc /proc
busybox --install -s /bin
mount -t sysfs sys /sys
mount -t bpf bpf /sys/fs/bpf
ip link set lo up
ulimit -l unlimited
cd /tmp
set +e
echo
echo '{MARK}{UP}'
"
    ));
    let programs: Vec<_> = match task {
        Task::Tests(arguments) => binaries
            .map(|name| {
                let mut line = OsString::from(format!("/tests/{name} --show-output"));
                for argument in arguments {
                    line.push(" ");
                    line.push(command::quoted(&argument.to_string_lossy()));
                }
                (name, line)
            })
            .collect(),
        Task::Command(line) => vec![("the command", line.into())],
    };
    for (name, line) in programs {
        script.push(line);
        script.push(format!("\necho \"{MARK}$? {name}\"\n"));
    }
    script.push(format!("echo '{MARK}{DONE}'\npoweroff -f\n"));
    script.into_encoded_bytes()
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// A cpio archive that is being written, in the format called newc.
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    entries: u32,
    folders: BTreeSet<PathBuf>,
}

/// What stands before the permissions in the mode of a file (inode(7)).
const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

impl Archive {
    /// A folder and all folders above it, each once: the kernel makes none by itself.
    fn folder(&mut self, folder: &Path) {
        let above: Vec<_> = folder.ancestors().collect();
        for folder in above.into_iter().rev() {
            if folder.parent().is_some() && self.folders.insert(folder.into()) {
                self.entry(folder.as_os_str(), FOLDER | 0o755, &[]);
            }
        }
    }

    fn file(&mut self, path: impl AsRef<Path>, permissions: u32, content: &[u8]) {
        let path = path.as_ref();
        if let Some(folder) = path.parent() {
            self.folder(folder);
        }
        self.entry(path.as_os_str(), REGULAR | permissions, content);
    }

    /// A folder with all that is in it.
    fn tree(&mut self, folder: &Path) -> Result<()> {
        self.folder(folder);
        let entries =
            fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                self.tree(&path)?;
            } else {
                self.file(&path, 0o644, &read(&path)?);
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: &OsStr, mode: u32, content: &[u8]) {
        self.entries += 1;
        let name = path.as_bytes();
        let name = name.strip_prefix(b"/").unwrap_or(name);
        let (length, name_length) = (content.len(), name.len() + 1);
        // In this order: inode, mode, user, group, links, time, length, four numbers of devices,
        // length of the name with the zero behind it, check.
        let header = format!(
            "070701{:08X}{mode:08X}{zero:08X}{zero:08X}{:08X}{zero:08X}{length:08X}\
             {zero:08X}{zero:08X}{zero:08X}{zero:08X}{name_length:08X}{zero:08X}",
            self.entries,
            1,
            zero = 0
        );
        self.bytes.extend(header.as_bytes());
        self.bytes.extend(name);
        self.bytes.push(0);
        self.align();
        self.bytes.extend(content);
        self.align();
    }

    fn align(&mut self) {
        let aligned = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(aligned, 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.entry(OsStr::new("TRAILER!!!"), 0, &[]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_each_folder_once_and_before_what_is_in_it() {
        let mut archive = Archive::default();
        archive.file("/a/b/one", 0o755, b"1");
        archive.file("/a/b/two", 0o644, b"22222");
        archive.folder(Path::new("/a/c"));
        let bytes = archive.finish();
        assert_eq!(bytes.len() % 4, 0);
        let text = bytes.escape_ascii().to_string();
        let entries: Vec<_> = text
            .split("070701")
            .skip(1)
            .map(|entry| {
                // Thirteen numbers of eight digits, and the name.
                let name = entry[13 * 8..].split(r"\x00").next();
                (&entry[8..16], &entry[48..56], name.unwrap_or_default())
            })
            .collect();
        assert_eq!(
            entries,
            [
                ("000041ED", "00000000", "a"),
                ("000041ED", "00000000", "a/b"),
                ("000081ED", "00000001", "a/b/one"),
                ("000081A4", "00000005", "a/b/two"),
                ("000041ED", "00000000", "a/c"),
                ("00000000", "00000000", "TRAILER!!!"),
            ]
        );
    }

    #[test]
    fn the_script_runs_each_binary_with_the_arguments_and_says_how_it_ended() {
        let arguments = ["a filter".into(), "--exact".into()];
        let script = init(["one", "two"].into_iter(), Task::Tests(&arguments));
        let script = String::from_utf8_lossy(&script);
        let end = "\
/tests/one --show-output 'a filter' --exact
echo \"[vm] $? one\"
/tests/two --show-output 'a filter' --exact
echo \"[vm] $? two\"
echo '[vm] done'
poweroff -f
";
        assert!(script.ends_with(end), "{script}");
    }
}
