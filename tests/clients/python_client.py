#!/usr/bin/env python3
"""Drives the real binary through NetBird's public Python client (PyPI: netbird).

    python3 -m venv venv
    venv/bin/pip install -r tests/clients/requirements.txt
    venv/bin/python tests/clients/python_client.py target/debug/netbird-auth

Each check is a function named check_…; all but those of the first setup share one server, and none
needs an order. The last line is "N passed, M failed"; the exit code is 0 where nothing failed.
"""

import os
import sys
import traceback
from datetime import datetime, timedelta
from pathlib import Path

from netbird import APIClient
from netbird.exceptions import (
    NetBirdAPIError,
    NetBirdAuthenticationError,
    NetBirdNotFoundError,
    NetBirdValidationError,
)
from netbird.models import TokenCreate, User, UserCreate, UserUpdate

from server import Binary, new_token

NEVER = "0001-01-01T00:00:00Z"
SCHEMES = ("Token", "Bearer")


class Server(Binary):
    """With clients for it."""

    def client(self, token=None, scheme="Token"):
        return APIClient(host=self.url, api_token=token or self.token, auth_scheme=scheme)

    def service_user(self, name, role="user"):
        """A new service user. The client insists on an address, which the server drops."""
        with self.client() as owner:
            return owner.users.create(
                UserCreate(email="dropped@example.com", name=name, role=role, is_service_user=True)
            )

    def token_of(self, user, days=30):
        with self.client() as owner:
            return owner.tokens.create(user["id"], TokenCreate(name="a token", expires_in=days))


def raises(expected, status, call, *arguments):
    """The error of a call that must fail in exactly this way."""
    try:
        call(*arguments)
    except NetBirdAPIError as error:
        assert type(error) is expected, f"{type(error).__name__}: {error.message}"
        assert error.status_code == status, f"{error.status_code}: {error.message}"
        assert error.response_data["code"] == status, error.response_data
        return error
    raise AssertionError(f"passed, and {expected.__name__} was expected")


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


# Who is calling.


def check_both_schemes_carry_a_token(server):
    for scheme in SCHEMES:
        with server.client(scheme=scheme) as client:
            me = client.users.get_current()
            assert me["role"] == "owner" and me["is_current"] is True, me
            assert me["permissions"]["modules"]["users"]["create"] is True, me
            assert any(user["id"] == me["id"] for user in client.users.list())


def check_an_unknown_token_is_an_authentication_error(server):
    for scheme in SCHEMES:
        with server.client(new_token(), scheme) as client:
            error = raises(NetBirdAuthenticationError, 401, client.users.list)
            assert error.message == "unauthorized", error.message
            assert error.response_data["reason"] == "unknown or revoked token", error.response_data


def check_a_mistyped_token_says_so(server):
    wrong = server.token[:-1] + ("a" if server.token[-1] != "a" else "b")
    with server.client(wrong) as client:
        error = raises(NetBirdAuthenticationError, 401, client.users.list)
        assert error.response_data["reason"] == "bad token checksum", error.response_data


# Users.


def check_a_service_user_lives_and_dies(server):
    with server.client() as owner:
        made = server.service_user("backup job")
        assert made["name"] == "backup job" and made["role"] == "user", made
        assert made["is_service_user"] is True and made["email"] == "", made
        assert made["status"] == "active" and made["last_login"] == NEVER, made
        assert made["auto_groups"] == [] and made["is_blocked"] is False, made
        assert User(**made).id == made["id"]
        assert made in owner.users.list()

        change = UserUpdate(role="admin", auto_groups=["group-1"], is_blocked=True)
        changed = owner.users.update(made["id"], change)
        assert changed["role"] == "admin" and changed["auto_groups"] == ["group-1"], changed
        assert changed["is_blocked"] is True and changed["status"] == "blocked", changed
        assert changed in owner.users.list()

        # What is left out is false: that is how this client unblocks.
        changed = owner.users.update(made["id"], UserUpdate(role="user", auto_groups=[]))
        assert changed["is_blocked"] is False and changed["status"] == "active", changed

        assert owner.users.delete(made["id"]) is None
        assert all(user["id"] != made["id"] for user in owner.users.list())
        raises(NetBirdNotFoundError, 404, owner.users.delete, made["id"])


def check_a_human_is_invited_and_an_address_is_given_once(server):
    with server.client() as owner:
        request = UserCreate(email="alice@example.com", name="Alice", role="user")
        alice = owner.users.create(request)
        assert alice["email"] == "alice@example.com" and alice["name"] == "Alice", alice
        assert alice["status"] == "invited" and alice["is_service_user"] is False, alice
        raises(NetBirdValidationError, 409, owner.users.create, request)
        owner.users.delete(alice["id"])


def check_wrong_users_are_validation_errors(server):
    with server.client() as owner:
        me = owner.users.get_current()
        call = owner.users.create
        nobody = UserCreate(email="bob@example.com", role="user")
        raises(NetBirdValidationError, 422, call, nobody)
        king = UserCreate(email="bob@example.com", name="Bob", role="owner")
        raises(NetBirdValidationError, 422, call, king)
        no_role = UserCreate(email="bob@example.com", name="Bob")
        raises(NetBirdValidationError, 422, call, no_role)
        no_groups = UserUpdate(role="owner")
        raises(NetBirdValidationError, 400, owner.users.update, me["id"], no_groups)
        raises(NetBirdValidationError, 422, owner.users.delete, me["id"])
        raises(NetBirdValidationError, 422, owner.users.approve, me["id"])
        raises(NetBirdValidationError, 422, owner.users.reject, me["id"])


def check_an_unknown_user_is_not_found(server):
    with server.client() as owner:
        for call in (
            lambda: owner.users.update("nobody", UserUpdate(role="user", auto_groups=[])),
            lambda: owner.users.delete("nobody"),
            lambda: owner.tokens.list("nobody"),
            lambda: owner.tokens.create("nobody", TokenCreate(name="a", expires_in=1)),
        ):
            error = raises(NetBirdNotFoundError, 404, call)
            assert "not found" in error.message, error.message


def check_a_role_that_may_not_is_forbidden(server):
    machine = server.service_user("reader")
    made = server.token_of(machine)
    with server.client(made["plain_token"]) as client:
        assert client.users.list(), "a service user reads"
        raises(NetBirdAPIError, 403, client.users.get_current)
        request = UserCreate(email="x@example.com", name="X", role="user")
        error = raises(NetBirdAPIError, 403, client.users.create, request)
        assert error.message == "forbidden", error.message
        assert error.response_data["reason"] == "role user may not create users", error.response_data


def check_a_blocked_user_passes_nothing(server):
    machine = server.service_user("blocked soon")
    with server.client() as owner, server.client(server.token_of(machine)["plain_token"]) as client:
        assert client.users.list()
        blocked = UserUpdate(role="user", auto_groups=[], is_blocked=True)
        owner.users.update(machine["id"], blocked)
        error = raises(NetBirdAPIError, 403, client.users.list)
        assert error.response_data["reason"] == "user is blocked", error.response_data
        owner.users.update(machine["id"], UserUpdate(role="user", auto_groups=[]))
        assert client.users.list()


# Tokens.


def check_a_token_is_made_used_and_revoked(server):
    machine = server.service_user("deploy")
    for scheme in SCHEMES:
        with server.client() as owner:
            made = owner.tokens.create(machine["id"], TokenCreate(name="ci", expires_in=90))
            plain, record = made["plain_token"], made["personal_access_token"]
            me = owner.users.get_current()
            assert record["name"] == "ci" and record["created_by"] == me["id"], record
            lifetime = moment(record["expiration_date"]) - moment(record["created_at"])
            assert lifetime == timedelta(days=90), lifetime
            assert "last_used" not in record, record
            assert owner.tokens.get(machine["id"], record["id"]) == record
            assert record in owner.tokens.list(machine["id"])

            with server.client(plain, scheme) as client:
                assert client.users.list()
                used = owner.tokens.get(machine["id"], record["id"])
                assert moment(used["last_used"]) >= moment(used["created_at"]), used

                assert owner.tokens.delete(machine["id"], record["id"]) is None
                raises(NetBirdAuthenticationError, 401, client.users.list)
            raises(NetBirdNotFoundError, 404, owner.tokens.get, machine["id"], record["id"])
            raises(NetBirdNotFoundError, 404, owner.tokens.delete, machine["id"], record["id"])
            assert all(token["id"] != record["id"] for token in owner.tokens.list(machine["id"]))


def check_tokens_end_with_their_user(server):
    machine = server.service_user("short-lived")
    with server.client() as owner, server.client(server.token_of(machine)["plain_token"]) as client:
        assert client.users.list()
        owner.users.delete(machine["id"])
        raises(NetBirdAuthenticationError, 401, client.users.list)


def check_wrong_tokens_are_validation_errors(server):
    with server.client() as owner:
        me = owner.users.get_current()["id"]
        raises(NetBirdValidationError, 422, owner.tokens.create, me, TokenCreate(name="", expires_in=1))
        for days in (0, -1, 366, 2**63):
            # The client refuses these itself; the server must as well.
            request = TokenCreate.model_construct(name="a", expires_in=days)
            raises(NetBirdValidationError, 422, owner.tokens.create, me, request)


def check_a_token_without_a_record_is_not_found(server):
    with server.client() as owner:
        me = owner.users.get_current()["id"]
        for token in ("cvi55i3l0ubs73asjud0", "no-id"):
            raises(NetBirdNotFoundError, 404, owner.tokens.get, me, token)
            raises(NetBirdNotFoundError, 404, owner.tokens.delete, me, token)


def check_nobody_reaches_another_humans_tokens(server):
    with server.client() as owner:
        request = UserCreate(email="carol@example.com", name="Carol", role="admin")
        carol = owner.users.create(request)
        raises(NetBirdAPIError, 403, owner.tokens.list, carol["id"])
        raises(
            NetBirdAPIError,
            403,
            owner.tokens.create,
            carol["id"],
            TokenCreate(name="a", expires_in=1),
        )


# Events, and the instance.


def check_changes_are_in_the_audit_trail(server):
    machine = server.service_user("audited")
    record = server.token_of(machine)["personal_access_token"]
    with server.client() as owner:
        me = owner.users.get_current()
        owner.tokens.delete(machine["id"], record["id"])
        events = [e for e in owner.events.get_audit_events() if e["target_id"] == machine["id"]]
        assert [event["activity_code"] for event in events] == [
            "personal.access.token.delete",
            "personal.access.token.create",
            "service.user.create",
        ], events
        for event in events:
            assert event["initiator_id"] == me["id"], event
            assert event["activity"] and event["id"] and moment(event["timestamp"]), event
            assert all(isinstance(value, str) for value in event["meta"].values()), event


def check_a_database_with_an_owner_needs_no_setup(server):
    with server.client() as client:
        assert client.instance.get_status() == {"setup_required": False}
        error = raises(
            NetBirdAPIError, 412, client.instance.setup, "a@example.com", "unused-password", "A"
        )
        assert error.message == "setup was done already", error.message


def check_what_is_not_served_is_not_found(server):
    with server.client() as client:
        raises(NetBirdNotFoundError, 404, client.peers.list)
        raises(NetBirdNotFoundError, 404, client.groups.list)


def check_setup_makes_the_owner_once(binary):
    with Server(binary, "--no-bootstrap") as server, server.client() as client:
        assert client.instance.get_status() == {"setup_required": True}
        raises(NetBirdAuthenticationError, 401, client.users.list)
        answer = client.instance.setup("owner@example.com", "unused-password", "Olivia")
        assert answer["user_id"] and answer["email"] == "owner@example.com", answer
        assert "personal_access_token" not in answer, answer
        assert client.instance.get_status() == {"setup_required": False}
        again = ("other@example.com", "unused-password", "Oscar")
        raises(NetBirdAPIError, 412, client.instance.setup, *again)


def check_setup_gives_a_token_where_one_is_asked_for(binary):
    with Server(binary, "--no-bootstrap") as server:
        request = {"email": "owner@example.com", "name": "Olivia", "create_pat": True, "pat_expire_in": 7}
        with server.client() as client:
            answer = client.post("setup", data=request)
        with server.client(answer["personal_access_token"]) as owner:
            me = owner.users.get_current()
            assert me["id"] == answer["user_id"] and me["role"] == "owner", me


def main(binary):
    checks = [value for name, value in globals().items() if name.startswith("check_")]
    passed = failed = 0

    def run(check, argument):
        nonlocal passed, failed
        try:
            check(argument)
        except Exception:
            failed += 1
            print(f"FAILED {check.__name__}\n{traceback.format_exc()}", flush=True)
        else:
            passed += 1
            print(f"ok     {check.__name__}", flush=True)

    try:
        with Server(binary) as server:
            for check in checks:
                own = check.__code__.co_varnames[0] == "binary"
                run(check, binary if own else server)
    except Exception:
        failed += 1
        print(f"FAILED the server\n{traceback.format_exc()}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python_client.py PATH_OF_THE_BINARY")
    sys.exit(main(str(Path(sys.argv[1]).resolve())))
