//! `/api/events/audit`.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use super::list::{self, Page};
use crate::app::App;
use crate::clock::Timestamp;
use crate::error::ApiError;
use crate::policy::{self, Module, Operation};
use crate::schema;
use crate::store::{self, Activity, AuditEvent};
use crate::user::Caller;

/// The most that one answer holds.
const MOST: u32 = 10_000;
const PAGE: u32 = 250;

/// `GET /api/events/audit`: newest first.
pub async fn list(caller: Caller, app: web::Data<Arc<App>>) -> Result<HttpResponse, ApiError> {
    policy::permit(&caller.user, Module::Events, Operation::Read)?;
    list::answer(app.clone(), move |place: Option<(i64, u32)>| {
        let app = app.clone();
        async move {
            let (before, left) = place.map_or((None, MOST), |(number, left)| (Some(number), left));
            let limit = PAGE.min(left);
            let events = app
                .read(move |database| store::audit_page(database, before, limit))
                .await?;
            let left_after = (0..left).rev();
            let rows = events
                .iter()
                .zip(left_after)
                .map(|(event, left)| ((event.number, left), Some(view(event))));
            Page::new(rows, events.len() == limit as usize && left > limit)
        }
    })
    .await
}

/// NetBird's event; all nine keys are always there.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AuditEvent")]
pub(super) struct EventView<'a> {
    /// A number that grows.
    id: String,
    #[schemars(schema_with = "schema::timestamp")]
    timestamp: Timestamp,
    /// What happened, for people.
    activity: &'a str,
    #[schemars(schema_with = "schema::activity_code")]
    activity_code: &'a str,
    /// `sys` where no user did it.
    initiator_id: &'a str,
    initiator_name: &'a str,
    initiator_email: &'a str,
    target_id: &'a str,
    /// Details for people; all values are strings.
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    meta: &'a serde_json::Map<String, serde_json::Value>,
}

fn view(event: &AuditEvent) -> EventView<'_> {
    EventView {
        id: event.number.to_string(),
        timestamp: event.at,
        activity: Activity::text_of(&event.activity_code),
        activity_code: &event.activity_code,
        initiator_id: &event.initiator.id,
        initiator_name: &event.initiator.name,
        initiator_email: &event.initiator.email,
        target_id: &event.target_id,
        meta: &event.meta,
    }
}
