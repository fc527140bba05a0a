"""Two groups of hosts, with data for a group and for a host. Put your own names here."""

web = (
    ["web-1.example.com", ("web-2.example.com", {"site_title": "The second one"})],
    {"site_folder": "/srv/site"},
)

db = ["db-1.example.com"]
