//! What the bodies of requests may hold.

#![allow(missing_docs, reason = "each says what it is, for the document")]

use super::field::{
    AllGroups, AnyName, AnyRole, Days, Email, Field, Flag, Groups, NewId, NewRole, SomeDays,
    SomeName, Text,
};
use crate::openapi::{RequestBody, Shape};

/// Of a new user.
pub mod new_user {
    use super::*;

    /// Tells the two shapes apart.
    pub const IS_SERVICE_USER: Field<Flag> =
        Field::new("is_service_user", "A machine, not a human.");
    pub const ROLE: Field<NewRole> = Field::new("role", "What the user may do.");
    pub const GROUPS: Field<Groups> = Field::new(
        "auto_groups",
        "Ids of groups, kept for the clients that manage them.",
    );
    /// Of a service user.
    pub const ANY_NAME: Field<AnyName> = Field::new("name", "May be empty.");
    /// Of a human.
    pub const NAME: Field<SomeName> = Field::new("name", "Must not be empty.");
    pub const EMAIL: Field<Email> = Field::new(
        "email",
        "Something, `@`, something; nothing is ever sent to it.",
    );
    pub const ID: Field<NewId> = Field::new(
        "id",
        "The user id in the JWTs of the user; a UUID where it is absent.",
    );
    pub const ISSUER: Field<Text> = Field::new(
        "issuer",
        "A configured issuer, whose JWTs are the user; the first one where it is absent or empty.",
    );
    /// What must be strings, whether they are used or not.
    pub const TEXTS: [Field<Text>; 4] = [
        Field::new("name", "Dropped."),
        Field::new("email", "Dropped."),
        Field::new("id", "Dropped."),
        Field::new("issuer", "Dropped."),
    ];

    pub const BODY: RequestBody = RequestBody {
        name: "NewUser",
        about: "A service user, or a human.",
        shapes: &[
            Shape {
                name: "NewServiceUser",
                properties: &[
                    Flag::yes(&IS_SERVICE_USER),
                    ROLE.told(),
                    GROUPS.told(),
                    ANY_NAME.told(),
                    TEXTS[1].told(),
                    TEXTS[2].told(),
                    TEXTS[3].told(),
                ],
            },
            Shape {
                name: "NewHuman",
                properties: &[
                    Flag::no(&IS_SERVICE_USER),
                    ROLE.told(),
                    GROUPS.told(),
                    NAME.told(),
                    EMAIL.told(),
                    ID.told(),
                    ISSUER.told(),
                ],
            },
        ],
        example: r#"{"role":"user","auto_groups":[],"is_service_user":true,"name":"ci"}"#,
    };
}

/// Of a user who is changed.
pub mod user_update {
    use super::*;

    pub const ROLE: Field<AnyRole> = Field::new("role", "What the user may do.");
    pub const GROUPS: Field<AllGroups> = Field::new(
        "auto_groups",
        "Ids of groups, kept for the clients that manage them.",
    );
    pub const IS_BLOCKED: Field<Flag> = Field::new(
        "is_blocked",
        "Whether the user is shut out; false where it is absent.",
    );

    pub const BODY: RequestBody = RequestBody {
        name: "UserUpdate",
        about: "What takes the place of what was.",
        shapes: &[Shape {
            name: "UserUpdate",
            properties: &[ROLE.told(), GROUPS.told(), IS_BLOCKED.told()],
        }],
        example: r#"{"role":"auditor","auto_groups":["ops"],"is_blocked":false}"#,
    };
}

/// Of a new token.
pub mod new_token {
    use super::*;

    pub const NAME: Field<SomeName> = Field::new("name", "Need not be the only one of its name.");
    pub const EXPIRES_IN: Field<Days> = Field::new("expires_in", "How long the token lives.");

    pub const BODY: RequestBody = RequestBody {
        name: "NewPersonalAccessToken",
        about: "A token.",
        shapes: &[Shape {
            name: "NewPersonalAccessToken",
            properties: &[NAME.told(), EXPIRES_IN.told()],
        }],
        example: r#"{"name":"ci","expires_in":30}"#,
    };
}

/// Of the first owner.
pub mod first_owner {
    use super::*;

    pub const EMAIL: Field<Email> = new_user::EMAIL;
    pub const NAME: Field<SomeName> = new_user::NAME;
    pub const CREATE_PAT: Field<Flag> =
        Field::new("create_pat", "Whether the answer holds a first token.");
    pub const PAT_EXPIRE_IN: Field<SomeDays> = Field::new(
        "pat_expire_in",
        "How long that token lives; one day where it is absent.",
    );

    pub const BODY: RequestBody = RequestBody {
        name: "NewOwner",
        about: "The first owner, with or without a token. There are no passwords here: `password` is ignored.",
        shapes: &[
            Shape {
                name: "NewOwnerAndToken",
                properties: &[
                    EMAIL.told(),
                    NAME.told(),
                    Flag::yes(&CREATE_PAT),
                    PAT_EXPIRE_IN.told(),
                ],
            },
            Shape {
                name: "NewOwnerOnly",
                properties: &[EMAIL.told(), NAME.told(), Flag::no(&CREATE_PAT)],
            },
        ],
        example: r#"{"email":"ann@home.arpa","name":"Ann","create_pat":true,"pat_expire_in":1}"#,
    };
}
