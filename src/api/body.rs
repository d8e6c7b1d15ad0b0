//! A request's body: read whole, within `[limits]`, and the fields of its JSON object.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::rt::time::timeout;
use actix_web::web::{self, Bytes};
use actix_web::{FromRequest, HttpRequest};
use serde_json::{Map, Value};

use crate::app::App;
use crate::connection::Watch;
use crate::error::ApiError;
use crate::json;
use crate::token::Lifetime;
use crate::user::{Name, Role, TextFault};

/// A body that was read whole and not looked at. The Content-Type does not matter.
pub struct Body(Bytes);

impl FromRequest for Body {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        // The application's PayloadConfig has the limit of its length.
        let bytes = Bytes::from_request(request, payload);
        let watch = request.conn_data::<Rc<Watch>>().cloned();
        let time = request.app_data::<web::Data<Arc<App>>>();
        let time = time.map_or(Duration::ZERO, |app| app.limits.body_timeout);
        Box::pin(async move {
            if let Some(watch) = &watch {
                watch.reads_body();
            }
            let read = timeout(time, bytes).await;
            if let (Some(watch), Ok(Ok(_))) = (&watch, &read) {
                watch.has_read_body();
            }
            match read {
                Ok(Ok(bytes)) => Ok(Self(bytes)),
                Err(_) => Err(ApiError::Timeout("the body")),
                Ok(Err(error)) => Err(match error.as_error::<PayloadError>() {
                    Some(PayloadError::Overflow) => ApiError::TooLarge,
                    _ => ApiError::Broken,
                }),
            }
        })
    }
}

impl Body {
    /// The JSON object in it.
    pub fn object(&self) -> Result<Fields, ApiError> {
        Fields::parse(&self.0)
    }
}

/// The fields of a request. An absent field and `null` are the same; unknown fields don't matter.
pub struct Fields(Map<String, Value>);

impl Fields {
    /// The JSON object in a body.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        Ok(Self(json::parse_object(body)?))
    }

    /// The field, unless it is absent or `null`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A string.
    ///
    /// # Errors
    /// 400 for another type.
    pub fn text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match value.as_str() {
            Some(text) => Ok(Some(text)),
            None => Err(wrong_type(name, "a string")),
        }
    }

    /// A boolean; absent is false.
    ///
    /// # Errors
    /// 400 for another type.
    pub fn flag(&self, name: &str) -> Result<bool, ApiError> {
        let value = self.get(name).unwrap_or(&Value::Bool(false));
        value
            .as_bool()
            .ok_or_else(|| wrong_type(name, "true or false"))
    }

    /// A string that may be empty, absent being empty.
    ///
    /// # Errors
    /// 400 for another type, 422 for a text that is no name.
    pub fn name(&self, field: &str) -> Result<Name, ApiError> {
        let text = self.text(field)?.unwrap_or_default();
        Name::parse(text).map_err(|fault| invalid_text(field, fault))
    }

    /// A string that must be there and say something.
    ///
    /// # Errors
    /// 400 for another type, 422 for a text that is no name.
    pub fn required_name(&self, field: &str) -> Result<Name, ApiError> {
        let text = self.text(field)?.unwrap_or_default();
        Name::parse_non_empty(text).map_err(|fault| invalid_text(field, fault))
    }

    /// An e-mail address, which must be there: something, `@`, something.
    ///
    /// # Errors
    /// 400 for another type, 422 for a text that is no address.
    pub fn required_email(&self) -> Result<Name, ApiError> {
        let text = self.text("email")?.unwrap_or_default();
        Name::parse_email(text).map_err(|fault| invalid_text("email", fault))
    }

    /// A role, which must be there.
    ///
    /// # Errors
    /// 400 for what is no string, 422 for what is no role.
    pub fn role(&self) -> Result<Role, ApiError> {
        let text = self.text("role")?;
        let text = text.ok_or(ApiError::Invalid("role is missing".into()))?;
        Role::parse(text).ok_or_else(|| {
            let known = Role::ALL.map(Role::as_str).join(", ");
            ApiError::Invalid(format!("role must be one of {known}").into())
        })
    }

    /// A number of days; `None` where it is absent.
    ///
    /// # Errors
    /// 422 for what is no such number.
    pub fn lifetime(&self, name: &str) -> Result<Option<Lifetime>, ApiError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let days = value.as_i64().and_then(Lifetime::days);
        days.map(Some).ok_or_else(|| not_days(name))
    }

    /// A list of strings; `None` where it is absent.
    ///
    /// # Errors
    /// 400 for another type.
    pub fn strings(&self, name: &str) -> Result<Option<Vec<&str>>, ApiError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let strings = || value.as_array()?.iter().map(Value::as_str).collect();
        let strings: Option<Vec<&str>> = strings();
        strings
            .map(Some)
            .ok_or_else(|| wrong_type(name, "a list of strings"))
    }
}

/// 422 for a text that can't be what it should.
pub fn invalid_text(field: &str, fault: TextFault) -> ApiError {
    ApiError::Invalid(format!("{field} {fault}").into())
}

/// 422 for what is no number of days.
pub(super) fn not_days(name: &str) -> ApiError {
    ApiError::Invalid(format!("{name} must be a whole number of days from 1 to 365").into())
}

fn wrong_type(name: &str, expected: &str) -> ApiError {
    ApiError::BadRequest(format!("{name} must be {expected}").into())
}
