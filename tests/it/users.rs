//! `/api/users`.

use serde_json::json;

use crate::support::{Server, id_of};

#[test]
fn a_service_user_is_made_shown_and_deleted() {
    let server = Server::start();
    let body = json!({"name": "ci", "role": "Admin", "is_service_user": true, "auto_groups": ["g1"], "email": "dropped@home.arpa"});
    let made = server.owner.post("/api/users", body).ok();
    assert_eq!(made["role"], "admin");
    assert_eq!(made["email"], "");
    assert_eq!(made["auto_groups"], json!(["g1"]));
    let id = id_of(&made);
    let all = server.owner.get("/api/users?service_user=true").ok();
    assert_eq!(all, json!([made]));
    assert_eq!(
        server.owner.delete(&format!("/api/users/{id}")).ok(),
        json!({})
    );
    assert_eq!(
        server.owner.get("/api/users?service_user=true").ok(),
        json!([])
    );
}
