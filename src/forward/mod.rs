//! Whether a request to somebody else's site may pass: rules over the request that a reverse proxy
//! asks about. Pure.

mod identity;
mod judge;
mod original;
mod rule;
mod rules;
mod settings;

#[cfg(test)]
mod tests;

pub use identity::{NOTHING, header_value};
pub use judge::{Denial, Plan, fits, plan};
pub use original::{Original, OriginalFault};
pub use rule::{Fit, HostPattern, PathPrefix, PatternFault, Rule};
pub use rules::Rules;
pub use settings::{ForwardAuth, IdentityHeaders, Unmatched};
