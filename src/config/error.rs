//! The one error of this module: a line for the person who starts the server.

/// Why the settings cannot be used, as one line that names the place and what to change. It never
/// holds a value, so it can be logged whatever the setting was.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    /// Control characters of a path or a key are escaped, so that the message stays one line.
    pub(super) fn new(message: impl AsRef<str>) -> Self {
        let mut line = String::with_capacity(message.as_ref().len());
        for character in message.as_ref().chars() {
            if character.is_control() {
                line.extend(character.escape_default());
            } else {
                line.push(character);
            }
        }
        Self(line)
    }
}
