"""What is different between groups of hosts: ``pyinfra --chdir examples/ssh inventory.py deploy.py``."""

from io import StringIO

from pyinfra import host
from pyinfra.operations import files, server

files.put(
    name="Message of the day",
    src=StringIO(f"This is {host.name}, kept by pyinfra.\n"),
    dest="/etc/motd",
    mode="644",
)

if "web" in host.groups:
    files.directory(name="The site's folder", path=host.data.site_folder, user="www-data", group="www-data")

if "db" in host.groups:
    server.shell(name="The database answers", commands=["pg_isready"], _retries=3, _retry_delay=2)
