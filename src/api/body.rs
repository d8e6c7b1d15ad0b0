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
}
