//! What the configuration says of forward-auth.

use super::Rules;

/// `[forward_auth]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardAuth {
    /// What becomes of a good credential where no rule matches.
    pub unmatched: Unmatched,
    /// A further header that may carry a credential; lower case.
    pub api_key_header: Option<Box<str>>,
    /// What the headers are called that tell the app who it is.
    pub headers: IdentityHeaders,
    /// The first that matches counts.
    pub rules: Rules,
}

/// What becomes of a good credential where no rule matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unmatched {
    /// 403.
    #[default]
    Deny,
    /// It passes.
    Authenticated,
}

/// Names of headers, in the spelling of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct IdentityHeaders {
    pub user: Box<str>,
    pub name: Box<str>,
    pub email: Box<str>,
    pub groups: Box<str>,
    pub token_id: Box<str>,
}

impl Default for ForwardAuth {
    fn default() -> Self {
        Self {
            unmatched: Unmatched::Deny,
            api_key_header: Some("x-api-key".into()),
            headers: IdentityHeaders {
                user: "Remote-User".into(),
                name: "Remote-Name".into(),
                email: "Remote-Email".into(),
                groups: "Remote-Groups".into(),
                token_id: "X-Netbird-Auth-Token-Id".into(),
            },
            rules: Rules::default(),
        }
    }
}
