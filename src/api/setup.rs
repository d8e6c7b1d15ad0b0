//! `/api/instance` and `/api/setup`: NetBird's way to the first owner, open to everybody while
//! there is none.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::body::Body;
use super::tokens::generate;
use crate::answer::ok;
use crate::app::App;
use crate::change::{self, FirstOwner, NewTokenRequest};
use crate::error::ApiError;
use crate::first_start;
use crate::token::Lifetime;

#[derive(Serialize)]
struct Instance {
    setup_required: bool,
}

#[derive(Serialize)]
struct SetUp<'a> {
    user_id: &'a str,
    email: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    personal_access_token: Option<&'a str>,
}

/// `GET /api/instance`: whether there is an owner.
pub async fn instance(app: web::Data<Arc<App>>) -> HttpResponse {
    ok(&Instance {
        setup_required: !app.index.has_owner(),
    })
}

/// `POST /api/setup`: makes the owner, once. `password` is ignored: there are no passwords here.
pub async fn setup(app: web::Data<Arc<App>>, body: Body) -> Result<HttpResponse, ApiError> {
    if app.index.has_owner() {
        return Err(ApiError::SetupDone);
    }
    let fields = body.object()?;
    let email = fields.required_email()?;
    let name = fields.required_name("name")?;
    let (plain, token) = match fields.flag("create_pat")? {
        true => {
            let plain = generate()?;
            let request = NewTokenRequest {
                hash: plain.hash(),
                name: first_start::token_name()?,
                lifetime: fields
                    .lifetime("pat_expire_in")?
                    .unwrap_or(Lifetime::ONE_DAY),
            };
            (Some(plain), Some(request))
        }
        false => (None, None),
    };
    let request = FirstOwner {
        identity: None,
        name,
        email,
        token,
    };
    let change = move |database: &_, now| change::first_owner(database, now, request);
    let user = app.writer.submit(change).await?;
    log::info!("user.id" = user.id.as_str(); "the owner was set up");
    Ok(ok(&SetUp {
        user_id: user.id.as_str(),
        email: user.email.as_str(),
        personal_access_token: plain.as_ref().map(|plain| plain.expose()),
    }))
}
