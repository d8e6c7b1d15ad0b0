//! Who the first owner is at an issuer: an id and the issuer's name, both or neither.

use super::ConfigError;
use super::reader::Reader;
use super::value::{self, Given};
use crate::jwt::IssuerSettings;
use crate::user::UserId;

/// By which JWTs the first owner is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerIdentity {
    /// The owner's id: what the issuer's `user_id_claim` says.
    pub id: UserId,
    /// Name of a configured issuer; see [`OwnerIdentity::check`].
    pub issuer: Box<str>,
}

impl OwnerIdentity {
    /// Whether the issuer is configured. Of meaning only where the owner is to be made: later it must
    /// not keep anybody from taking the issuer away.
    ///
    /// # Errors
    /// Where it is not.
    pub fn check(&self, issuers: &[IssuerSettings]) -> Result<(), ConfigError> {
        match issuers.iter().any(|issuer| issuer.name == self.issuer) {
            true => Ok(()),
            false => Err(ConfigError::new(
                "`bootstrap.owner_issuer` must be the `name` of an [[issuer]]",
            )),
        }
    }
}

/// Reads the settings `id` and `issuer`.
pub(super) fn identity(
    reader: &mut Reader<'_>,
    section: &'static str,
    [id_key, issuer_key]: [&'static str; 2],
) -> Result<Option<OwnerIdentity>, ConfigError> {
    let id = |given: Given<'_>| {
        let id = UserId::parse_new(given.text()?).map_err(|fault| fault.to_string())?;
        Ok(Some(id))
    };
    let issuer = |given: Given<'_>| Ok(Some(value::name(given)?.into()));
    let id = reader.get(section, id_key, None, id)?;
    let issuer = reader.get(section, issuer_key, None, issuer)?;
    let both = reader.both(section, [id_key, issuer_key], (id, issuer))?;
    Ok(both.map(|(id, issuer)| OwnerIdentity { id, issuer }))
}
