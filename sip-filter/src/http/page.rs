//! The page: what a browser loads, all of it from here.

/// A file of the page.
#[derive(Clone, Copy)]
pub(super) struct File {
    /// Its media type.
    pub(super) kind: &'static str,
    /// What it holds.
    pub(super) text: &'static str,
}

/// The file at this path.
pub(super) fn file(path: &str) -> Option<File> {
    let (kind, text) = match path {
        "/" => ("text/html; charset=utf-8", include_str!("page/index.html")),
        "/page.css" => ("text/css; charset=utf-8", include_str!("page/page.css")),
        "/page.js" => (
            "text/javascript; charset=utf-8",
            include_str!("page/page.js"),
        ),
        "/charts.js" => (
            "text/javascript; charset=utf-8",
            include_str!("page/charts.js"),
        ),
        "/icon.svg" => ("image/svg+xml", include_str!("page/icon.svg")),
        _ => return None,
    };
    Some(File { kind, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_loaded_from_elsewhere_and_nothing_is_inline() {
        for path in ["/", "/page.css", "/page.js", "/charts.js", "/icon.svg"] {
            let text = file(path).unwrap().text;
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for forbidden in ["http:", "https:", "innerHTML", "<style", "style=", "eval("] {
                assert!(!text.contains(forbidden), "{path}: {forbidden}");
            }
        }
        assert!(file("/page").is_none());
    }
}
