//! How a command fails, and the exit code of it.

use crate::backup::BackupError;
use crate::change::Refused;
use crate::config::ConfigError;
use crate::issuers::SourceFault;
use crate::jwt::LoadFault;
use crate::server::ServerError;
use crate::store::StoreError;
use crate::tls::TlsFault;

/// A command that was not done; the text tells the next step.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Exit code 1.
    #[error("{0}")]
    Failed(String),
    /// Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Exit code 3.
    #[error("{0}")]
    NotFound(String),
    /// Exit code 4.
    #[error("{0}")]
    Denied(String),
}

impl Failure {
    pub(super) const fn exit_code(&self) -> i32 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::NotFound(_) => 3,
            Self::Denied(_) => 4,
        }
    }

    pub(super) fn user_not_found(id: &str) -> Self {
        // Not repeated where it may be a token, pasted by mistake.
        let id = if super::looks_secret(id) {
            "with this id"
        } else {
            id
        };
        Self::NotFound(format!(
            "user {id} not found; 'netbird-auth user list' shows all"
        ))
    }

    pub(super) fn token_not_found(id: &str) -> Self {
        Self::NotFound(format!(
            "token {id} not found; 'netbird-auth token list' shows all"
        ))
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<LoadFault> for Failure {
    fn from(fault: LoadFault) -> Self {
        Self::Usage(fault.to_string())
    }
}

impl From<SourceFault> for Failure {
    fn from(fault: SourceFault) -> Self {
        Self::Usage(fault.to_string())
    }
}

impl From<TlsFault> for Failure {
    fn from(fault: TlsFault) -> Self {
        Self::Usage(fault.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotFound(_) => Self::NotFound(refused.to_string()),
            Refused::Store(error) => error.into(),
            Refused::SetupDone => Self::Denied(
                "there is an owner already; 'netbird-auth token create --user ID' makes a token"
                    .to_owned(),
            ),
            _ => Self::Denied(refused.to_string()),
        }
    }
}
