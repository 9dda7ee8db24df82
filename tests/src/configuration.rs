//! Configuration files of a test's own, in a folder that is gone with the test.

use std::{fs, path::PathBuf};

use crate::namespace::{FILTERED, Folder};

/// The name of the file, in its folder.
const NAME: &str = "config.toml";

/// A folder with a configuration file, and with what the file names.
#[derive(Debug)]
pub struct Configuration {
    folder: Folder,
}

impl Configuration {
    /// A file that says this.
    ///
    /// # Panics
    ///
    /// If it cannot be written, as for all that write.
    pub fn new(text: &str) -> Self {
        let configuration = Self {
            folder: Folder::new(),
        };
        configuration.say(text);
        configuration
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(NAME)
    }

    /// Has it say this from now on.
    ///
    /// # Panics
    ///
    /// As [`Configuration::new`].
    pub fn say(&self, text: &str) {
        self.write(NAME, text);
    }

    /// Puts another file beside it.
    ///
    /// # Panics
    ///
    /// As [`Configuration::new`].
    pub fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        if let Err(error) = fs::write(&path, text) {
            panic!("cannot write {}: {error}", path.display());
        }
    }

    /// As an option.
    pub fn option(&self) -> String {
        format!("--config {}", self.path().display())
    }
}

/// The example that comes with the source, for [`FILTERED`]; with all that is switched off in it if
/// `whole`.
pub fn example(whole: bool) -> String {
    let text = include_str!("../../sip-filter/config.toml");
    let text = text.replace("\"eth0\"", &format!("\"{FILTERED}\""));
    let is_setting = |text: &str| text.starts_with(|c: char| c.is_ascii_lowercase() || c == '[');
    let line = |line: &str| match line.strip_prefix('#') {
        Some(setting) if whole && is_setting(setting) => format!("{setting}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}
