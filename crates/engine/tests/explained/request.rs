//! Random requests, as they are explained and as they are sent.

use headworks_core::explain::Asked;

/// A request, as it is explained and as it is sent.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) listener: &'static str,
    pub(crate) sni: Option<&'static str>,
    pub(crate) host: Option<&'static str>,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) body: Option<usize>,
    pub(crate) user: &'static str,
}

impl Request {
    pub(crate) fn random(dice: &mut Dice) -> Self {
        let listener = dice.pick(&["web", "secure"]);
        let host = (!dice.one_in(12)).then(|| dice.pick(HOSTS));
        let plain = host.is_none_or(|host| !["a example", "", "A.Example.:8080"].contains(&host));
        let own = listener == "secure" && (!plain || dice.one_in(2));
        let method =
            dice.pick(&["GET", "GET", "HEAD", "POST", "POST", "DELETE", "OPTIONS", "CONNECT", "BREW"]);
        Self {
            listener,
            sni: own.then(|| dice.pick(&["a.example", "x.b.example", "c.example", "d.example"])),
            host,
            method,
            path: if dice.one_in(4) { dice.pick(&PATHS) } else { dice.pick(&PATHS[..7]) },
            body: (method == "POST").then(|| dice.pick(&[0, 5, 20])),
            user: dice.pick(&["one", "two", "three"]),
        }
    }

    pub(crate) fn fields(&self) -> Vec<(String, String)> {
        let length = self.body.map(|body| ("Content-Length".to_owned(), body.to_string()));
        length.into_iter().chain([("X-User".to_owned(), self.user.to_owned())]).collect()
    }

    pub(crate) fn asked(&self) -> Asked {
        Asked {
            alpn: Vec::new(),
            kind: None,
            time: 0,
            name: self.host.map(str::to_owned),
            sni: self.sni.map(str::to_owned),
            path: Some(self.path.to_owned()),
            method: Some(self.method.to_owned()),
            headers: self.fields(),
            client: Some([127, 0, 0, 1].into()),
            answers: None,
        }
    }

    /// Whoever says one name only means both by it.
    pub(crate) fn host(&self) -> Option<&str> {
        self.host.or(self.sni)
    }

    pub(crate) fn names_host(&self) -> bool {
        self.host().is_some_and(|host| !host.is_empty())
    }

    /// The name in the ClientHello.
    pub(crate) fn opened_for(&self) -> Option<&str> {
        self.sni.or(self.host.filter(|host| host.ends_with("example")))
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let port = if self.listener == "web" { 80 } else { 443 };
        let (host, method) = (self.host(), self.method);
        let target = match (method, host.unwrap_or_default()) {
            ("CONNECT", host) if host.ends_with(|last: char| last.is_ascii_digit()) && host.contains(':') => {
                host.to_owned()
            }
            ("CONNECT", host) => format!("{host}:{port}"),
            _ => self.path.to_owned(),
        };
        let version = if host.is_some() { "1.1" } else { "1.0" };
        let mut text = format!("{method} {target} HTTP/{version}\r\n");
        for (name, value) in
            host.map(|host| ("Host".to_owned(), host.to_owned())).into_iter().chain(self.fields())
        {
            text += &format!("{name}: {value}\r\n");
        }
        text += "\r\n";
        text += &"x".repeat(self.body.unwrap_or(0));
        text.into_bytes()
    }
}

/// Those behind the first seven are of no use to most requests.
const PATHS: [&str; 11] = [
    "/",
    "/api",
    "/api/x?q",
    "/x/%2e%2e/api",
    "/health",
    "/xy",
    "/x/y/z?long=enough-for-some-limits",
    "http://a.example/x?y",
    "*",
    "api",
    "/a path",
];
const HOSTS: &[&str] = &[
    "a.example",
    "a.example",
    "x.b.example",
    "x1.b.example",
    "b.example",
    "c.example",
    "d.example",
    "A.Example.:8080",
    "192.0.2.1",
    "[::1]:80",
    "a example",
    "",
];

/// Numbers that look random, the same for the same seed (SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    pub(crate) fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.roll(among.len() as u64) as usize]
    }
}
