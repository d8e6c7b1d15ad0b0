//! A site behind a reverse proxy that asks netbird-auth.

use super::proxy::{Kind, Proxy};
use super::upstream::{Relay, Seen, Upstream};
use super::{Client, Crowd, Idp, Response, Server};

/// The name of the site.
pub const HOST: &str = "grafana.home.arpa";

/// The narrow ones first. The last is for another site, which is none of this proxy's.
const RULES: &str = r#"
[[forward_auth.rule]]
host = "grafana.home.arpa"
path_prefix = "/admin"
allow_roles = ["admin"]
[[forward_auth.rule]]
host = "grafana.home.arpa"
path_prefix = "/public"
public = true
[[forward_auth.rule]]
host = "grafana.home.arpa"
path_prefix = "/feed"
methods = ["GET"]
public = true
[[forward_auth.rule]]
host = "grafana.home.arpa"
path_prefix = "/api"
methods = ["GET"]
cors_preflight = true
[[forward_auth.rule]]
host = "grafana.home.arpa"
path_prefix = "/far"
methods = ["PUT"]
client_cidrs = ["10.0.0.0/8"]
[[forward_auth.rule]]
host = "grafana.home.arpa"
path_prefix = "/near"
methods = ["PUT"]
client_cidrs = ["127.0.0.1"]
[[forward_auth.rule]]
host = "grafana.home.arpa"
[[forward_auth.rule]]
host = "open.home.arpa"
public = true
"#;

/// netbird-auth, an app, and a proxy between them and the test.
pub struct Site {
    pub kind: Kind,
    pub server: Server,
    /// Between the proxy and netbird-auth.
    pub relay: Relay,
    pub upstream: Upstream,
    pub idp: Idp,
    /// A token of `ann`, a user, and its id.
    pub ann: (String, String),
    /// The same of `root`, an admin.
    pub root: (String, String),
    proxy: Proxy,
}

/// What came of a request.
pub struct Outcome {
    pub response: Response,
    /// What the app got of it.
    pub seen: Vec<Seen>,
}

impl Site {
    /// `None` where the machine has no such proxy.
    pub fn behind(kind: Kind) -> Option<Self> {
        if !kind.is_installed() {
            return None;
        }
        let idp = Idp::new("home", "EdDSA");
        let crowd = Crowd::new();
        crowd.user("ann", "user", false);
        let change = "UPDATE users SET name = 'Änn, the first', auto_groups = '[\"g1\", \"a,b\"]'
                      WHERE id = 'ann'";
        crowd.database.execute(change, ()).unwrap();
        let ann = crowd.token("ann", "first");
        crowd.user("root", "admin", false);
        let root = crowd.token("root", "first");
        crowd.jwt_user("jo", "home", "user", 0);
        let folder = std::path::PathBuf::from(crowd.database.path().unwrap());
        let folder = folder.parent().unwrap();
        let settings = format!("{RULES}{}", idp.toml());
        std::fs::write(folder.join("netbird-auth.toml"), settings).unwrap();
        idp.write_jwks(folder, &[idp.key.jwk()]);
        let server = crowd.start();
        let relay = Relay::start(server.address);
        let upstream = Upstream::start();
        let proxy = Proxy::start(kind, relay.address, upstream.address);
        Some(Self {
            kind,
            server,
            relay,
            upstream,
            idp,
            ann,
            root,
            proxy,
        })
    }

    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Outcome {
        self.send("GET", path, headers, b"")
    }

    /// A GET with ann's token and further headers.
    pub fn as_ann(&self, path: &str, headers: &[(&str, &str)]) -> Outcome {
        self.with_token(&self.ann.0, "GET", path, headers)
    }

    pub fn with_token(
        &self,
        token: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Outcome {
        let authorization = format!("Token {token}");
        let mut all = vec![("Authorization", authorization.as_str())];
        all.extend(headers);
        self.send(method, path, &all, b"")
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Outcome {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n");
        // A proxy heeds what a client says of its connection.
        if !headers.iter().any(|(name, _)| *name == "Connection") {
            head += "Connection: close\r\n";
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        head += "\r\n";
        self.raw(&[head.as_bytes(), body].concat())
    }

    /// A request to the byte, which should end the connection.
    pub fn raw(&self, request: &[u8]) -> Outcome {
        let client = Client {
            address: self.proxy.address,
            authorization: None,
        };
        let shown = String::from_utf8_lossy(&request[..request.len().min(400)]);
        let response = client
            .raw(request)
            .unwrap_or_else(|error| panic!("{error}: {shown}"));
        Outcome {
            response,
            seen: self.upstream.take(),
        }
    }

    /// A connection to the proxy.
    pub fn connection(&self) -> super::Connection {
        super::Connection::open(self.proxy.address)
    }

    pub fn port(&self) -> u16 {
        self.proxy.address.port()
    }
}

impl Outcome {
    /// What the app got, of a request that it answered itself.
    #[track_caller]
    pub fn passed(&self) -> &Seen {
        assert_eq!(self.response.status, 200, "{}", self.response.text());
        assert_eq!(self.seen.len(), 1, "{:?}", self.seen);
        &self.seen[0]
    }

    /// Checks the status, and that the app got nothing.
    #[track_caller]
    pub fn stopped(&self, status: u16) {
        assert_eq!(self.response.status, status, "{:?}", self.seen);
        assert!(self.seen.is_empty(), "{:?}", self.seen);
    }
}

impl Seen {
    /// Checks what stands in each of the five headers, and in none twice, in any spelling.
    #[track_caller]
    pub fn is_of(&self, identity: [&str; 5]) {
        const NAMES: [&str; 5] = [
            "Remote-User",
            "Remote-Name",
            "Remote-Email",
            "Remote-Groups",
            "X-Netbird-Auth-Token-Id",
        ];
        for (name, value) in NAMES.iter().zip(identity) {
            assert_eq!(self.all(name), [value], "{name}");
        }
    }

    /// Checks that no header has a credential for netbird-auth.
    #[track_caller]
    pub fn has_no_credential(&self) {
        for name in ["Authorization", "X-Api-Key"] {
            assert_eq!(self.all(name), [""; 0], "{name}");
        }
        let text = format!("{:?} {}", self.headers, self.trailers).to_lowercase();
        for part in ["nbp_", "eyj"] {
            assert!(!text.contains(part), "{text}");
        }
    }
}

/// One test a proxy for each function of a site.
macro_rules! with_each_proxy {
    ($($fact:ident,)*) => {
        crate::support::with_each_proxy!(@ nginx, Nginx, $($fact,)*);
        crate::support::with_each_proxy!(@ caddy, Caddy, $($fact,)*);
    };
    (@ $proxy:ident, $kind:ident, $($fact:ident,)*) => {
        mod $proxy {
            $(#[test]
            fn $fact() {
                use crate::support::{Kind, Site};
                if let Some(site) = Site::behind(Kind::$kind) {
                    super::$fact(&site);
                }
            })*
        }
    };
}
pub(crate) use with_each_proxy;
