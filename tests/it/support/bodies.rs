//! Bodies of requests that nothing is wrong with.

use serde_json::{Value, json};

/// A new service user.
pub fn service(name: &str) -> Value {
    json!({"name": name, "role": "user", "is_service_user": true, "auto_groups": []})
}

/// A new human.
pub fn human(email: &str) -> Value {
    json!({"name": "Ann", "email": email, "role": "user", "is_service_user": false, "auto_groups": []})
}
