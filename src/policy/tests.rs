//! The matrix and the rules, as tables.

use super::*;
use crate::user::{Name, UserId, UserNumber};

fn user(number: u32, role: Role, is_service: bool) -> User {
    User {
        number: UserNumber(number),
        id: UserId::parse(&format!("user-{number}")).unwrap(),
        issuer: "".into(),
        name: Name::empty(),
        email: Name::empty(),
        role,
        auto_groups: Box::new([]),
        is_service,
        is_blocked: false,
        is_pending: false,
        is_invited: false,
        last_login: None,
        role_issued_at: None,
    }
}

/// CONTRACT: roles × (users, pats) × operations, as letters of CRUD.
#[test]
fn the_matrix_is_that_of_the_contract() {
    let table = [
        (Role::Owner, "CRUD", "CRUD", "CRUD"),
        (Role::Admin, "CRUD", "CRUD", "R"),
        (Role::NetworkAdmin, "R", "CRUD", "R"),
        (Role::Auditor, "R", "R", "R"),
        (Role::User, "", "", ""),
        (Role::BillingAdmin, "", "", ""),
    ];
    let letters = [
        (Operation::Create, 'C'),
        (Operation::Read, 'R'),
        (Operation::Update, 'U'),
        (Operation::Delete, 'D'),
    ];
    for (role, users, pats, accounts) in table {
        for (operation, letter) in letters {
            for (module, allowed) in [
                (Module::Users, users),
                (Module::Pats, pats),
                (Module::Accounts, accounts),
            ] {
                assert_eq!(
                    permit(&user(1, role, false), module, operation).is_ok(),
                    allowed.contains(letter),
                    "{role} {operation:?} {module:?}"
                );
            }
        }
    }
}

#[test]
fn a_service_user_passes_every_read_and_no_write_by_that() {
    for module in Module::ALL {
        let machine = user(1, Role::User, true);
        assert!(permit(&machine, module, Operation::Read).is_ok());
        for operation in [Operation::Create, Operation::Update, Operation::Delete] {
            assert!(permit(&machine, module, operation).is_err());
        }
    }
}

#[test]
fn tokens_are_reached_by_their_user_and_a_machines_by_owner_and_admin() {
    for role in Role::ALL {
        let caller = user(1, role, false);
        let rules = matches!(role, Role::Owner | Role::Admin);
        assert!(reach_tokens(&caller, &caller).is_ok());
        assert_eq!(
            reach_tokens(&caller, &user(2, Role::User, true)).is_ok(),
            rules
        );
        assert!(reach_tokens(&caller, &user(2, Role::User, false)).is_err());
    }
}

#[test]
fn each_rule_for_changing_a_user_refuses_by_its_name() {
    let owner = user(1, Role::Owner, false);
    let admin = user(2, Role::Admin, false);
    let human = user(3, Role::User, false);
    let machine = user(4, Role::User, true);
    let invited = User {
        is_invited: true,
        ..human.clone()
    };
    let pending = User {
        is_pending: true,
        ..human.clone()
    };
    let blocked = User {
        is_blocked: true,
        ..human.clone()
    };
    let table = [
        (&owner, &human, Role::Owner, false, Ok(())),
        (&owner, &human, Role::Auditor, true, Ok(())),
        (&admin, &human, Role::Admin, false, Ok(())),
        (&admin, &admin, Role::Admin, false, Ok(())),
        (&admin, &owner, Role::Owner, false, Ok(())),
        (&admin, &admin, Role::Admin, true, Err(Denied::OwnBlock)),
        (&admin, &admin, Role::User, false, Err(Denied::OwnRole)),
        (&owner, &owner, Role::Admin, false, Err(Denied::OwnRole)),
        (&admin, &human, Role::Owner, false, Err(Denied::OwnerRole)),
        (&admin, &owner, Role::User, false, Err(Denied::OwnerRole)),
        (&admin, &owner, Role::Owner, true, Err(Denied::OwnerBlocked)),
        (&owner, &human, Role::Owner, true, Err(Denied::OwnerBlocked)),
        (
            &owner,
            &machine,
            Role::Owner,
            false,
            Err(Denied::ServiceOwner),
        ),
        (
            &owner,
            &invited,
            Role::Owner,
            false,
            Err(Denied::InactiveOwner),
        ),
        (
            &owner,
            &pending,
            Role::Owner,
            false,
            Err(Denied::InactiveOwner),
        ),
        (
            &owner,
            &blocked,
            Role::Owner,
            false,
            Err(Denied::InactiveOwner),
        ),
    ];
    assert_eq!(
        change_owner(&owner, Role::Admin, false),
        Err(Denied::OwnerNeeded)
    );
    for (caller, target, role, is_blocked, expected) in table {
        assert_eq!(
            change_user(caller, target, role, is_blocked),
            expected,
            "{} puts {role} (blocked: {is_blocked}) on {}",
            caller.role,
            target.id
        );
    }
}
