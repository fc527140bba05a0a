"""What pyinfra cannot be faster than: ``floor.py COMMANDS PORT USER KEY HOST…``.

Logs in to each host by paramiko, all at once, opens one shell there and runs the commands in it, one after another.
"""

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402
import paramiko  # noqa: E402

MARK = b"\x01done\n"


def run_on(host: str, port: int, user: str, key: str, commands: list[str]) -> None:
    """Log in to one host and run the commands."""
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect(host, port=port, username=user, key_filename=key, allow_agent=False, look_for_keys=False)
    transport = client.get_transport()
    if transport is None:
        raise RuntimeError(f"{host}: no connection")
    channel = transport.open_session()
    channel.exec_command("exec sh")
    for command in commands:
        channel.sendall(f"( {command} ) </dev/null; printf '\\001done\\n'\n".encode())
        output = b""
        while not output.endswith(MARK):
            data = channel.recv(65536)
            if not data:
                raise RuntimeError(f"{host}: the shell ended in: {command}")
            output += data
    client.close()


if __name__ == "__main__":
    listed, port, user, key, *hosts = sys.argv[1:]
    commands = Path(listed).read_text().splitlines()
    running = [gevent.spawn(run_on, host, int(port), user, key, commands) for host in hosts]
    gevent.joinall(running, raise_error=True)
