"""Ten operations: the first run changes nine things, later runs only greet.

Each host has a folder of its own, so that many host names can share one machine.
"""

from io import StringIO

from pyinfra import host
from pyinfra.operations import files, server

base = f"{host.data.get('bench_folder', '/tmp/pyinfra-bench')}/{host.name.replace('/', '_')}"

files.directory(name="Base folder", path=base)
files.directory(name="Logs, for the owner alone", path=f"{base}/logs", mode="700")
files.file(name="Settings", path=f"{base}/settings")
files.line(name="Port", path=f"{base}/settings", line="port=8080")
files.line(name="Workers", path=f"{base}/settings", line="workers=4")
files.line(name="Level", path=f"{base}/settings", line="level=info")
files.put(name="Greeting", src=StringIO("good morning\n"), dest=f"{base}/greeting")
files.file(name="Log, readable", path=f"{base}/logs/today", mode="640")
files.link(name="Settings in use", path=f"{base}/current", target=f"{base}/settings")
server.shell(name="Greet", commands=["echo good morning"])
