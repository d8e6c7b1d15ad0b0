//! Holds what must be there against the server and against the file.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use crate::http::Client;
use crate::ledger::Expected;
use crate::program::Program;
use crate::seen::{Seen, list};
use crate::state::{Made, Operation, State, User};
use crate::trail::Trail;

/// What is there of one writer, where it is what must be there.
#[derive(Clone, PartialEq, Debug)]
pub struct Found {
    pub state: State,
    /// There was an operation that may be there.
    pub was_pending: bool,
    /// And it is, wholly.
    pub made: Option<Made>,
}

/// The server over HTTP and the file beside it: each is as it must be, and both agree.
pub fn everything(
    program: &Program,
    expected: &[Expected],
    trail: &mut Trail,
) -> Result<Vec<Found>, String> {
    let found = server(&program.owner(), expected)?;
    let in_file = file(&program.settings.database(), expected, trail)?;
    match found == in_file {
        true => Ok(found),
        false => Err(format!(
            "the server and its file differ: {found:?} in memory, {in_file:?} in the file"
        )),
    }
}

/// The server over HTTP: its lists, then each token at the door.
pub fn server(owner: &Client, expected: &[Expected]) -> Result<Vec<Found>, String> {
    let people = list(owner, "/api/users?service_user=false")?.len();
    if people != 1 {
        return Err(format!("expected one human, the owner; found {people}"));
    }
    let found = all(expected, &Seen::of_server(owner, "")?)?;
    for found in &found {
        for (name, user) in &found.state.users {
            let status = if user.is_blocked { 403 } else { 200 };
            for (token, known) in &user.tokens {
                if let Some(plain) = &known.plain {
                    let what = format!("the acknowledged token {token} of {name}");
                    door(owner, &what, plain, status)?;
                }
            }
        }
        for plain in &found.state.gone {
            door(owner, "a token that was revoked", plain, 401)?;
        }
    }
    Ok(found)
}

/// The file, which a server may have open: it is whole, and its rows, the audit trail and what must
/// be there agree.
pub fn file(path: &Path, expected: &[Expected], trail: &mut Trail) -> Result<Vec<Found>, String> {
    let (found, ()) = file_with(path, expected, |database| trail.check(database))?;
    Ok(found)
}

/// The same with another look at the audit trail, and what that gave.
pub fn file_with<T>(
    path: &Path,
    expected: &[Expected],
    trail: impl FnOnce(&Connection) -> Result<T, String>,
) -> Result<(Vec<Found>, T), String> {
    let failed = |error: rusqlite::Error| format!("{}: {error}", path.display());
    let database = Connection::open(path).map_err(failed)?;
    database
        .busy_timeout(Duration::from_secs(10))
        .map_err(failed)?;
    // One look at all of it.
    let database = database.unchecked_transaction().map_err(failed)?;
    whole(&database).map_err(|lost| format!("{}: {lost}", path.display()))?;
    let trail = trail(&database)?;
    Ok((all(expected, &Seen::of_file(&database)?)?, trail))
}

/// SQLite's own checks.
pub fn whole(database: &Connection) -> Result<(), String> {
    let text = |sql: &str| {
        let found = database.query_row(sql, (), |row| row.get::<_, String>(0));
        found.map_err(|error| format!("{sql}: {error}"))
    };
    let integrity = text("PRAGMA integrity_check")?;
    if integrity != "ok" {
        return Err(format!("integrity_check says {integrity}"));
    }
    match text("SELECT CAST(count(*) AS TEXT) FROM pragma_foreign_key_check")?.as_str() {
        "0" => Ok(()),
        rows => Err(format!("{rows} rows point at rows that are not there")),
    }
}

/// What is there of every writer, and nothing else.
fn all(expected: &[Expected], seen: &Seen) -> Result<Vec<Found>, String> {
    let of_a_writer = |name: &str| expected.iter().any(|one| name.starts_with(&one.prefix));
    match seen.users.keys().find(|name| !of_a_writer(name)) {
        Some(name) => Err(format!(
            "the user {name} is there, and nobody asked for it: {seen:?}"
        )),
        None => expected.iter().map(|one| find(one, seen)).collect(),
    }
}

/// What is there of one writer: what must be there, with or without what is pending.
pub fn find(expected: &Expected, seen: &Seen) -> Result<Found, String> {
    let without = adopt(&expected.state, &expected.prefix, seen);
    let found = |state, made| Found {
        state,
        was_pending: expected.pending.is_some(),
        made,
    };
    let Some(pending) = &expected.pending else {
        return without.map(|state| found(state, None));
    };
    let without = match without {
        Ok(state) => return Ok(found(state, None)),
        Err(why) => why,
    };
    let mut after = expected.state.clone();
    after.apply(pending, &Made::default());
    match adopt(&after, &expected.prefix, seen) {
        Ok(state) => {
            let made = Made {
                id: id_of(&state, pending),
                plain: None,
            };
            Ok(found(state, Some(made)))
        }
        Err(with) => Err(format!(
            "neither without nor with the pending {pending:?}:\n  without: {without}\n  with: {with}"
        )),
    }
}

fn id_of(state: &State, created: &Operation) -> Option<String> {
    match created {
        Operation::CreateUser { user, .. } => state.users.get(user)?.id.clone(),
        Operation::CreateToken { user, token } => {
            state.users.get(user)?.tokens.get(token)?.id.clone()
        }
        _ => None,
    }
}

/// The state with the ids that are seen, where it is what is seen.
fn adopt(state: &State, prefix: &str, seen: &Seen) -> Result<State, String> {
    let mut state = state.clone();
    let mut seen: Vec<(&String, &User)> = seen
        .users
        .iter()
        .filter(|(name, _)| name.starts_with(prefix))
        .collect();
    for (name, user) in &mut state.users {
        let place = seen.iter().position(|(known, _)| *known == name);
        let place = place.ok_or_else(|| format!("expected the user {name}; it is gone"))?;
        let (_, there) = seen.remove(place);
        adopt_user(user, there).map_err(|lost| format!("the user {name}: {lost}"))?;
    }
    match seen.first() {
        None => Ok(state),
        Some((name, there)) => Err(format!(
            "the user {name} is there, and must not be: {there:?}"
        )),
    }
}

fn adopt_user(user: &mut User, there: &User) -> Result<(), String> {
    let sorted = |groups: &[String]| {
        let mut groups = groups.to_owned();
        groups.sort();
        groups
    };
    same("role", &user.role, &there.role)?;
    same("blocked", &user.is_blocked, &there.is_blocked)?;
    same("groups", &sorted(&user.groups), &sorted(&there.groups))?;
    adopt_id(&mut user.id, &there.id)?;
    let names = |user: &User| user.tokens.keys().cloned().collect::<Vec<String>>();
    same("tokens", &names(user), &names(there))?;
    for (name, token) in &mut user.tokens {
        if let Some(there) = there.tokens.get(name) {
            adopt_id(&mut token.id, &there.id).map_err(|lost| format!("token {name}: {lost}"))?;
        }
    }
    Ok(())
}

fn adopt_id(id: &mut Option<String>, there: &Option<String>) -> Result<(), String> {
    if id.is_some() {
        same("id", id, there)?;
    }
    id.clone_from(there);
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, found: &T) -> Result<(), String> {
    match expected == found {
        true => Ok(()),
        false => Err(format!("{what}: expected {expected:?}, found {found:?}")),
    }
}

/// What the server says to a token.
pub fn door(client: &Client, what: &str, plain: &str, expected: u16) -> Result<(), String> {
    let client = Client {
        address: client.address,
        authorization: Some(format!("Token {plain}")),
    };
    let answer = client.try_send("GET", "/api/users?service_user=false", &[], b"");
    let found = answer.map_err(|error| format!("{what}: {error}"))?.status;
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what}: expected {expected}, found {found}")),
    }
}
