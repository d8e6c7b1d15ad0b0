//! Who may do what: pure functions over users, and the one permission matrix.
//!
//! Handlers call these for a fast refusal; the write queue calls them again on the rows, which is
//! what counts. The matrix and the rules are NetBird's.

#[cfg(test)]
mod tests;

use crate::user::{Role, User};

/// What a permission is about: NetBird's modules. This server has endpoints for three of them; the
/// others stand in `/api/users/current` for the clients that read them there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the names are the documentation: they are NetBird's"
)]
pub enum Module {
    Accounts,
    Dns,
    Events,
    Groups,
    IdentityProviders,
    Nameservers,
    Networks,
    Pats,
    Peers,
    Policies,
    RemoteJobs,
    Routes,
    Settings,
    SetupKeys,
    Users,
}

impl Module {
    /// Every module, by name.
    pub const ALL: [Self; 15] = [
        Self::Accounts,
        Self::Dns,
        Self::Events,
        Self::Groups,
        Self::IdentityProviders,
        Self::Nameservers,
        Self::Networks,
        Self::Pats,
        Self::Peers,
        Self::Policies,
        Self::RemoteJobs,
        Self::Routes,
        Self::Settings,
        Self::SetupKeys,
        Self::Users,
    ];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Dns => "dns",
            Self::Events => "events",
            Self::Groups => "groups",
            Self::IdentityProviders => "identity_providers",
            Self::Nameservers => "nameservers",
            Self::Networks => "networks",
            Self::Pats => "pats",
            Self::Peers => "peers",
            Self::Policies => "policies",
            Self::RemoteJobs => "remote_jobs",
            Self::Routes => "routes",
            Self::Settings => "settings",
            Self::SetupKeys => "setup_keys",
            Self::Users => "users",
        }
    }
}

/// What is done to a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum Operation {
    Read,
    Create,
    Update,
    Delete,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 4] = [Self::Read, Self::Create, Self::Update, Self::Delete];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// A refusal of somebody known (403), with a reason that an operator can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// At the door: nothing passes.
    #[error("user is blocked")]
    Blocked,
    /// At the door: nothing passes yet.
    #[error("user is pending approval")]
    Pending,
    /// The permission matrix says no.
    #[error("role {} may not {} {}", .0.as_str(), .2.as_str(), .1.as_str())]
    Role(Role, Module, Operation),
    /// Tokens of another human, or of another at all for who is neither owner nor admin.
    #[error(
        "tokens are for their own user, or for owners and admins where the user is a service user"
    )]
    OthersTokens,
    /// `/api/users/current` is for humans.
    #[error("service users have no current user")]
    ServiceUser,
    /// Nobody blocks or unblocks themselves.
    #[error("users can't block or unblock themselves")]
    OwnBlock,
    /// Nobody changes their own role.
    #[error("users can't change their own role")]
    OwnRole,
    /// The role owner moves by the owner's hand only.
    #[error("only the owner gives or takes the role owner")]
    OwnerRole,
    /// There is always one who can do everything.
    #[error("an owner stays owner until the role is given to another")]
    OwnerNeeded,
    /// An owner stays able to work.
    #[error("an owner can't be blocked")]
    OwnerBlocked,
    /// An owner can't be deleted; transfer the role first.
    #[error("an owner can't be deleted")]
    OwnerDeleted,
    /// A machine can't own.
    #[error("a service user can't be owner")]
    ServiceOwner,
    /// A transfer to somebody who can't log in would lock everyone out.
    #[error("the new owner must be active: not blocked, pending or invited")]
    InactiveOwner,
}

/// Whether somebody may pass the door at all.
///
/// # Errors
/// [`Denied::Pending`] or [`Denied::Blocked`].
pub fn admit(user: &User) -> Result<(), Denied> {
    if user.is_pending {
        return Err(Denied::Pending);
    }
    if user.is_blocked {
        return Err(Denied::Blocked);
    }
    Ok(())
}

/// Whether the caller's role allows an operation on a module. A service user passes every read.
///
/// # Errors
/// [`Denied::Role`].
pub fn permit(caller: &User, module: Module, operation: Operation) -> Result<(), Denied> {
    let passes = caller.is_service && operation == Operation::Read;
    if passes || allows(caller.role, module, operation) {
        Ok(())
    } else {
        Err(Denied::Role(caller.role, module, operation))
    }
}

/// The permission matrix.
pub const fn allows(role: Role, module: Module, operation: Operation) -> bool {
    let read = matches!(operation, Operation::Read);
    match role {
        Role::Owner => true,
        Role::Admin => read || !matches!(module, Module::Accounts),
        Role::Auditor => read,
        Role::NetworkAdmin => match module {
            Module::Dns
            | Module::Groups
            | Module::Nameservers
            | Module::Networks
            | Module::Pats
            | Module::Policies
            | Module::Routes => true,
            Module::Accounts
            | Module::Events
            | Module::IdentityProviders
            | Module::Peers
            | Module::Settings
            | Module::SetupKeys
            | Module::Users => read,
            Module::RemoteJobs => false,
        },
        Role::User | Role::BillingAdmin => false,
    }
}

/// The target rule: whose tokens the caller may read, make and delete, where the role allows it.
///
/// # Errors
/// [`Denied::OthersTokens`]: not even an owner reaches another human's tokens.
pub fn reach_tokens(caller: &User, target: &User) -> Result<(), Denied> {
    let rules = matches!(caller.role, Role::Owner | Role::Admin);
    if caller.number == target.number || (rules && target.is_service) {
        Ok(())
    } else {
        Err(Denied::OthersTokens)
    }
}

/// Whether the caller may put this role and this block on the target; the caller's role was
/// judged by [`permit`] before.
///
/// # Errors
/// The rule that is broken.
pub fn change_user(
    caller: &User,
    target: &User,
    role: Role,
    is_blocked: bool,
) -> Result<(), Denied> {
    if caller.number == target.number {
        if is_blocked != target.is_blocked {
            return Err(Denied::OwnBlock);
        }
        if role != target.role {
            return Err(Denied::OwnRole);
        }
    }
    let moves_ownership = (role == Role::Owner) != (target.role == Role::Owner);
    if moves_ownership && caller.role != Role::Owner {
        return Err(Denied::OwnerRole);
    }
    change_owner(target, role, is_blocked)
}

/// The rules for owners that hold whoever makes the change, the command line included.
///
/// # Errors
/// The rule that is broken.
pub fn change_owner(target: &User, role: Role, is_blocked: bool) -> Result<(), Denied> {
    if role != Role::Owner {
        return match target.role {
            Role::Owner => Err(Denied::OwnerNeeded),
            _ => Ok(()),
        };
    }
    if target.is_service {
        return Err(Denied::ServiceOwner);
    }
    if is_blocked {
        return Err(Denied::OwnerBlocked);
    }
    let active = !(target.is_blocked || target.is_pending || target.is_invited);
    if target.role != Role::Owner && !active {
        return Err(Denied::InactiveOwner);
    }
    Ok(())
}
