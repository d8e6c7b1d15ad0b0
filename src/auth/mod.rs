//! From a credential in the headers to a [`Caller`].
//!
//! A handler that takes a `Caller` is behind the door; one that does not is open to everybody.

mod anywhere;
mod header;

pub use anywhere::presented_anywhere;
pub use header::{Presented, presented};

use std::future::Ready;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::{Either, LocalBoxFuture};

use crate::app::App;
use crate::change::{self, LoggedIn, Login};
use crate::clock::Timestamp;
use crate::error::{ApiError, AuthFault};
use crate::index::Index;
use crate::issuers::Issuers;
use crate::policy;
use crate::user::{Caller, Credential, User};
use crate::writer::WriteError;

impl FromRequest for Caller {
    type Error = ApiError;
    /// A login waits for the disk; nobody else waits.
    type Future =
        Either<Ready<Result<Self, ApiError>>, LocalBoxFuture<'static, Result<Self, ApiError>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(app) = request.app_data::<web::Data<Arc<App>>>() else {
            return Either::Left(std::future::ready(Err(ApiError::Internal)));
        };
        let now = Timestamp::now();
        let known = presented(request.headers()).map_err(ApiError::from);
        let known = known.and_then(|shown| know(&shown, &app.index, &app.issuers, now));
        match known {
            Ok(Known::Passes(caller)) => Either::Left(std::future::ready(Ok(caller))),
            Ok(Known::LogsIn(login)) => Either::Right(Box::pin(log_in(Arc::clone(app), login))),
            Err(error) => Either::Left(std::future::ready(Err(error))),
        }
    }
}

/// Writes a login, if it is one.
///
/// # Errors
/// 403 for a user who may not pass, 503 for a login that can't be written.
pub async fn let_in(app: &Arc<App>, known: Known) -> Result<Caller, ApiError> {
    match known {
        Known::Passes(caller) => Ok(caller),
        Known::LogsIn(login) => log_in(Arc::clone(app), login).await,
    }
}

/// Whose credential it is.
pub enum Known {
    /// Somebody who may pass as they are.
    Passes(Caller),
    /// A good JWT that changes more than the time of the last login.
    LogsIn(Login),
}

/// Whose credential it is, from memory. A token that passes is marked as used, and a JWT's time of login.
///
/// # Errors
/// 401 for a credential that is not believed, 403 for a user who may not pass.
pub fn know(
    shown: &Presented<'_>,
    index: &Index,
    issuers: &Issuers,
    now: Timestamp,
) -> Result<Known, ApiError> {
    match shown {
        Presented::Token(hash) => Ok(Known::Passes(index.authenticate(hash, now)?)),
        Presented::Jwt(text) => {
            let verified = issuers.current().verify(text, now);
            let login = Login(verified.map_err(AuthFault::from)?);
            let Some(user) = index.user_by_id(&login.0.user_id) else {
                return match login.creates() {
                    true => Ok(Known::LogsIn(login)),
                    false => Err(AuthFault::UnknownUser.into()),
                };
            };
            if !login.is_of(&user) {
                return Err(AuthFault::UnknownUser.into());
            }
            policy::admit(&user)?;
            if login.is_due(&user, now) {
                return Ok(Known::LogsIn(login));
            }
            index.mark_login(&user, now);
            Ok(Known::Passes(caller(user, &login)))
        }
    }
}

/// Writes a login, and lets pass who may: a new user may have to wait for an approval.
async fn log_in(app: Arc<App>, login: Login) -> Result<Caller, ApiError> {
    // Known users whose role stays pass while nothing can be written. Their login is written then.
    let as_they_are = || {
        let user = app.index.user_by_id(&login.0.user_id);
        let user = user.filter(|user| login.is_of(user) && login.keeps_role(user));
        let user = user.ok_or(ApiError::Unavailable)?;
        policy::admit(&user)?;
        Ok(caller(user, &login))
    };
    if app.writer.status().trouble().is_some() {
        return as_they_are();
    }
    let change = {
        let login = login.clone();
        move |database: &_, now| change::log_in(database, now, &login)
    };
    match app.writer.submit(change).await {
        Ok(LoggedIn { user, is_audited }) => {
            policy::admit(&user)?;
            if is_audited {
                let issuer = &*login.0.issuer.settings.name;
                log::info!("user.id" = user.id.as_str(), "issuer" = issuer; "login");
            }
            Ok(caller(Arc::new(user), &login))
        }
        Err(WriteError::Unavailable) => as_they_are(),
        Err(refused) => Err(refused.into()),
    }
}

fn caller(user: Arc<User>, login: &Login) -> Caller {
    Caller {
        user,
        credential: Credential::Jwt(login.0.good_until),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::IssuerSet;
    use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
    use proptest::prelude::*;

    const TOKEN: &str = "nbp_z1pvsg2wP3EzmEou4S679KyTNhov632eyrXe";

    fn database() -> rusqlite::Connection {
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        connection
            .execute_batch(include_str!("../../schema.sql"))
            .unwrap();
        crate::store::migrate(&mut connection, std::path::Path::new("")).unwrap();
        connection
    }

    fn fault(values: &[&[u8]]) -> AuthFault {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        let now = Timestamp::from_micros(0);
        let index = Index::load(&database()).unwrap();
        let issuers = Issuers::new(IssuerSet::default());
        let known = presented(&headers).map_err(ApiError::from);
        match known.and_then(|shown| know(&shown, &index, &issuers, now)) {
            Err(ApiError::Unauthorized(fault)) => fault,
            _ => panic!("let in, or a 403"),
        }
    }

    #[test]
    fn the_header_is_read_by_the_letter() {
        use crate::jwt::JwtFault;
        use crate::token::TokenFault;
        let wrong = TOKEN.replace('X', "Y");
        let reached = AuthFault::Unknown;
        let table = [
            (format!("Token {TOKEN}"), reached),
            (format!("token {TOKEN}"), reached),
            (format!("TOKEN {TOKEN}"), reached),
            (format!("Bearer {TOKEN}"), reached),
            (format!("bEARER {TOKEN}"), reached),
            (format!("  Token {TOKEN}\t "), reached),
            (String::new(), AuthFault::NoScheme),
            ("Token".to_owned(), AuthFault::NoScheme),
            ("Token ".to_owned(), AuthFault::NoScheme),
            (TOKEN.to_owned(), AuthFault::NoScheme),
            (format!("Token  {TOKEN}"), AuthFault::Malformed),
            (format!("Token\t{TOKEN}"), AuthFault::NoScheme),
            (format!("Token {TOKEN} x"), AuthFault::Malformed),
            (
                format!("Token {TOKEN}, Token {TOKEN}"),
                AuthFault::Malformed,
            ),
            (format!("Basic {TOKEN}"), AuthFault::Scheme),
            (format!("Tokens {TOKEN}"), AuthFault::Scheme),
            (format!(": {TOKEN}"), AuthFault::Scheme),
            (format!("Token {wrong}"), TokenFault::BadChecksum.into()),
            (format!("Token {TOKEN}e"), TokenFault::Malformed.into()),
            (
                "Token eyJhbGciOiJub25lIn0.e30.".to_owned(),
                TokenFault::Malformed.into(),
            ),
            (
                "Bearer eyJhbGciOiJub25lIn0.e30.".to_owned(),
                JwtFault::Algorithm.into(),
            ),
            (
                "Bearer eyJhbGciOiJFUzI1NiJ9.e30.".to_owned(),
                JwtFault::Issuer.into(),
            ),
            ("Bearer nbp_".to_owned(), TokenFault::Malformed.into()),
            ("Bearer abc".to_owned(), AuthFault::Malformed),
            ("x".repeat(100 * 1024), AuthFault::NoScheme),
        ];
        for (value, expected) in table {
            let shown = value.get(..60).unwrap_or(&value);
            assert_eq!(fault(&[value.as_bytes()]), expected, "{shown:?}");
        }
    }

    #[test]
    fn there_is_exactly_one_header() {
        let value = format!("Token {TOKEN}");
        assert_eq!(fault(&[]), AuthFault::Missing);
        assert_eq!(
            fault(&[value.as_bytes(), value.as_bytes()]),
            AuthFault::Doubled
        );
        assert_eq!(fault(&[b"", value.as_bytes()]), AuthFault::Doubled);
    }

    #[test]
    fn a_check_of_a_token_allocates_nothing() {
        use crate::store::{self, NewToken, NewUser, Origin};
        use crate::token::{Lifetime, PlainToken, TokenFault, TokenHash};
        use crate::user::{Name, Role, UserId};
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let connection = database();
        let user = NewUser {
            id: UserId::parse("ann").unwrap(),
            issuer: "".into(),
            origin: Origin::Api,
            name: Name::parse("Ann").unwrap(),
            email: Name::empty(),
            role: Role::User,
            auto_groups: Box::default(),
            is_service: false,
            is_pending: false,
            is_invited: false,
            created_at: now,
        };
        let user = store::insert_user(&connection, user).unwrap();
        let token = NewToken {
            hash: TokenHash::of_presented(TOKEN.as_bytes()).unwrap(),
            user: user.number,
            name: Name::parse("a token").unwrap(),
            created_by: None,
            created_at: now,
            expires_at: Lifetime::ONE_DAY.end(now),
        };
        store::insert_token(&connection, &token).unwrap();
        let index = Index::load(&connection).unwrap();
        let issuers = Issuers::new(IssuerSet::default());
        let later = now.plus(std::time::Duration::from_secs(1));
        let check = |headers: &HeaderMap, now| {
            let shown = presented(headers).map_err(ApiError::from);
            shown.and_then(|shown| know(&shown, &index, &issuers, now))
        };
        let unknown = PlainToken::generate().unwrap();
        let table = [
            (TOKEN.to_owned(), None),
            (
                TOKEN.replace('X', "Y"),
                Some(TokenFault::BadChecksum.into()),
            ),
            (unknown.expose().to_owned(), Some(AuthFault::Unknown)),
        ];
        for (token, expected) in table {
            let value = HeaderValue::from_str(&format!("Token {token}")).unwrap();
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
            // The first time of a token puts it among the marks to be written.
            let _ = check(&headers, now);
            let mut found = None;
            let allocations = allocation_counter::measure(|| {
                found = Some(check(&headers, later));
            });
            let fault = match found {
                Some(Err(ApiError::Unauthorized(fault))) => Some(fault),
                Some(Ok(Known::Passes(_))) => None,
                _ => panic!("neither in nor a 401"),
            };
            assert_eq!(fault, expected);
            assert_eq!(allocations.count_total, 0, "{expected:?}");
        }
    }

    proptest! {
        #[test]
        fn no_header_panics_or_passes(value in any::<Vec<u8>>()) {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                fault(&[value.as_bytes()]);
            }
        }
    }
}
