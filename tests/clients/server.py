"""The real binary on a free port, with a folder of its own."""

import os
import secrets
import subprocess
import tempfile
import threading
import zlib
from pathlib import Path

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
READY = "ready on http://"


def new_token():
    """A well-formed token as anybody can make one: 30 characters and their CRC-32 in base62."""
    secret = "".join(secrets.choice(BASE62) for _ in range(30))
    rest, checksum = zlib.crc32(secret.encode()), ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        checksum = BASE62[digit] + checksum
    return f"nbp_{secret}{checksum}"


class Binary:
    """It runs for the length of a with block, with these arguments and lines of configuration."""

    def __init__(self, binary, *arguments, configuration=""):
        self.command = [binary, "serve", *arguments]
        self.configuration = configuration
        self.token = new_token()

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="netbird-auth-")
        self.log = []
        self.start()
        return self

    def start(self):
        folder = Path(self.folder.name)
        token_file = folder / "first-token"
        token_file.write_text(self.token + "\n")
        (folder / "netbird-auth.toml").write_text(self.configuration)
        self.database = folder / "test.db"
        others = {k: v for k, v in os.environ.items() if not k.startswith("NETBIRD_AUTH_")}
        self.process = subprocess.Popen(
            self.command,
            cwd=folder,
            env={
                **others,
                "XDG_CONFIG_HOME": str(folder / "no-config"),
                "NETBIRD_AUTH_SERVER__LISTEN": "127.0.0.1:0",
                "NETBIRD_AUTH_DATABASE__PATH": str(self.database),
                "NETBIRD_AUTH_BOOTSTRAP__TOKEN_FILE": str(token_file),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url, ready = None, threading.Event()

        def follow():
            # Reads on to the end, or a full pipe would stop the server.
            for line in self.process.stderr:
                self.log.append(line)
                if READY in line:
                    self.url = "http://" + line.split(READY)[1].split()[0]
                    ready.set()
            ready.set()

        self.reader = threading.Thread(target=follow)
        self.reader.start()
        ready.wait(timeout=30)
        if self.url is None:
            self.process.kill()
            raise RuntimeError("the server did not start:\n" + "".join(self.log))

    def stop(self):
        self.process.terminate()
        try:
            code = self.process.wait(timeout=15)
        finally:
            self.process.kill()
            self.reader.join()
        assert code == 0, f"the server ended with {code}:\n" + "".join(self.log)
        assert self.token not in "".join(self.log), "a token is in the log"

    def __exit__(self, *_):
        try:
            self.stop()
        finally:
            self.folder.cleanup()
