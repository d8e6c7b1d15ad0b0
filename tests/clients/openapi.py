#!/usr/bin/env python3
"""Lets schemathesis (PyPI) hold the real binary to its own /openapi.json.

    python3 -m venv venv
    venv/bin/pip install -r tests/clients/requirements-openapi.txt
    venv/bin/python tests/clients/openapi.py target/debug/netbird-auth [EXAMPLES [SEED]]

Prints how often each operation gave which status. The exit code is 0 where no check failed and every
operation succeeded at least once.
"""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import requests

from server import Binary

HERE = Path(__file__).resolve().parent
EXAMPLES, SEED = 200, 1
# Whatever is asked for too fast or too often here is so on purpose.
CONFIGURATION = """
[limits]
failure_burst = 1000000

[[forward_auth.rule]]
host = "app.home.arpa"
"""


def populate(server, count):
    """Users to change and delete, and as many who wait for somebody's approval."""
    with requests.Session() as owner:
        owner.trust_env = False
        owner.headers["Authorization"] = f"Token {server.token}"
        for number in range(count):
            machine = {"role": "user", "is_service_user": True, "name": f"machine {number}"}
            owner.post(server.url + "/api/users", json=machine).raise_for_status()
            human = {"role": "user", "name": "human", "email": f"human-{number}@home.arpa"}
            owner.post(server.url + "/api/users", json=human).raise_for_status()
    server.stop()
    # Over the API only a JWT makes such a user.
    with sqlite3.connect(server.database) as database:
        database.execute("UPDATE users SET is_pending = 1, is_invited = 0 WHERE email LIKE 'human-%'")
    database.close()
    server.start()


def run(server, examples, seed, *arguments):
    """One run of schemathesis: whether it passed, and how often each operation gave which status."""
    with tempfile.TemporaryDirectory(prefix="openapi-") as folder:
        answers = Path(folder) / "answers.json"
        command = [Path(sys.executable).with_name("schemathesis")]
        command += ["--config-file", HERE / "openapi.toml", "run", server.url + "/openapi.json"]
        command += ["--max-examples", str(examples), "--seed", str(seed), "--checks", "all", *arguments]
        environment = {
            **os.environ,
            # A proxy would get the token.
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "OPENAPI_AUTHORIZATION": f"Token {server.token}",
            "OPENAPI_SERVER": server.url,
            "OPENAPI_ANSWERS": str(answers),
            "PYTHONPATH": str(HERE),
            "SCHEMATHESIS_HOOKS": "openapi_hooks",
        }
        code = subprocess.run(command, env=environment, cwd=folder, check=False).returncode
        return code == 0, json.loads(answers.read_text())


def main(binary, examples=EXAMPLES, seed=SEED):
    with Binary(binary, configuration=CONFIGURATION) as server:
        populate(server, examples)
        passed, answers = run(server, examples, seed)
    # The one route that works but once, and not where there is an owner.
    with Binary(binary, "--no-bootstrap", configuration=CONFIGURATION) as server:
        only = ["--include-operation-id", "setup", "--phases", "examples,coverage"]
        made, first = run(server, examples, seed, *only)
    setup = answers["POST /api/setup"]
    for status, count in first["POST /api/setup"].items():
        setup[status] = setup.get(status, 0) + count
    never = []
    for operation, counts in sorted(answers.items()):
        told = ", ".join(f"{status}: {count}" for status, count in sorted(counts.items()))
        print(f"{operation:45} {told}")
        if not counts.get("200"):
            never.append(operation)
    print("never succeeded:", ", ".join(never) or "none")
    return 0 if passed and made and not never else 1


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 4:
        sys.exit("usage: openapi.py PATH_OF_THE_BINARY [EXAMPLES [SEED]]")
    sys.exit(main(str(Path(sys.argv[1]).resolve()), *map(int, sys.argv[2:])))
