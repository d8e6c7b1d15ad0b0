//! Who a JWT is, and what a login does.

use serde_json::json;

use crate::support::{Idp, start_with_issuers};

#[test]
fn somebody_invited_logs_in() {
    let home = Idp::new("home", "ES256");
    let server = start_with_issuers(&[&home]);
    server.invite("ann", "home", "admin");
    let ann = server.bearer(&home.jwt("ann"));
    let me = ann.get("/api/users/current").ok();
    assert_eq!(me["status"], json!("active"));
    assert_eq!(me["idp_id"], json!("home"));
}
