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
use crate::user::{Name, TextFault};

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
        Ok(Fields(json::parse_object(&self.0)?))
    }
}

/// The fields of a request. An absent field and `null` are the same; unknown fields don't matter.
pub struct Fields(Map<String, Value>);

impl Fields {
    /// The field, unless it is absent or `null`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A string.
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
    pub fn flag(&self, name: &str) -> Result<bool, ApiError> {
        let value = self.get(name).unwrap_or(&Value::Bool(false));
        value
            .as_bool()
            .ok_or_else(|| wrong_type(name, "true or false"))
    }

    /// A string that may be empty, absent being empty.
    pub fn name(&self, field: &str) -> Result<Name, ApiError> {
        let text = self.text(field)?.unwrap_or_default();
        Name::parse(text).map_err(|fault| invalid_text(field, fault))
    }

    /// A string that must be there and say something.
    pub fn required_name(&self, field: &str) -> Result<Name, ApiError> {
        let text = self.text(field)?.unwrap_or_default();
        Name::parse_non_empty(text).map_err(|fault| invalid_text(field, fault))
    }

    /// An e-mail address, which must be there: something, `@`, something.
    pub fn required_email(&self) -> Result<Name, ApiError> {
        let text = self.text("email")?.unwrap_or_default();
        Name::parse_email(text).map_err(|fault| invalid_text("email", fault))
    }

    /// A list of strings; `None` where it is absent.
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

fn wrong_type(name: &str, expected: &str) -> ApiError {
    ApiError::BadRequest(format!("{name} must be {expected}").into())
}
