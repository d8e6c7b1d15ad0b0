//! Of `/api/users/{user}/tokens`.

use actix_web::http::StatusCode;

use super::EMPTY;
use crate::api::bodies::new_token;
use crate::api::tokens::Generated;
use crate::openapi::{Answer, Door, Link, Operation};
use crate::view::TokenView;

const TAG: &str = "tokens";

const NO_TOKEN: &[(StatusCode, &str)] = &[(
    StatusCode::NOT_FOUND,
    "There is no such user, or no such token of the user.",
)];

const MADE: &[(&str, &str)] = &[
    ("user", "$request.path.user"),
    ("token", "$response.body#/personal_access_token/id"),
];

pub const LIST_TOKENS: Operation = Operation {
    id: "listTokens",
    tag: TAG,
    summary: "List a user's tokens",
    about: "Expired ones too. A user reaches their own tokens; owners and admins those of service users too.",
    door: Door::Closed,
    parameters: &[],
    body: None,
    answer: Answer::Json("The tokens.", |generator| {
        generator.subschema_for::<Vec<TokenView<'_>>>()
    }),
    refusals: &[(StatusCode::NOT_FOUND, "There is no such user.")],
    links: &[],
};

pub const CREATE_TOKEN: Operation = Operation {
    id: "createToken",
    tag: TAG,
    summary: "Create a token",
    about: "The answer is the only place where the token stands.",
    door: Door::Closed,
    parameters: &[],
    body: Some(&new_token::BODY),
    answer: Answer::Json("The token.", |generator| {
        generator.subschema_for::<Generated<'_>>()
    }),
    refusals: &[
        (StatusCode::NOT_FOUND, "There is no such user."),
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            "A member is missing or can't be what it is.",
        ),
    ],
    links: &[
        Link {
            to: "showToken",
            parameters: MADE,
        },
        Link {
            to: "deleteToken",
            parameters: MADE,
        },
    ],
};

pub const SHOW_TOKEN: Operation = Operation {
    id: "showToken",
    tag: TAG,
    summary: "Show a token",
    about: "What is known of it; the token itself is not.",
    door: Door::Closed,
    parameters: &[],
    body: None,
    answer: Answer::Json("The token.", |generator| {
        generator.subschema_for::<TokenView<'_>>()
    }),
    refusals: NO_TOKEN,
    links: &[],
};

pub const DELETE_TOKEN: Operation = Operation {
    id: "deleteToken",
    tag: TAG,
    summary: "Delete a token",
    about: "It is refused from this answer on.",
    door: Door::Closed,
    parameters: &[],
    body: None,
    answer: EMPTY,
    refusals: NO_TOKEN,
    links: &[],
};
