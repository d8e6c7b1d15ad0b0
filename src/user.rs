//! Users, their roles, and who is calling.

use std::fmt;
use std::sync::Arc;

use crate::clock::Timestamp;

/// Longest user id, name or e-mail address, in bytes.
pub const LONGEST_TEXT: usize = 255;

/// Most groups of one user; more is no use, and each is an event in the audit trail.
pub const MOST_GROUPS: usize = 256;

/// What a new user's id may not be: a path of its own, nobody in the audit trail, or swallowed by
/// clients that tidy paths.
pub const RESERVED_IDS: [&str; 5] = ["current", "sys", "-", ".", ".."];

/// Every `status` on the wire.
pub const STATUSES: [&str; 3] = ["active", "invited", "blocked"];

/// A user's row number in the database. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserNumber(pub u32);

/// A token's row number in the database. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenNumber(pub u32);

/// A user's id: any non-empty UTF-8 text up to 255 bytes without control characters
/// (`google-oauth2|123456`, a UUID, base64url).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Arc<str>);

/// Text a person gave a user or a token: up to 255 bytes, no control characters, else as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(Box<str>);

/// What is wrong with a [`UserId`] or [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// There is nothing.
    #[error("must not be empty")]
    Empty,
    /// Over [`LONGEST_TEXT`] bytes.
    #[error("must be at most 255 bytes long")]
    TooLong,
    /// C0, DEL or C1 (Unicode category Cc).
    #[error("must not contain control characters")]
    ControlCharacter,
    /// No e-mail address.
    #[error("must be an e-mail address")]
    NoAddress,
    /// More than [`MOST_GROUPS`].
    #[error("must hold at most 256 ids")]
    TooMany,
    /// An id that means something else.
    #[error("must not be one of current, sys, -, . and ..")]
    Reserved,
}

impl UserId {
    /// Reads an id.
    ///
    /// # Errors
    /// [`TextFault`] for a text that can't be one.
    pub fn parse(text: &str) -> Result<Self, TextFault> {
        if text.is_empty() {
            return Err(TextFault::Empty);
        }
        check_text(text)?;
        Ok(Self(text.into()))
    }

    /// Reads an id for a new user: none of [`RESERVED_IDS`].
    ///
    /// # Errors
    /// [`TextFault`] for a text that can't be one.
    pub fn parse_new(text: &str) -> Result<Self, TextFault> {
        if RESERVED_IDS.contains(&text) {
            return Err(TextFault::Reserved);
        }
        Self::parse(text)
    }

    /// A fresh random UUID, for users whose id nobody chose.
    pub fn generate() -> Self {
        Self(uuid::Uuid::new_v4().to_string().into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Name {
    /// Reads a name; the empty one is a name.
    ///
    /// # Errors
    /// [`TextFault`], but never `Empty`.
    pub fn parse(text: &str) -> Result<Self, TextFault> {
        check_text(text)?;
        Ok(Self(text.into()))
    }

    /// The name of what has none.
    pub fn empty() -> Self {
        Self("".into())
    }

    /// Reads a name that must say something.
    ///
    /// # Errors
    /// [`TextFault`] for a text that can't be one.
    pub fn parse_non_empty(text: &str) -> Result<Self, TextFault> {
        if text.is_empty() {
            return Err(TextFault::Empty);
        }
        Self::parse(text)
    }

    /// Reads an e-mail address: something, `@`, something. Nothing is ever sent to it.
    ///
    /// # Errors
    /// [`TextFault`] for a text that can't be one.
    pub fn parse_email(text: &str) -> Result<Self, TextFault> {
        match text.split_once('@') {
            None if text.is_empty() => Err(TextFault::Empty),
            Some((user, host)) if !user.is_empty() && !host.is_empty() => Self::parse(text),
            _ => Err(TextFault::NoAddress),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is an id is a name too.
impl From<&UserId> for Name {
    fn from(id: &UserId) -> Self {
        Self(id.as_str().into())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the ids of a user's groups.
///
/// # Errors
/// [`TextFault`] for too many, or for the first that can't be one.
pub fn parse_groups<'a>(ids: impl Iterator<Item = &'a str>) -> Result<Box<[Box<str>]>, TextFault> {
    let check = |id| Name::parse_non_empty(id).map(|Name(id)| id);
    let groups: Box<[Box<str>]> = ids.map(check).collect::<Result<_, _>>()?;
    if groups.len() > MOST_GROUPS {
        return Err(TextFault::TooMany);
    }
    Ok(groups)
}

fn check_text(text: &str) -> Result<(), TextFault> {
    if text.len() > LONGEST_TEXT {
        return Err(TextFault::TooLong);
    }
    if text.chars().any(char::is_control) {
        return Err(TextFault::ControlCharacter);
    }
    Ok(())
}

/// What a user may do in general; [`crate::policy`] has the table. NetBird's roles, the mightiest
/// first, which is their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// There is at most one; the role moves by transfer only.
    Owner,
    /// Everything but the owner's own matters.
    Admin,
    /// Networks, and its own tokens.
    NetworkAdmin,
    /// Reads everything, changes nothing.
    Auditor,
    /// Nothing by itself.
    User,
    /// Nothing by itself.
    BillingAdmin,
}

impl Role {
    /// Every role, the mightiest first.
    pub const ALL: [Self; 6] = [
        Self::Owner,
        Self::Admin,
        Self::NetworkAdmin,
        Self::Auditor,
        Self::User,
        Self::BillingAdmin,
    ];

    /// The name on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::NetworkAdmin => "network_admin",
            Self::Auditor => "auditor",
            Self::User => "user",
            Self::BillingAdmin => "billing_admin",
        }
    }

    /// Reads a role in any letter case; `None` if there is no such role.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A person or a machine that may hold tokens: one row of `users`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Row number.
    pub number: UserNumber,
    /// Id on the wire; unique.
    pub id: UserId,
    /// Name of the configured issuer whose JWTs are this user; empty for a user of tokens only.
    pub issuer: Box<str>,
    /// Display name; may be empty.
    pub name: Name,
    /// Empty for a service user.
    pub email: Name,
    /// See [`Role`].
    pub role: Role,
    /// Ids of groups, kept for the clients that manage them.
    pub auto_groups: Box<[Box<str>]>,
    /// A machine: it has no e-mail address and never logs in.
    pub is_service: bool,
    /// Passes nothing.
    pub is_blocked: bool,
    /// Passes nothing until someone approves.
    pub is_pending: bool,
    /// Created by another and not seen yet.
    pub is_invited: bool,
    /// Last login with a JWT; `None` is never.
    pub last_login: Option<Timestamp>,
    /// When the role was given last: by a person then, or by a JWT that was issued then.
    pub role_issued_at: Option<Timestamp>,
}

impl User {
    /// `status` on the wire: blocked wins over invited.
    pub const fn status(&self) -> &'static str {
        let [active, invited, blocked] = STATUSES;
        if self.is_blocked {
            blocked
        } else if self.is_invited {
            invited
        } else {
            active
        }
    }
}

/// Who makes a request, and how that was proved.
#[derive(Clone, Debug)]
pub struct Caller {
    /// As of the moment of the check.
    pub user: Arc<User>,
    /// What was shown.
    pub credential: Credential,
}

/// How a caller was authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A personal access token, by its row number.
    Token(TokenNumber),
    /// A JWT that passes until then.
    Jwt(Timestamp),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_and_names_have_limits() {
        let long = "é".repeat(128);
        let table = [
            ("", Err(TextFault::Empty)),
            ("a", Ok(())),
            ("google-oauth2|123456", Ok(())),
            ("👩‍🚀 <b>مرحبا</b>", Ok(())),
            ("a\nb", Err(TextFault::ControlCharacter)),
            ("a\u{7f}", Err(TextFault::ControlCharacter)),
            ("a\u{85}", Err(TextFault::ControlCharacter)),
            (&long, Err(TextFault::TooLong)),
            (&long[..254], Ok(())),
        ];
        for (text, expected) in table {
            assert_eq!(UserId::parse(text).map(drop), expected, "{text:?}");
            assert_eq!(Name::parse_non_empty(text).map(drop), expected, "{text:?}");
        }
        assert!(Name::parse("").is_ok());
    }

    proptest! {
        #[test]
        fn an_id_is_kept_as_it_came(text in any::<String>()) {
            if let Ok(id) = UserId::parse(&text) {
                prop_assert_eq!(id.as_str(), &text);
                prop_assert!(!text.is_empty() && text.len() <= LONGEST_TEXT);
            }
        }
    }

    #[test]
    fn roles_are_read_in_any_case_and_written_in_lower_case() {
        for role in Role::ALL {
            assert_eq!(Role::parse(&role.as_str().to_uppercase()), Some(role));
            assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{role}\""));
        }
        for other in ["", "root", "owner ", "network-admin"] {
            assert_eq!(Role::parse(other), None);
        }
    }
}
