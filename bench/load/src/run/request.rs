//! The HTTP requests of the generator: one shape, with the name of the host put in. `minimal` is a request line and
//! Host; `browser` is what a browser sends for a page, twelve fields and about 600 bytes.

use std::str::FromStr;

use super::Names;
use crate::args::Args;

/// Name of the host where none is given.
pub(super) const HOST: &str = "www.bench.example";

/// How much a request says.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    Minimal,
    Browser,
}

impl FromStr for Shape {
    type Err = ();
    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "minimal" => Ok(Self::Minimal),
            "browser" => Ok(Self::Browser),
            _ => Err(()),
        }
    }
}

/// What is asked for, and how.
pub(super) struct Asking {
    /// Path of every request.
    pub path: String,
    /// A new connection for every request.
    pub fresh: bool,
    names: Option<Names>,
    before_host: Vec<u8>,
    after_host: Vec<u8>,
    written: Vec<u8>,
}

impl Asking {
    /// Takes `--request`, `--path` and `--fresh`.
    pub fn take(args: &mut Args) -> Result<Self, String> {
        let shape = args.take_or("request", Shape::Minimal)?;
        let path: String = args.take_or("path", "/".to_owned())?;
        let fresh = args.take_or("fresh", 0u8)? != 0;
        if !path.starts_with('/') || path.bytes().any(|byte| byte <= b' ' || byte >= 0x7f) {
            return Err(format!("--path: {path} is no path"));
        }
        Ok(Self::new(shape, path, fresh))
    }

    /// The same, when there is a path.
    pub fn take_if_path(args: &mut Args) -> Result<Option<Self>, String> {
        if args.has("path") { Self::take(args).map(Some) } else { Ok(None) }
    }

    /// The same, for hosts of these names.
    pub fn with(self, names: Option<Names>) -> Self {
        Self { names, ..self }
    }

    fn new(shape: Shape, path: String, fresh: bool) -> Self {
        let before_host = format!("GET {path} HTTP/1.1\r\nHost: ").into_bytes();
        let after_host = match (shape, fresh) {
            (Shape::Minimal, false) => "\r\n\r\n".to_owned(),
            (Shape::Minimal, true) => "\r\nConnection: close\r\n\r\n".to_owned(),
            (Shape::Browser, false) => format!("\r\nConnection: keep-alive\r\n{BROWSER}\r\n"),
            (Shape::Browser, true) => format!("\r\nConnection: close\r\n{BROWSER}\r\n"),
        };
        let after_host = after_host.into_bytes();
        Self { path, fresh, names: None, before_host, after_host, written: Vec::new() }
    }

    /// The next request.
    pub fn next(&mut self) -> &[u8] {
        let host = self.names.as_mut().map_or(HOST, Names::next_name);
        self.written.clear();
        self.written.extend_from_slice(&self.before_host);
        self.written.extend_from_slice(host.as_bytes());
        self.written.extend_from_slice(&self.after_host);
        &self.written
    }
}

/// The fields behind Host and Connection.
const BROWSER: &str = "sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\", \"Google Chrome\";v=\"140\"\r\n\
sec-ch-ua-mobile: ?0\r\n\
sec-ch-ua-platform: \"Linux\"\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
Sec-Fetch-Site: same-origin\r\n\
Sec-Fetch-Mode: navigate\r\n\
Referer: https://www.bench.example/\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Accept-Language: en-GB,en;q=0.9\r\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Head;

    fn text(asking: &mut Asking) -> String {
        String::from_utf8(asking.next().to_vec()).unwrap()
    }

    #[test]
    fn a_minimal_request_is_a_line_and_a_host() {
        let mut asking = Asking::new(Shape::Minimal, "/bytes/7".to_owned(), false);
        assert_eq!(text(&mut asking), "GET /bytes/7 HTTP/1.1\r\nHost: www.bench.example\r\n\r\n");
        let mut fresh = Asking::new(Shape::Minimal, "/".to_owned(), true);
        assert!(text(&mut fresh).ends_with("\r\nConnection: close\r\n\r\n"));
    }

    #[test]
    fn a_browsers_request_has_twelve_fields_and_about_600_bytes() {
        for fresh in [false, true] {
            let text = text(&mut Asking::new(Shape::Browser, "/".to_owned(), fresh));
            let head = Head::parse(text.as_bytes()).unwrap().unwrap();
            assert_eq!(head.length, text.len());
            assert_eq!((head.close, head.keep_alive), (fresh, !fresh));
            assert_eq!(text.matches("\r\n").count(), 1 + 12 + 1);
            assert!((550..650).contains(&text.len()), "{}", text.len());
        }
    }

    #[test]
    fn hosts_are_drawn_from_the_names() {
        let mut args = Args::parse(["--host", "one.example"].map(str::to_owned).into_iter()).unwrap();
        let names = Names::take(&mut args).unwrap();
        let mut asking = Asking::new(Shape::Minimal, "/".to_owned(), false).with(names);
        assert!(text(&mut asking).contains("\r\nHost: one.example\r\n"));
    }

    #[test]
    fn a_path_that_would_break_the_request_is_refused() {
        for path in ["x", "/a b", "/\r\n", ""] {
            let mut args = Args::parse(["--path", path].map(str::to_owned).into_iter()).unwrap();
            assert!(Asking::take(&mut args).is_err(), "{path:?}");
        }
    }
}
