//! The names of interfaces, as the kernel allows them.

use anyhow::{Result, bail};

/// The longest name of an interface, in bytes: IFNAMSIZ less the zero byte.
const MAX_NAME: usize = libc::IFNAMSIZ - 1;

/// A name that an interface can have, whether or not there is one.
///
/// # Errors
///
/// When no interface can have it.
pub fn name(text: &str) -> Result<String> {
    let forbidden = |c: char| c == '/' || c.is_whitespace() || c.is_control();
    if text.is_empty() || text.len() > MAX_NAME || text.contains(forbidden) {
        bail!("an interface's name has 1 to {MAX_NAME} bytes, without blanks and /");
    }
    Ok(text.to_owned())
}
