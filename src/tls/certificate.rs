//! A certificate with its key, read and found to belong together.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::time::Time;

use super::provider;
use crate::clock::Timestamp;
use crate::config::TlsFiles;
use crate::file::{self, FileFault};

/// More than any chain or key has.
const LIMIT: usize = 1024 * 1024;

/// Why TLS can't be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// One of the two files.
    #[error("{}: {fault}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        fault: FileFault,
    },
    /// What is in it.
    #[error("{}: {what}", .path.display())]
    Content {
        /// Which one.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// They are of two pairs.
    #[error("{} is not the key of {}", .0.key.display(), .0.certificate.display())]
    Pair(TlsFiles),
    /// The library refused.
    #[error("TLS: {0}")]
    Library(Error),
}

/// What a client is shown.
pub struct Certificate {
    key: Arc<CertifiedKey>,
    is_key_open: bool,
    /// The names that it is for, as they stand in it: of hosts, and addresses. Without those that no host has.
    pub names: Vec<String>,
    /// From when it is good.
    pub begin: Timestamp,
    /// Until when.
    pub end: Timestamp,
}

impl Certificate {
    /// Reads both files.
    ///
    /// # Errors
    /// They can't be read, hold no certificate or no key, or those of two pairs.
    pub fn load(files: &TlsFiles) -> Result<Self, TlsFault> {
        let chain = read(&files.certificate, |pem| {
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
            match chain {
                Ok(chain) if chain.is_empty() => Err("holds no certificate (PEM)"),
                Ok(chain) => Ok(chain),
                Err(_) => Err("is broken: a certificate in it is no PEM"),
            }
        })?;
        let key = read(&files.key, |pem| {
            PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
                _ if is_encrypted(pem) => {
                    "the private key is encrypted: store it without a passphrase, for this user only"
                }
                pem::Error::NoItemsFound => "holds no private key (PEM)",
                _ => "is broken: the private key in it is no PEM",
            })
        })?;
        let content = |path: &Path, what| {
            let path = path.to_owned();
            move |_: Error| TlsFault::Content { path, what }
        };
        let unreadable = "is broken: the first certificate in it is none";
        let facts = chain.first().and_then(|first| facts(first));
        let (names, begin, end) = facts.ok_or_else(|| TlsFault::Content {
            path: files.certificate.clone(),
            what: unreadable,
        })?;
        let provider = provider();
        let key = provider.key_provider.load_private_key(key);
        let key = key.map_err(content(&files.key, "is no private key that TLS can use"))?;
        let key = CertifiedKey::new(chain, key);
        match key.keys_match() {
            Ok(()) => {}
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                return Err(TlsFault::Pair(files.clone()));
            }
            Err(error) => {
                let what = "the first certificate is none that TLS can use, such as one of X.509 version 1";
                return Err(content(&files.certificate, what)(error));
            }
        }
        Ok(Self {
            key: Arc::new(key),
            is_key_open: is_open(&files.key),
            names,
            begin,
            end,
        })
    }

    pub(super) fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.key)
    }

    /// What whoever runs the server should mend, whatever the time is.
    pub fn warnings(&self, files: &TlsFiles) -> Vec<String> {
        let (key, certificate) = (files.key.display(), files.certificate.display());
        let open = self.is_key_open.then(|| {
            format!(
                "{key}: every user of this machine can read the private key; take that right away (chmod o= {key})"
            )
        });
        let nameless = self.names.is_empty().then(|| {
            format!(
                "{certificate}: the certificate names no host (subjectAltName): most clients refuse it; get one that does"
            )
        });
        open.into_iter().chain(nameless).collect()
    }

    /// A host that a client can ask for, if it names one in full.
    pub fn host(&self) -> Option<&str> {
        let names = self.names.iter().map(String::as_str);
        names.into_iter().find(|name| !name.starts_with('*'))
    }
}

fn read<T>(path: &Path, parse: impl Fn(&[u8]) -> Result<T, &'static str>) -> Result<T, TlsFault> {
    let bytes = file::read_regular(path, LIMIT).map_err(|fault| TlsFault::File {
        path: path.to_owned(),
        fault,
    })?;
    parse(&bytes).map_err(|what| TlsFault::Content {
        path: path.to_owned(),
        what,
    })
}

/// Whether anybody can read it.
fn is_open(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.mode() & 0o004 != 0)
}

fn is_encrypted(pem: &[u8]) -> bool {
    let mark = b"ENCRYPTED";
    pem.windows(mark.len()).any(|window| window == mark)
}

/// Names, begin and end, without a judgement on them: that is the client's.
fn facts(der: &[u8]) -> Option<(Vec<String>, Timestamp, Timestamp)> {
    let certificate = CertificateInner::<Raw>::from_der(der).ok()?;
    let certificate = certificate.tbs_certificate();
    let names = certificate.get_extension::<SubjectAltName>();
    let names = names.ok()?.map(|(_, names)| names.0).unwrap_or_default();
    let names = names.iter().filter_map(|name| match name {
        GeneralName::DnsName(name) => {
            let is_of_host =
                |letter: char| letter.is_ascii_alphanumeric() || "-._*".contains(letter);
            Some(name.to_string()).filter(|name| name.chars().all(is_of_host))
        }
        GeneralName::IpAddress(address) => address_of(address.as_bytes()),
        _ => None,
    });
    let validity = certificate.validity();
    let moment = |time: Time| {
        let micros = time.to_unix_duration().as_micros();
        Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    };
    let names = names.collect();
    Some((
        names,
        moment(validity.not_before),
        moment(validity.not_after),
    ))
}

fn address_of(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let v6 = <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    v4.or(v6).ok().map(|address| address.to_string())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    #[test]
    fn names_that_no_host_has_are_not_repeated() {
        let names = ["a\nFAKE line", "$(id)", "*.home.arpa", "nas.home.arpa"];
        let mut params = CertificateParams::default();
        let names = names.map(|name| SanType::DnsName(name.try_into().unwrap()));
        params.subject_alt_names = names.into();
        let address = "2001:db8::1".parse().unwrap();
        params.subject_alt_names.push(SanType::IpAddress(address));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let (names, ..) = facts(certificate.der()).unwrap();
        assert_eq!(names, ["*.home.arpa", "nas.home.arpa", "2001:db8::1"]);
    }
}
