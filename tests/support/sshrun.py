"""A program for tests: one SSH host, exercised in a process of its own, with gevent's patches or without.

Arguments: the host's data as JSON, and ``patched`` or ``unpatched``. Prints what happened as JSON.
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    if sys.argv[2] == "patched":
        from gevent import monkey

        monkey.patch_all()
    import gevent

    from tests.support.sshhosts import run, ssh_connector

    found: dict[str, object] = {}
    connector = ssh_connector(json.loads(sys.argv[1]))
    connector.connect()
    ticks = [0]

    def tick() -> None:
        while True:
            ticks[0] += 1
            gevent.sleep(0.01)

    clock = gevent.spawn(tick)
    found["hello"] = run(connector, "echo hello; echo oops >&2; exit 3")
    found["signal"] = run(connector, "kill -9 $$; echo survived")[0]
    ticks[0] = 0
    found["lines"] = len(run(connector, "yes 0123456789012345678901234567890123456789 | head -c 50000000")[1])
    found["count"] = run(connector, "wc -c", _stdin=b"x" * 49_999_999)
    found["others_ran"] = ticks[0] > 3
    # More than the window, which nobody takes: the input must not be in the way of the answer
    found["deaf"] = run(connector, "exec <&-; echo deaf", _stdin=b"x" * 20_000_000)
    found["terminal"] = run(connector, "test -t 0 && test -t 1 && echo terminal", _get_pty=True)
    clock.kill()
    connector.disconnect()
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main()
