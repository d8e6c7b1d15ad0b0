//! What a JWT costs a request: "cold" is a token that was not seen before (more of them go round than
//! the cache holds), "cached" one that was.

use netbird_auth::clock::Timestamp;
use serde_json::json;

use crate::Bench;
use crate::client::{Case, Requests, get, rate, ratio, rounds};
use crate::fill::Size;
use crate::row::Bar::AtLeast;
use crate::row::Row;
use crate::signing::SigningKey;
use crate::site::{Pinned, Site};

/// More than the cache holds, and few enough to stay in it.
const COLD: usize = 24_000;
const CACHED: usize = 1_000;

pub fn run(bench: &Bench) -> Vec<Row> {
    let _pinned = Pinned::to_client();
    let keys = ["RS256", "ES256", "EdDSA"].map(|algorithm| SigningKey::new(algorithm, algorithm));
    let folder = tempfile::tempdir_in(bench.folder.path()).unwrap();
    let jwks: Vec<_> = keys.iter().map(SigningKey::jwk).collect();
    std::fs::write(
        folder.path().join("keys.json"),
        json!({ "keys": jwks }).to_string(),
    )
    .unwrap();
    let settings = "[[issuer]]\nname = 'home'\nissuer = 'https://id.home.arpa'\n\
                    audiences = ['netbird']\njwks_file = 'keys.json'\nunknown_users = 'create'\n";
    let filled = bench.filled(Size::HOME);
    let site = Site::start(folder.path(), &filled, settings, |_| ());
    let cold = if bench.is_small { 1_000 } else { COLD };
    let [rs256, es256, eddsa] = keys.each_ref().map(|key| {
        eprintln!("  signing {} tokens with {}", cold + CACHED, key.algorithm);
        let mut requests = (0..cold + CACHED).map(|number| {
            let jwt = jwt(key, number);
            get("/caller", &format!("Authorization: Bearer {jwt}\r\n"))
        });
        let cold = requests.by_ref().take(cold).collect();
        [cold, requests.collect()].map(|requests| Case::new(&site.plain, Requests::of(requests)))
    });
    let bare = Case::new(&site.plain, Requests::to("/bare"));
    let ([rs_cold, rs_cached], [es_cold, es_cached], [ed_cold, ed_cached]) = (rs256, es256, eddsa);
    let mut cases = [
        bare, rs_cold, rs_cached, es_cold, es_cached, ed_cold, ed_cached,
    ];
    let [bare, seen @ ..] = rounds(bench, &mut cases);
    drop(cases);
    site.stop();
    let names = [
        ("RS256, cold", Some(AtLeast(0.12))),
        ("RS256, cached", Some(AtLeast(0.75))),
        ("ES256, cold", None),
        ("ES256, cached", None),
        ("EdDSA, cold", None),
        ("EdDSA, cached", None),
    ];
    let rows = names.into_iter().zip(&seen).map(|((name, bar), seen)| {
        let what = format!("JWT, {name}: requests/s to bare, the check alone");
        Row::new(what, ratio(seen, &bare, |seen| seen.rate), bar).note(rate(seen))
    });
    rows.collect()
}

fn jwt(key: &SigningKey, number: usize) -> String {
    let now = Timestamp::now().seconds();
    let claims = json!({
        "iss": "https://id.home.arpa", "aud": "netbird", "sub": "ann", "name": "Ann",
        "email": "ann@home.arpa", "email_verified": true, "groups": ["family", "admins"],
        "jti": number, "iat": now, "exp": now + 86_400,
    });
    key.sign(&key.header().to_string(), &claims.to_string())
}
