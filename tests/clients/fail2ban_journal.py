"""Prints the addresses that fail2ban finds in lines as it takes them from systemd's journal.

python3 fail2ban_journal.py FOLDER < LOG: FOLDER is deploy/fail2ban. It uses fail2ban's own code, as its backend
"systemd" does: the time of a line stands apart, and the host and the program before it.
"""

import sys
import time

sys.path.insert(0, "/usr/lib/python3/dist-packages")
from fail2ban.client.filterreader import FilterReader
from fail2ban.server.filter import Filter

reader = FilterReader("netbird-auth", "netbird-auth", {}, basedir=sys.argv[1])
reader.read()
reader.getOptions({})
options = reader.getCombined()
judge = Filter(None)
judge.setDatePattern(options["datepattern"])
for expression in options["failregex"].splitlines():
    judge.addFailRegex(expression.strip())
for line in sys.stdin:
    now = time.time()
    parts = ("", time.strftime("%Y-%m-%dT%H:%M:%S"), "box netbird-auth[71]: " + line.rstrip("\n"))
    for found in judge.processLine(parts, now):
        print(found[1])
