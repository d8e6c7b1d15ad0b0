//! What one writer has made, and what its operations do to that.

use std::collections::{BTreeMap, VecDeque};

use crate::random::Random;

/// A writer has at most so many users, and a user so many tokens: what a round costs stays the same.
const MOST_USERS: usize = 4;
const MOST_TOKENS: usize = 4;
/// Revoked tokens that are tried again and again. One that came back later would still be found, as a
/// token that nobody asked for.
const MOST_GONE: usize = 16;
const ROLES: [&str; 5] = ["admin", "network_admin", "auditor", "user", "billing_admin"];

/// All users of one writer, by their names.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct State {
    pub users: BTreeMap<String, User>,
    /// Plain texts of revoked tokens, the newest last.
    pub gone: VecDeque<String>,
}

#[derive(Clone, Default, PartialEq, Debug)]
pub struct User {
    /// `None` where the answer with it never came.
    pub id: Option<String>,
    pub role: String,
    pub is_blocked: bool,
    pub groups: Vec<String>,
    /// By their names.
    pub tokens: BTreeMap<String, Token>,
}

#[derive(Clone, Default, PartialEq, Debug)]
pub struct Token {
    /// As with users.
    pub id: Option<String>,
    /// `None` where the answer with it never came: nobody will ever know it.
    pub plain: Option<String>,
}

/// A change that is asked for, by names.
#[derive(Clone, PartialEq, Debug)]
pub enum Operation {
    /// Without groups: of those that a user is created with, the audit trail says nothing.
    CreateUser {
        user: String,
        role: String,
    },
    DeleteUser {
        user: String,
    },
    CreateToken {
        user: String,
        token: String,
    },
    RevokeToken {
        user: String,
        token: String,
    },
    /// Block, unblock, another role or other groups: the API puts all three in place at once.
    Update {
        user: String,
        role: String,
        is_blocked: bool,
        groups: Vec<String>,
    },
}

/// What only the server can say of what it made.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Made {
    pub id: Option<String>,
    pub plain: Option<String>,
}

impl State {
    /// Does what the server does, or should.
    pub fn apply(&mut self, operation: &Operation, made: &Made) {
        match operation {
            Operation::CreateUser { user, role } => {
                let new = User {
                    id: made.id.clone(),
                    role: role.clone(),
                    ..User::default()
                };
                self.users.insert(user.clone(), new);
            }
            Operation::DeleteUser { user } => {
                let gone = self.users.remove(user).unwrap_or_default();
                for token in gone.tokens.into_values() {
                    self.bury(token);
                }
            }
            Operation::CreateToken { user, token } => {
                let new = Token {
                    id: made.id.clone(),
                    plain: made.plain.clone(),
                };
                if let Some(user) = self.users.get_mut(user) {
                    user.tokens.insert(token.clone(), new);
                }
            }
            Operation::RevokeToken { user, token } => {
                let user = self.users.get_mut(user);
                if let Some(token) = user.and_then(|user| user.tokens.remove(token)) {
                    self.bury(token);
                }
            }
            Operation::Update {
                user,
                role,
                is_blocked,
                groups,
            } => {
                if let Some(user) = self.users.get_mut(user) {
                    user.role.clone_from(role);
                    user.is_blocked = *is_blocked;
                    user.groups.clone_from(groups);
                }
            }
        }
    }

    fn bury(&mut self, token: Token) {
        self.gone.extend(token.plain);
        while self.gone.len() > MOST_GONE {
            self.gone.pop_front();
        }
    }

    /// One that changes something, and that the server has no reason to refuse. `new` begins a name
    /// that was never used.
    pub fn choose(&self, random: &mut Random, new: &str) -> Operation {
        let names: Vec<&String> = self.users.keys().collect();
        let turn = random.below(100);
        let is_new = names.len() < MOST_USERS && turn < 10;
        if names.is_empty() || is_new {
            return Operation::CreateUser {
                user: format!("{new}user"),
                role: (*random.pick(&ROLES)).to_owned(),
            };
        }
        let name = (*random.pick(&names)).clone();
        let user = &self.users[&name];
        let tokens: Vec<&String> = user.tokens.keys().collect();
        let revoke = |random: &mut Random| Operation::RevokeToken {
            user: name.clone(),
            token: (*random.pick(&tokens)).clone(),
        };
        match turn {
            0..16 if names.len() > 1 => Operation::DeleteUser { user: name },
            16..50 if tokens.len() < MOST_TOKENS => Operation::CreateToken {
                user: name,
                token: format!("{new}token"),
            },
            16..66 if !tokens.is_empty() => revoke(random),
            _ => self.update(random, name.clone(), user),
        }
    }

    fn update(&self, random: &mut Random, name: String, user: &User) -> Operation {
        let (mut role, mut is_blocked) = (user.role.clone(), user.is_blocked);
        let mut groups = user.groups.clone();
        match random.below(3) {
            0 => {
                let others: Vec<&&str> = ROLES.iter().filter(|other| ***other != role).collect();
                role = (**random.pick(&others)).to_owned();
            }
            1 => is_blocked = !is_blocked,
            _ => {
                let group = format!("group-{}", random.below(4));
                match groups.iter().position(|known| *known == group) {
                    Some(place) => drop(groups.remove(place)),
                    None => groups.push(group),
                }
            }
        }
        Operation::Update {
            user: name,
            role,
            is_blocked,
            groups,
        }
    }
}
