//! Identity providers of a test.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::params;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::signing::SigningKey;
use super::{Client, Crowd, Server, fresh_token};

/// Seconds since 1970.
pub fn now() -> i64 {
    netbird_auth::clock::Timestamp::now().seconds()
}

/// An issuer: a name, an `iss`, one key in a JWKS file, and lines of settings.
pub struct Idp {
    pub name: String,
    pub issuer: String,
    pub key: SigningKey,
    /// Further lines of its `[[issuer]]`.
    pub settings: String,
}

impl Idp {
    /// With the audience `netbird` and the JWKS file `<name>.jwks.json`.
    pub fn new(name: &str, algorithm: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            issuer: format!("https://{name}.home.arpa"),
            key: SigningKey::new(&format!("{name}-1"), algorithm),
            settings: format!("algorithms = [\"{algorithm}\"]\n"),
        }
    }

    /// With a line of settings more.
    pub fn with(mut self, line: &str) -> Self {
        self.settings += line;
        self.settings += "\n";
        self
    }

    /// Its part of the settings file.
    pub fn toml(&self) -> String {
        format!(
            "[[issuer]]\nname = \"{0}\"\nissuer = \"{1}\"\naudiences = [\"netbird\"]\n\
             jwks_file = \"{0}.jwks.json\"\n{2}\n",
            self.name, self.issuer, self.settings
        )
    }

    /// Puts a JWKS in place as careful people do: by renaming.
    pub fn write_jwks(&self, folder: &Path, keys: &[Value]) {
        let path = folder.join(format!("{}.jwks.json", self.name));
        let new = path.with_extension("new");
        std::fs::write(&new, json!({ "keys": keys }).to_string()).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    /// Claims that pass, for a user, with further ones in their place.
    pub fn claims(&self, user: &str, further: Value) -> Value {
        let mut claims = json!({
            "iss": self.issuer, "aud": "netbird", "sub": user, "iat": now(), "exp": now() + 600,
        });
        let further: Map<String, Value> = further.as_object().unwrap().clone();
        claims.as_object_mut().unwrap().extend(further);
        claims
    }

    /// A token that passes, if its user does.
    pub fn jwt(&self, user: &str) -> String {
        self.jwt_with(user, json!({}))
    }

    /// As [`Idp::jwt`], with further claims.
    pub fn jwt_with(&self, user: &str, further: Value) -> String {
        let claims = self.claims(user, further);
        self.key
            .sign(&self.key.header().to_string(), &claims.to_string())
    }
}

/// Writes the settings file and the JWKS of each issuer into a folder.
pub fn write_issuers(folder: &Path, idps: &[&Idp]) {
    let text: String = idps.iter().map(|idp| idp.toml()).collect();
    std::fs::write(folder.join("netbird-auth.toml"), text).unwrap();
    for idp in idps {
        idp.write_jwks(folder, &[idp.key.jwk()]);
    }
}

/// A server that believes these issuers.
pub fn start_with_issuers(idps: &[&Idp]) -> Server {
    let folder = Arc::new(TempDir::new().unwrap());
    write_issuers(folder.path(), idps);
    let token = fresh_token();
    let settings = [("BOOTSTRAP__TOKEN", token.as_str())];
    Server::start_prepared(folder, &settings, token.clone())
}

/// A server that believes an issuer, of whose users one is the owner from the first start on.
pub fn start_with_owner(idp: &Idp, id: &str) -> Server {
    let folder = Arc::new(TempDir::new().unwrap());
    write_issuers(folder.path(), &[idp]);
    let token = fresh_token();
    let settings = [
        ("BOOTSTRAP__TOKEN", token.as_str()),
        ("BOOTSTRAP__OWNER_ID", id),
        ("BOOTSTRAP__OWNER_ISSUER", &idp.name),
    ];
    Server::start_prepared(folder, &settings, token.clone())
}

impl Server {
    /// A client with a JWT.
    pub fn bearer(&self, jwt: &str) -> Client {
        Client {
            address: self.address,
            authorization: Some(format!("Bearer {jwt}")),
        }
    }

    /// A human of an issuer, made through the API: invited until their first login.
    pub fn invite(&self, id: &str, issuer: &str, role: &str) {
        let body = json!({
            "id": id, "issuer": issuer, "name": id, "email": format!("{id}@home.arpa"),
            "role": role, "is_service_user": false, "auto_groups": [],
        });
        self.owner.post("/api/users", body).ok();
    }
}

impl Server {
    /// A user as the owner sees them.
    pub fn find_user(&self, id: &str) -> Option<Value> {
        let users = self.owner.get("/api/users").ok();
        let users = users.as_array().unwrap();
        users.iter().find(|user| user["id"] == id).cloned()
    }

    /// What the audit trail tells of a user, oldest first: codes, and who did it.
    pub fn told_of(&self, id: &str) -> Vec<(String, String)> {
        let events = self.owner.get("/api/events/audit").ok();
        let events = events.as_array().unwrap();
        let of_them = events.iter().rev().filter(|event| event["target_id"] == id);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        of_them
            .map(|event| (text(&event["activity_code"]), text(&event["initiator_id"])))
            .collect()
    }
}

impl Crowd {
    /// An active human of an issuer, last seen so many seconds ago.
    pub fn jwt_user(&self, id: &str, issuer: &str, role: &str, seen: i64) {
        self.user(id, role, false);
        let sql = "UPDATE users SET issuer = ?1, last_login = ?2 WHERE id = ?3";
        let at = (now() - seen) * 1_000_000;
        let changed = self.database.execute(sql, params![issuer, at, id]);
        assert_eq!(changed.unwrap(), 1);
    }

    /// The server, with everybody in, that believes these issuers.
    pub fn start_with_issuers(self, idps: &[&Idp]) -> Server {
        let path = PathBuf::from(self.database.path().unwrap());
        write_issuers(path.parent().unwrap(), idps);
        self.start()
    }
}
