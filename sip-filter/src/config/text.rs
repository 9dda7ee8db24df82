//! Text files that operators write.

use std::{fs, path::Path};

use anyhow::{Result, bail};

/// Reads a file as UTF-8.
///
/// # Errors
///
/// Those of the system; or where it is not UTF-8, which says the line, from 1.
pub fn read(path: &Path) -> Result<String> {
    match String::from_utf8(fs::read(path)?) {
        Ok(text) => Ok(text),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let before = &error.as_bytes()[..valid];
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            bail!("line {line} is not text in UTF-8; save the file in that encoding")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_in_another_encoding_is_named() {
        let path = std::env::temp_dir().join(format!("sip-filter-text-{}", std::process::id()));
        let said = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            read(&path).map_err(|error| error.to_string())
        };
        assert_eq!(said("# Größe\n".as_bytes()).unwrap(), "# Größe\n");
        // The same in ISO 8859-1.
        let error = said(b"drop = []\n# Gr\xf6\xdfe\n").unwrap_err();
        fs::remove_file(&path).unwrap();
        assert!(error.starts_with("line 2 is not text in UTF-8;"), "{error}");
    }
}
