//! What was asked for, when, and what was answered: mixed writes of several writers, each with users
//! of its own, so that the operations of one writer follow one another.
//!
//! A position is a number that the caller chooses, such as the length of a trace of what was written:
//! what must be there at a position is what was acknowledged until then.

use serde_json::{Value, json};

use crate::check::{self, Found};
use crate::http::Client;
use crate::random::Random;
use crate::seen::{Seen, Unseen};
use crate::state::{Made, Operation, State};

/// An operation, and what came of it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub operation: Operation,
    /// The position before it was sent.
    pub sent: u64,
    /// The position after its answer, or after it was looked up and found made.
    pub acknowledged: Option<u64>,
    /// The position after it was looked up and found not made: from there on it can't be there.
    pub undone: Option<u64>,
    /// It was answered with 503.
    pub is_failed: bool,
    pub made: Made,
}

/// What a writer does after a 503, with which an operation may be made or not.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Failure {
    /// It stops, with the operation pending.
    Stop,
    /// It looks which of both it is, and goes on from there. Where the server does not say, it stops.
    LookUp,
}

/// How writers write.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    /// Of the owner.
    pub client: &'a Client,
    pub failure: Failure,
    pub position: &'a (dyn Fn() -> u64 + Sync),
    /// Is shown each operation that came to an end; whether the writer goes on. Without an answer at
    /// all it never does.
    pub after: &'a (dyn Fn(&Entry) -> bool + Sync),
}

/// What must be there of one writer.
#[derive(Clone, Debug)]
pub struct Expected {
    /// How the names of its users begin.
    pub prefix: String,
    pub state: State,
    /// May be there beside it, wholly or not at all.
    pub pending: Option<Operation>,
}

/// All writers.
pub struct Ledger {
    pub writers: Vec<Writer>,
}

pub struct Writer {
    pub prefix: String,
    random: Random,
    names: u64,
    base: State,
    /// Since the last [`Ledger::settle`].
    pub journal: Vec<Entry>,
}

/// What came back.
enum Answer {
    Ok(Value),
    /// 503.
    Failed,
    /// Nothing, or not all of it.
    Gone,
}

impl Ledger {
    pub fn new(seed: u64, writers: u64) -> Self {
        let writers = (0..writers).map(|number| Writer {
            prefix: format!("w{number}-"),
            random: Random::new(seed, number + 1),
            names: 0,
            base: State::default(),
            journal: Vec::new(),
        });
        Self {
            writers: writers.collect(),
        }
    }

    /// All writers write, each in a thread, while `meanwhile` runs; ends when both have. An error is
    /// an answer that no right server gives.
    pub fn write_while<T>(
        &mut self,
        plan: Plan<'_>,
        meanwhile: impl FnOnce() -> Result<T, String>,
    ) -> Result<T, String> {
        std::thread::scope(|threads| {
            let running: Vec<_> = self
                .writers
                .iter_mut()
                .map(|writer| threads.spawn(move || writer.write(plan)))
                .collect();
            let value = meanwhile();
            for writer in running {
                let end = writer.join();
                end.map_err(|_| "a writer has panicked".to_owned())??;
            }
            value
        })
    }

    /// What must be there, and may be there, at a position; one a writer.
    pub fn expected(&self, position: u64) -> Vec<Expected> {
        let writers = self.writers.iter();
        writers.map(|writer| writer.expected(position)).collect()
    }

    /// Goes on from what a check found; the journals begin anew.
    pub fn settle(&mut self, found: &[Found]) {
        for (writer, found) in self.writers.iter_mut().zip(found) {
            writer.base = found.state.clone();
            writer.journal.clear();
        }
    }

    /// Operations that were acknowledged since the last [`Ledger::settle`].
    pub fn acknowledged(&self) -> usize {
        let entries = self.writers.iter().flat_map(|writer| &writer.journal);
        entries.filter(|entry| entry.acknowledged.is_some()).count()
    }
}

impl Writer {
    pub fn expected(&self, position: u64) -> Expected {
        let until = |at: Option<u64>| at.is_some_and(|at| at <= position);
        let (mut state, mut pending) = (self.base.clone(), None);
        for entry in &self.journal {
            if until(entry.acknowledged) {
                state.apply(&entry.operation, &entry.made);
            } else if entry.sent <= position && !until(entry.undone) {
                pending = Some(entry.operation.clone());
            }
        }
        Expected {
            prefix: self.prefix.clone(),
            state,
            pending,
        }
    }

    /// Writes until the server is gone, a 5xx answer where the plan says so, or the plan's end.
    /// What is pending must have been settled.
    pub fn write(&mut self, plan: Plan<'_>) -> Result<(), String> {
        let Expected {
            mut state, pending, ..
        } = self.expected(u64::MAX);
        if let Some(pending) = pending {
            return Err(format!("nobody has looked what came of {pending:?}"));
        }
        loop {
            self.names += 1;
            let name = format!("{}{}-", self.prefix, self.names);
            let operation = state.choose(&mut self.random, &name);
            let place = self.journal.len();
            self.journal.push(Entry {
                operation: operation.clone(),
                sent: (plan.position)(),
                acknowledged: None,
                undone: None,
                is_failed: false,
                made: Made::default(),
            });
            let answer = send(plan.client, &state, &operation)?;
            let entry = &mut self.journal[place];
            entry.is_failed = matches!(answer, Answer::Failed);
            let is_made = match answer {
                Answer::Gone => return Ok(()),
                Answer::Failed if plan.failure == Failure::Stop => return Ok(()),
                Answer::Failed => {
                    let Some(found) = look_up(plan.client, &self.prefix, &state, &operation)?
                    else {
                        return Ok(());
                    };
                    entry.made = found.made.clone().unwrap_or_default();
                    found.made.is_some()
                }
                Answer::Ok(answer) => {
                    entry.made = made(&operation, &answer)?;
                    true
                }
            };
            let at = Some((plan.position)());
            if is_made {
                entry.acknowledged = at;
                state.apply(&operation, &entry.made);
            } else {
                entry.undone = at;
            }
            if !(plan.after)(entry) {
                return Ok(());
            }
        }
    }
}

fn send(client: &Client, state: &State, operation: &Operation) -> Result<Answer, String> {
    let (method, path, body) = request(state, operation);
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let Ok(answer) = client.try_send(method, &path, &[], body.as_bytes()) else {
        return Ok(Answer::Gone);
    };
    match answer.status {
        // Cut off by the end of the server, it says nothing that could be relied on.
        200 => Ok(serde_json::from_slice(&answer.body).map_or(Answer::Gone, Answer::Ok)),
        503 => Ok(Answer::Failed),
        status => Err(format!(
            "{method} {path} ({operation:?}) was answered with {status}, not 200: {}",
            String::from_utf8_lossy(&answer.body)
        )),
    }
}

fn request(state: &State, operation: &Operation) -> (&'static str, String, Option<Value>) {
    let user = |name: &String| {
        let id = state.users.get(name).and_then(|user| user.id.as_deref());
        format!("/api/users/{}", id.unwrap_or("unknown"))
    };
    match operation {
        Operation::CreateUser { user, role } => {
            let body =
                json!({"name": user, "role": role, "is_service_user": true, "auto_groups": []});
            ("POST", "/api/users".to_owned(), Some(body))
        }
        Operation::DeleteUser { user: name } => ("DELETE", user(name), None),
        Operation::CreateToken { user: name, token } => {
            let body = json!({"name": token, "expires_in": 1});
            ("POST", format!("{}/tokens", user(name)), Some(body))
        }
        Operation::RevokeToken { user: name, token } => {
            let tokens = state.users.get(name).map(|user| &user.tokens);
            let token = tokens.and_then(|tokens| tokens.get(token)?.id.as_deref());
            let path = format!("{}/tokens/{}", user(name), token.unwrap_or("unknown"));
            ("DELETE", path, None)
        }
        Operation::Update {
            user: name,
            role,
            is_blocked,
            groups,
        } => {
            let body = json!({"role": role, "is_blocked": is_blocked, "auto_groups": groups});
            ("PUT", user(name), Some(body))
        }
    }
}

fn made(operation: &Operation, answer: &Value) -> Result<Made, String> {
    let text = |value: &Value| {
        let text = value.as_str().map(str::to_owned);
        text.ok_or_else(|| format!("the answer to {operation:?} lacks something"))
    };
    Ok(match operation {
        Operation::CreateUser { .. } => Made {
            id: Some(text(&answer["id"])?),
            plain: None,
        },
        Operation::CreateToken { .. } => Made {
            id: Some(text(&answer["personal_access_token"]["id"])?),
            plain: Some(text(&answer["plain_token"])?),
        },
        _ => Made::default(),
    })
}

/// Whether an operation was made; `None` where the server does not say.
fn look_up(
    client: &Client,
    prefix: &str,
    state: &State,
    operation: &Operation,
) -> Result<Option<Found>, String> {
    let expected = Expected {
        prefix: prefix.to_owned(),
        state: state.clone(),
        pending: Some(operation.clone()),
    };
    match Seen::of_server(client, prefix) {
        Ok(seen) => check::find(&expected, &seen).map(Some),
        Err(Unseen::Silent(_)) => Ok(None),
        Err(Unseen::Wrong(why)) => Err(why),
    }
}
