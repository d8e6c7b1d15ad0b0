//! Of `/api/users`.

use actix_web::http::StatusCode;
use serde_json::json;

use super::EMPTY;
use crate::api::bodies::{new_user, user_update};
use crate::openapi::{Answer, Door, Link, Operation, Parameter};
use crate::schema::of;
use crate::view::UserView;

const TAG: &str = "users";

const USER: Answer = Answer::Json("The user.", |generator| {
    generator.subschema_for::<UserView<'_>>()
});

const MADE: &[(&str, &str)] = &[("user", "$response.body#/id")];

pub const LIST_USERS: Operation = Operation {
    id: "listUsers",
    tag: TAG,
    summary: "List users",
    about: "Everybody, or only oneself where the role may not read users.",
    door: Door::Closed,
    parameters: &[Parameter {
        place: "query",
        name: "service_user",
        required: false,
        about: "Only service users, or only humans. At most once.",
        schema: || of(json!({ "type": "boolean" })),
    }],
    body: None,
    answer: Answer::Json("The users.", |generator| {
        generator.subschema_for::<Vec<UserView<'_>>>()
    }),
    refusals: &[(
        StatusCode::UNPROCESSABLE_ENTITY,
        "`service_user` is neither `true` nor `false`, or stands twice.",
    )],
    links: &[],
};

pub const CREATE_USER: Operation = Operation {
    id: "createUser",
    tag: TAG,
    summary: "Create a user",
    about: "A service user, or a human who is invited until the first login.",
    door: Door::Closed,
    parameters: &[],
    body: Some(&new_user::BODY),
    answer: USER,
    refusals: &[
        (
            StatusCode::CONFLICT,
            "The id is taken, or another user was created with the e-mail address.",
        ),
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            "A member is missing or can't be what it is.",
        ),
    ],
    links: &[
        Link {
            to: "updateUser",
            parameters: MADE,
        },
        Link {
            to: "deleteUser",
            parameters: MADE,
        },
        Link {
            to: "listTokens",
            parameters: MADE,
        },
        Link {
            to: "createToken",
            parameters: MADE,
        },
    ],
};

pub const CURRENT_USER: Operation = Operation {
    id: "currentUser",
    tag: TAG,
    summary: "Show the user who asks",
    about: "With their permissions. Humans only.",
    door: Door::Closed,
    parameters: &[],
    body: None,
    answer: USER,
    refusals: &[],
    links: &[],
};

pub const UPDATE_USER: Operation = Operation {
    id: "updateUser",
    tag: TAG,
    summary: "Change a user",
    about: "Puts role, groups and block in place. An owner who gives the role owner to another becomes admin.",
    door: Door::Closed,
    parameters: &[],
    body: Some(&user_update::BODY),
    answer: USER,
    refusals: &[
        (StatusCode::NOT_FOUND, "There is no such user."),
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            "The role is missing or unknown, or an id of a group can be none.",
        ),
    ],
    links: &[],
};

pub const DELETE_USER: Operation = Operation {
    id: "deleteUser",
    tag: TAG,
    summary: "Delete a user",
    about: "With all their tokens. An owner can't be deleted.",
    door: Door::Closed,
    parameters: &[],
    body: None,
    answer: EMPTY,
    refusals: &[
        (StatusCode::NOT_FOUND, "There is no such user."),
        (StatusCode::UNPROCESSABLE_ENTITY, "It is the user who asks."),
    ],
    links: &[],
};

pub const APPROVE_USER: Operation = Operation {
    id: "approveUser",
    tag: TAG,
    summary: "Approve a user",
    about: "Lets a pending user in.",
    door: Door::Closed,
    parameters: &[],
    body: None,
    answer: USER,
    refusals: NOT_PENDING,
    links: &[],
};

pub const REJECT_USER: Operation = Operation {
    id: "rejectUser",
    tag: TAG,
    summary: "Reject a user",
    about: "Deletes a pending user.",
    door: Door::Closed,
    parameters: &[],
    body: None,
    answer: EMPTY,
    refusals: NOT_PENDING,
    links: &[],
};

const NOT_PENDING: &[(StatusCode, &str)] = &[
    (StatusCode::NOT_FOUND, "There is no such user."),
    (StatusCode::UNPROCESSABLE_ENTITY, "The user is not pending."),
];
