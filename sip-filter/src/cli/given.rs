//! What a filter was given, kept for other processes: `reload` gives it again, `config show` shows
//! what came of it. A file for each filter, `STATE/INSTANCE.toml`; whoever reads it finds the old one
//! or the new one, whole, whatever happens meanwhile.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{MetadataExt as _, fchown},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::filter_options::FilterOptions;
use crate::config::{
    configuration::{Configuration, History, Row, as_toml},
    file,
};

/// What stands above it, for whoever looks.
const HEAD: &str = "\
# What sip-filter was given when it was last attached or reloaded. It is written anew each time;
# what is changed here changes nothing. Change the configuration file, and `sip-filter reload`.

";

/// What a filter was given.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Given {
    /// The kernel's number of the XDP program: another one was given something else.
    pub program: u32,
    /// The interfaces that it is attached to because a configuration file named them.
    pub from_file: Vec<String>,
    /// The command line.
    pub options: FilterOptions,
    /// What came of it all.
    pub in_force: Vec<Row>,
}

impl Given {
    /// Where it is kept.
    pub(super) fn path(state: &Path, instance: &str) -> PathBuf {
        state.join(format!("{instance}.toml"))
    }

    /// What this filter was given, if that is known.
    pub(super) fn read(state: &Path, instance: &str) -> Result<Option<Self>> {
        let path = Self::path(state, instance);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let given = toml::from_str(&text);
        given
            .map(Some)
            .with_context(|| format!("{} was not written by this sip-filter", path.display()))
    }

    /// What came of all that this filter was given, if that is known.
    pub(super) fn configuration(state: &Path, instance: &str) -> Option<Configuration> {
        let given = Self::read(state, instance).ok().flatten()?;
        let (configuration, mistakes) = file::parse(&as_toml(&given.in_force), Path::new("/"));
        mistakes.is_empty().then_some(configuration)
    }

    /// What is kept of what this filter counts, if that is known.
    pub(super) fn history(state: &Path, instance: &str) -> Option<History> {
        Self::configuration(state, instance).map(|configuration| configuration.history)
    }

    /// Keeps it.
    pub(super) fn write(&self, state: &Path, instance: &str) -> Result<()> {
        let path = Self::path(state, instance);
        let text = toml::to_string(self).context("what was given cannot be written down")?;
        let new = beside(state, instance);
        let write = || -> io::Result<()> {
            fs::create_dir_all(state)?;
            let mut file = File::create(&new)?;
            // Whoever may read the old one may read the new one.
            if let Ok(old) = fs::metadata(&path) {
                fchown(&file, None, Some(old.gid()))?;
                file.set_permissions(old.permissions())?;
            }
            file.write_all(HEAD.as_bytes())?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(state)?.sync_all()
        };
        write().map_err(|error| {
            let _ = fs::remove_file(&new);
            anyhow::Error::new(error).context(format!("cannot write {}", path.display()))
        })
    }

    /// Forgets what the filter was given.
    pub(super) fn remove(state: &Path, instance: &str) -> Result<()> {
        for path in [beside(state, instance), Self::path(state, instance)] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Forgets that these interfaces were asked for, and everything with the last one that the
    /// filter is attached to.
    pub(super) fn detached(
        state: &Path,
        instance: &str,
        interfaces: &[String],
        is_gone: bool,
    ) -> Result<()> {
        if is_gone {
            return Self::remove(state, instance);
        }
        let Some(mut given) = Self::read(state, instance)? else {
            return Ok(());
        };
        let stays = |name: &String| !interfaces.contains(name);
        given.from_file.retain(stays);
        // With none, those of the file would be asked for.
        if given.options.interfaces.iter().any(stays) {
            given.options.interfaces.retain(stays);
        }
        given.write(state, instance)
    }
}

/// Where it is written until it may take that one's place. The same each time, so that what a killed
/// process has left is written over by the next one: they take turns. No instance has such a name.
fn beside(state: &Path, instance: &str) -> PathBuf {
    state.join(format!(".{instance}.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::configuration::Configuration;

    fn folder(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("sip-filter-{name}-{}", std::process::id()))
    }

    #[test]
    fn what_was_given_is_read_as_it_was_written() {
        let state = folder("given");
        assert!(Given::read(&state, "edge").unwrap().is_none());
        let mut given = Given {
            program: 7,
            from_file: vec!["eth0".to_owned()],
            options: FilterOptions::default(),
            in_force: Configuration::default().rows(),
        };
        given.options.interfaces = vec!["eth1".to_owned(), "eth2".to_owned()];
        given.write(&state, "edge").unwrap();
        let read = Given::read(&state, "edge").unwrap().unwrap();
        assert_eq!(read.program, 7);
        assert_eq!(read.from_file, ["eth0"]);
        assert_eq!(read.options.interfaces, ["eth1", "eth2"]);
        assert_eq!(read.in_force, given.in_force);

        let gone = ["eth0".to_owned(), "eth1".to_owned()];
        Given::detached(&state, "edge", &gone, false).unwrap();
        let read = Given::read(&state, "edge").unwrap().unwrap();
        assert!(read.from_file.is_empty());
        assert_eq!(read.options.interfaces, ["eth2"]);

        Given::detached(&state, "edge", &gone, true).unwrap();
        assert_eq!(fs::read_dir(&state).unwrap().count(), 0, "something stays");
        fs::remove_dir(&state).unwrap();
    }
}
