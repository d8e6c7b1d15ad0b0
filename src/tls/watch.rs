//! Looks whether the certificate's files have changed, and whether it is still good.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::{Certificate, Tls, TlsFault};
use crate::clock::Timestamp;
use crate::config::TlsFiles;
use crate::follow::Print;

/// Before its end a certificate should have a successor: so long before, or a sixth of its time if that is less.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// Follows the two files.
pub struct Watch {
    tls: Arc<Tls>,
    files: TlsFiles,
    seen: [Print; 2],
    /// Whether the last look failed: it is told if the next one does too, since whoever renews a certificate
    /// writes one file after the other.
    is_doubted: bool,
    told: Standing,
}

/// Whether a certificate is good, by its dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    NotYet,
    Good,
    EndsSoon,
    Ended,
}

impl Watch {
    /// Reads the certificate for whoever starts the server.
    ///
    /// # Errors
    /// [`TlsFault`].
    pub fn start(files: TlsFiles) -> Result<(Arc<Tls>, Self), TlsFault> {
        let seen = prints(&files);
        let tls = Arc::new(Tls::new(Certificate::load(&files)?));
        let mut watch = Self {
            tls: Arc::clone(&tls),
            files,
            seen,
            is_doubted: false,
            told: Standing::Good,
        };
        watch.tell_warnings();
        watch.tell_news(Timestamp::now());
        Ok((tls, watch))
    }

    /// Reads the files anew where one has changed, or where somebody asks for it.
    pub fn look(&mut self, is_asked: bool) {
        if is_asked
            || self.seen.iter().any(Print::is_changed)
            || self.is_doubted
            || !self.tls.reloads.is_current()
        {
            self.reload(is_asked);
        }
        self.tell_news(Timestamp::now());
    }

    /// What is shown stays where anything is wrong, and open connections stay open in any case.
    fn reload(&mut self, is_asked: bool) {
        self.seen = prints(&self.files);
        // A bug there must not end the watch, nor that of the issuers.
        let read = catch_unwind(AssertUnwindSafe(|| Certificate::load(&self.files)));
        let fault = match read {
            Ok(Ok(certificate)) => {
                log::info!(
                    "the certificate was read anew ({})",
                    described(&certificate)
                );
                self.is_doubted = false;
                self.told = Standing::Good;
                self.tls.replace(certificate);
                return self.tell_warnings();
            }
            Ok(Err(fault)) => fault.to_string(),
            Err(_) => "a bug, see the log".to_owned(),
        };
        if is_asked || self.is_doubted {
            let is_new = self.tls.reloads.failed(&fault);
            if is_new || is_asked {
                log::error!("the certificate stays as it was until this is mended: {fault}");
            }
        }
        self.is_doubted = true;
    }

    fn tell_warnings(&self) {
        for warning in self.tls.current().warnings(&self.files) {
            log::warn!("{warning}");
        }
    }

    /// What is to be told of the certificate now: once for as long as it stays so.
    fn news(&mut self, now: Timestamp) -> Option<Standing> {
        let certificate = self.tls.current();
        let standing = standing(certificate.begin, certificate.end, now);
        let former = std::mem::replace(&mut self.told, standing);
        (standing != former).then_some(standing)
    }

    fn tell_news(&mut self, now: Timestamp) {
        let news = self.news(now);
        if let Some(text) = news.and_then(|news| news.text(&self.tls.current(), &self.files)) {
            log::warn!("{text}");
        }
    }
}

impl Standing {
    /// What to do; `None` where nothing is to be done.
    fn text(self, certificate: &Certificate, files: &TlsFiles) -> Option<String> {
        let Certificate { begin, end, .. } = certificate;
        let next = "put the next one in its place, a running server takes it over by itself";
        let text = match self {
            Self::Good => return None,
            Self::NotYet => {
                format!(
                    "is good from {begin} only: clients refuse it until then; is the clock right?"
                )
            }
            Self::EndsSoon => format!("ends at {end}: {next}"),
            Self::Ended => format!("ended at {end}: clients refuse it; {next}"),
        };
        let path = files.certificate.display();
        Some(format!("the certificate in {path} {text}"))
    }
}

/// What is to be done about a certificate's dates, if anything.
pub fn dates_warning(
    certificate: &Certificate,
    files: &TlsFiles,
    now: Timestamp,
) -> Option<String> {
    standing(certificate.begin, certificate.end, now).text(certificate, files)
}

/// Names and end, for the log.
pub(super) fn described(certificate: &Certificate) -> String {
    let names = certificate.names.join(", ");
    format!("names: {names}; until {}", certificate.end)
}

fn prints(files: &TlsFiles) -> [Print; 2] {
    [Print::of(&files.certificate), Print::of(&files.key)]
}

fn standing(begin: Timestamp, end: Timestamp, now: Timestamp) -> Standing {
    let soon = SOON.min(end.since(begin) / 6);
    match now {
        now if now < begin => Standing::NotYet,
        now if now > end => Standing::Ended,
        now if end.since(now) < soon => Standing::EndsSoon,
        _ => Standing::Good,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn pair() -> [String; 2] {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["a.home.arpa".to_owned()]).unwrap();
        [params.self_signed(&key).unwrap().pem(), key.serialize_pem()]
    }

    fn watch(folder: &Path) -> (Arc<Tls>, Watch) {
        let [certificate, key] = ["c", "k"].map(|name| folder.join(name));
        let [certificate_pem, key_pem] = pair();
        std::fs::write(&certificate, certificate_pem).unwrap();
        std::fs::write(&key, key_pem).unwrap();
        Watch::start(TlsFiles { certificate, key }).unwrap()
    }

    #[test]
    fn the_two_files_may_come_one_after_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let (tls, mut watch) = watch(folder.path());
        let first = tls.current();
        let [certificate, key] = pair();
        std::fs::write(folder.path().join("c"), certificate).unwrap();
        watch.look(false);
        assert!(tls.reloads.is_current(), "the key may be on the way");
        watch.look(false);
        assert!(!tls.reloads.is_current(), "it did not come");
        assert!(Arc::ptr_eq(&tls.current(), &first));
        std::fs::write(folder.path().join("k"), key).unwrap();
        watch.look(false);
        assert!(tls.reloads.is_current());
        assert!(!Arc::ptr_eq(&tls.current(), &first));
        assert_eq!(tls.reloads.failures(), 1);
    }

    #[test]
    fn what_fails_twice_is_told_though_it_fails_in_two_ways() {
        let folder = tempfile::tempdir().unwrap();
        let (tls, mut watch) = watch(folder.path());
        std::fs::write(folder.path().join("c"), "no certificate").unwrap();
        watch.look(false);
        std::fs::remove_file(folder.path().join("c")).unwrap();
        watch.look(false);
        assert!(!tls.reloads.is_current());
    }

    #[test]
    fn what_is_told_of_a_certificate_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let (tls, mut watch) = watch(folder.path());
        let end = tls.current().end;
        let table = [
            (end.minus(DAY * 15), None),
            (end.minus(DAY), Some(Standing::EndsSoon)),
            (end.minus(DAY), None),
            (end.plus(DAY), Some(Standing::Ended)),
            (end.plus(DAY), None),
            (end.minus(DAY * 15), Some(Standing::Good)),
        ];
        for (now, news) in table {
            assert_eq!(watch.news(now), news, "at {now}");
        }
    }

    #[test]
    fn a_certificate_is_judged_by_its_dates() {
        let day = |days: i64| Timestamp::from_micros(days * 24 * 60 * 60 * 1_000_000);
        let table = [
            (0, 90, -1, Standing::NotYet),
            (0, 90, 0, Standing::Good),
            (0, 90, 76, Standing::Good),
            (0, 90, 77, Standing::EndsSoon),
            (0, 90, 90, Standing::EndsSoon),
            (0, 90, 91, Standing::Ended),
            (0, 6, 5, Standing::Good),
            (0, 6, 6, Standing::EndsSoon),
            (0, 3650, 3635, Standing::Good),
            (0, 3650, 3637, Standing::EndsSoon),
        ];
        for (begin, end, now, expected) in table {
            assert_eq!(
                standing(day(begin), day(end), day(now)),
                expected,
                "day {now} of {begin} to {end}"
            );
        }
    }
}
