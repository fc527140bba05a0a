"""Print the seconds that one command costs in a session: ``one_command.py HOST [PORT USER KEY]``."""

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402
import time  # noqa: E402

from pyinfra.api import Config, Inventory, State  # noqa: E402
from pyinfra.api.connect import connect_all, disconnect_all  # noqa: E402

COMMANDS = 200
IN_A_LOOP = f"n=0; while [ $n -lt {COMMANDS} ]; do sh -c true; n=$((n + 1)); done"


def main(name: str, *login: str) -> None:
    """Connect, run the commands one by one, then as many in a single one, and print the difference for each."""
    data = {}
    if login:
        port, user, key = login
        data = {"ssh_port": int(port), "ssh_user": user, "ssh_key": key, "ssh_known_hosts_file": "/dev/null"}
    state = State(Inventory(([name], data)), Config())
    connect_all(state)
    host = state.inventory.get_host(name)
    host.run_shell_command("true")

    began = time.perf_counter()
    for _ in range(COMMANDS):
        host.run_shell_command("true")
    one_by_one = time.perf_counter() - began

    began = time.perf_counter()
    host.run_shell_command(IN_A_LOOP)
    itself = time.perf_counter() - began

    disconnect_all(state)
    print((one_by_one - itself) / COMMANDS)


if __name__ == "__main__":
    main(*sys.argv[1:])
