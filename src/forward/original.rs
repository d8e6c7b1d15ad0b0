//! The request that a proxy asks about, read strictly: what is not clear is a refusal, not a guess.

use std::borrow::Cow;
use std::net::Ipv6Addr;

/// A request to somebody else's site, as the proxy tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    /// Upper case.
    pub method: Cow<'static, str>,
    /// Lower case, without port and dot at the end.
    pub host: Box<str>,
    /// Decoded, without the query; `None` where an app behind the proxy may understand another path
    /// than we do.
    pub path: Option<Box<str>>,
    /// A browser asks whether it may ask (Fetch standard, "CORS-preflight request").
    pub is_preflight: bool,
}

/// Why the proxy's words can't be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginalFault {
    /// The header does not stand there exactly once.
    #[error("{0} must stand in the proxy's request exactly once")]
    NotOnce(&'static str),
    /// The header does not say what it should.
    #[error("{0} can't be understood")]
    Malformed(&'static str),
    /// Whoever asks is none of `[server] trusted_proxies`.
    #[error("the peer is none of the trusted proxies")]
    Untrusted,
}

/// Encoded characters that apps decode to something with a meaning in paths, or reject.
const MEANT: [u8; 8] = [b'#', b'%', b'.', b'/', b';', b'?', b'\\', 0x7f];

impl Original {
    /// From the values of `X-Forwarded-Method`, `-Proto`, `-Host` and `-Uri`.
    ///
    /// # Errors
    /// [`OriginalFault::Malformed`] names the first header that can't be understood.
    pub fn parse(
        method: &[u8],
        proto: &[u8],
        host: &[u8],
        uri: &[u8],
        asks_for_preflight: bool,
    ) -> Result<Self, OriginalFault> {
        let malformed = OriginalFault::Malformed;
        let is_method = |text: &&str| {
            (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase())
        };
        let method = text(method).filter(is_method);
        let method = method.ok_or(malformed("X-Forwarded-Method"))?;
        if !matches!(proto, b"http" | b"https" | b"ws" | b"wss") {
            return Err(malformed("X-Forwarded-Proto"));
        }
        let host = text(host).and_then(parse_host);
        let host = host.ok_or(malformed("X-Forwarded-Host"))?;
        if !uri.starts_with(b"/") || uri.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
            return Err(malformed("X-Forwarded-Uri"));
        }
        let path = uri.split(|byte| *byte == b'?').next().unwrap_or_default();
        Ok(Self {
            is_preflight: asks_for_preflight && method == "OPTIONS",
            method: method_name(method),
            host: host.into(),
            path: clean_path(path).map(Into::into),
        })
    }
}

/// Without a copy of those that mostly come.
fn method_name(method: &str) -> Cow<'static, str> {
    const USUAL: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    match USUAL.into_iter().find(|usual| *usual == method) {
        Some(usual) => Cow::Borrowed(usual),
        None => Cow::Owned(method.to_owned()),
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// A host in its one spelling: lower case, without port and dot at the end.
pub(super) fn parse_host(text: &str) -> Option<String> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        let has_port = port.is_empty() || is_port(port.strip_prefix(':')?);
        return has_port.then(|| format!("[{address}]"));
    }
    let mut host = Vec::with_capacity(text.len());
    let mut label = 0;
    for (byte, place) in text.bytes().zip(1..) {
        match byte {
            b'.' if label > 0 => label = 0,
            b':' if is_port(text.get(place..)?) => break,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' if label < 63 => label += 1,
            _ => return None,
        }
        host.push(byte.to_ascii_lowercase());
    }
    if host.last() == Some(&b'.') {
        host.pop();
    }
    if host.is_empty() || host.len() > 253 {
        return None;
    }
    String::from_utf8(host).ok()
}

fn is_port(text: &str) -> bool {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// A path, decoded, that everybody understands in the same way; `None` for any other.
pub(super) fn clean_path(path: &[u8]) -> Option<String> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' | b';' | b'#' => return None,
            0..=b' ' | 0x7f => return None,
            b'%' => {
                let mut digit = || char::from(*rest.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                let byte = u8::try_from(high * 16 + low).ok()?;
                if byte < b' ' || MEANT.contains(&byte) {
                    return None;
                }
                decoded.push(byte);
            }
            byte => decoded.push(*byte),
        }
    }
    let decoded = String::from_utf8(decoded).ok()?;
    let (first, segments) = decoded.split_once('/')?;
    let mut segments = segments.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if matches!(segment, "." | "..") || (segment.is_empty() && !is_last) {
            return None;
        }
    }
    first.is_empty().then_some(decoded)
}
