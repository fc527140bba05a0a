"""A small web site in a folder of this machine's temporary directory, kept as it should be.

Run it twice: the first run makes the site, the second has nothing to do.

    pyinfra --chdir examples/site @local deploy.py
"""

from pyinfra import host
from pyinfra.facts.server import Home
from pyinfra.operations import files, server

site = host.data.get("site_folder", "/tmp/pyinfra-example-site")

files.directory(name="The site's folder", path=f"{site}/releases/1", mode="755")

page = files.template(
    name="Its page",
    src="templates/index.html.j2",
    dest=f"{site}/releases/1/index.html",
    mode="644",
    title=host.data.get("site_title", "It works"),
    home=host.get_fact(Home),
)

files.link(name="What is served now", path=f"{site}/current", target=f"{site}/releases/1")

files.line(name="Where to find it", path=f"{site}/site.conf", line=r"^root=.*", replace=f"root={site}/current")

server.shell(
    name="Tell that the page is new",
    commands=[f"echo 'published: '; wc -c {site}/current/index.html"],
    _if=page.did_change,
)
