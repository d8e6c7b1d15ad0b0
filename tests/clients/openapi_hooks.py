"""What schemathesis can't know: which users and tokens there are. Counts the answers too."""

import atexit
import json
import os
from collections import Counter, defaultdict
from zlib import crc32

import requests
import schemathesis
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode

ANSWERS = defaultdict(Counter)
# Dictionaries, since they keep their order: the same seed then meets the same users.
USERS, TOKENS = {}, {}
# Those who are pending, for each of the two that end it.
PENDING = {"/api/users/{user}/approve": {}, "/api/users/{user}/reject": {}}


def is_good(case, location):
    """Whether this part of a request is as the document says."""
    component = case.meta and case.meta.components.get(location)
    return bool(component) and component.mode == GenerationMode.POSITIVE


@schemathesis.hook
def after_load_schema(context, schema):
    """Whom the server knows when it starts."""
    base = os.environ["OPENAPI_SERVER"]
    head = {"Authorization": os.environ["OPENAPI_AUTHORIZATION"]}
    answer = requests.get(base + "/api/users", headers=head, timeout=30)
    for user in answer.json() if answer.ok else []:
        if user["pending_approval"]:
            fewest = min(PENDING.values(), key=len)
            fewest[user["id"]] = None
        elif user["is_service_user"]:
            USERS[user["id"]] = None


@schemathesis.hook
def before_call(context, case, kwargs):
    """Most ids that may be anything become ids of somebody."""
    if is_good(case, ParameterLocation.BODY) and isinstance(case.body, dict):
        within_what_schemas_say(case.body)
    if case.meta is None or case.meta.phase.name.name == "STATEFUL_TESTING":
        return
    if is_good(case, ParameterLocation.PATH) and "user" in case.path_parameters:
        choice = crc32(json.dumps(case.path_parameters).encode())
        # The rest stays what it is, and is nobody.
        if choice % 4:
            path = case.operation.path
            if "token" in case.path_parameters and TOKENS:
                user, token = pick(TOKENS, choice)
                case.path_parameters.update(user=user, token=token)
            elif PENDING.get(path):
                case.path_parameters["user"] = pick(PENDING[path], choice)
            elif USERS:
                case.path_parameters["user"] = pick(USERS, choice)
    if is_good(case, ParameterLocation.HEADER) and case.operation.path == "/auth/verify":
        if crc32(json.dumps(dict(case.headers)).encode()) % 2:
            case.headers["X-Forwarded-Host"] = "app.home.arpa"


def within_what_schemas_say(body):
    """The two rules that the document tells in words only."""
    if body.get("issuer"):
        # There is none, so that only the empty name is one of an issuer.
        body["issuer"] = ""
    for name in ("expires_in", "pat_expire_in"):
        # To JSON Schema 30.0 is an integer too.
        if isinstance(body.get(name), float):
            body[name] = int(body[name])


def pick(known, choice):
    known = list(known)
    return known[choice // 4 % len(known)]


@schemathesis.hook
def after_call(context, case, response):
    operation = case.operation
    method = response.request.method
    if method.lower() != operation.method.lower():
        return
    ANSWERS[f"{method} {operation.path}"][response.status_code] += 1
    if response.status_code != 200:
        return
    match (method, operation.path):
        case ("POST", "/api/users"):
            user = response.json()
            if user["is_service_user"]:
                USERS[user["id"]] = None
        case ("POST", "/api/users/{user}/tokens"):
            token = response.json()["personal_access_token"]
            TOKENS[case_user(case), token["id"]] = None
        case ("DELETE", "/api/users/{user}"):
            user = case_user(case)
            USERS.pop(user, None)
            for key in [key for key in TOKENS if key[0] == user]:
                del TOKENS[key]
        case ("DELETE", "/api/users/{user}/tokens/{token}"):
            TOKENS.pop((case_user(case), case.path_parameters["token"]), None)
        case (_, path) if path in PENDING:
            PENDING[path].pop(case_user(case), None)


def case_user(case):
    return case.path_parameters["user"]


@atexit.register
def save():
    with open(os.environ["OPENAPI_ANSWERS"], "w") as file:
        json.dump(ANSWERS, file)
