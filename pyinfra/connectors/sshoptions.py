"""The settings of ``ssh_config``: which there are, and what becomes of those that are not followed here.

Nothing here needs an SSH library.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

# Other names of the same
ALIASES = {
    "challengeresponseauthentication": "kbdinteractiveauthentication",
    "dsaauthentication": "pubkeyauthentication",
    "hostbasedkeytypes": "hostbasedacceptedalgorithms",
    "identityfile2": "identityfile",
    "keepalive": "tcpkeepalive",
    "pubkeyacceptedkeytypes": "pubkeyacceptedalgorithms",
    "skeyauthentication": "kbdinteractiveauthentication",
    "tisauthentication": "kbdinteractiveauthentication",
}
# Lists of algorithms, by what paramiko calls their kind
ALGORITHMS = {
    "ciphers": "ciphers",
    "hostkeyalgorithms": "keys",
    "kexalgorithms": "kex",
    "macs": "macs",
    "pubkeyacceptedalgorithms": "pubkeys",
}
FOLLOWED = {
    *ALGORITHMS,
    *("bindaddress", "certificatefile", "compression", "connectionattempts", "connecttimeout", "forwardagent"),
    *("globalknownhostsfile", "hashknownhosts", "host", "hostkeyalias", "hostname", "identitiesonly", "identityagent"),
    *("identityfile", "ignoreunknown", "include", "kbdinteractiveauthentication", "match", "passwordauthentication"),
    *("port", "preferredauthentications", "proxycommand", "proxyjump", "pubkeyauthentication", "refuseconnection"),
    *("requiredrsasize", "revokedhostkeys", "serveralivecountmax", "serveraliveinterval", "stricthostkeychecking"),
    *("user", "userknownhostsfile"),
}
# What a connection or a log-in lacks here, and the values that ask for nothing of it
LACKING = {
    "addressfamily": ("no choice of the kind of addresses (AddressFamily)", ("any",)),
    "bindinterface": ("no choice of the interface (BindInterface)", ()),
    "canonicalizehostname": ("no other names of hosts (CanonicalizeHostname)", ("no", "none", "false")),
    "checkhostip": ("addresses are not looked for among the known hosts (CheckHostIP)", ("no", "false")),
    "gssapiauthentication": ("no log-in by Kerberos (GSSAPIAuthentication)", ("no", "false")),
    "gssapikeyexchange": ("no key exchange by Kerberos (GSSAPIKeyExchange)", ("no", "false")),
    "hostbasedauthentication": ("no log-in by the key of this machine (HostbasedAuthentication)", ("no", "false")),
    "knownhostscommand": ("no host keys from a program (KnownHostsCommand)", ("none",)),
    "nohostauthenticationforlocalhost": (
        "host keys are checked on this machine, too (NoHostAuthenticationForLocalhost)",
        ("no", "false"),
    ),
    "pkcs11provider": ("no keys on PKCS#11 tokens (PKCS11Provider)", ("none",)),
    "proxyusefdpass": ("no ProxyUseFdpass", ("no", "false")),
    "setenv": ("commands do not get the variables of SetEnv", ()),
    "verifyhostkeydns": ("host keys are not looked up in DNS (VerifyHostKeyDNS)", ("no", "false")),
}
# No connection and no log-in of ours is any different with them. They are about a user's terminal, about forwardings,
# connections that several ssh share, how and what ssh tells, and what becomes of keys and known hosts later; about
# something that is lacking anyhow; or about protocols that OpenSSH itself no longer has
WITHOUT_EFFECT = {
    *("addkeystoagent", "batchmode", "channeltimeout", "clearallforwardings", "controlmaster", "controlpath"),
    *("controlpersist", "dynamicforward", "enableescapecommandline", "enablesshkeysign", "escapechar"),
    *("exitonforwardfailure", "fingerprinthash", "forkafterauthentication", "forwardx11", "forwardx11timeout"),
    *("forwardx11trusted", "gatewayports", "ipqos", "kbdinteractivedevices", "localcommand", "localforward"),
    *("loglevel", "logverbose", "numberofpasswordprompts", "obscurekeystroketiming", "permitlocalcommand"),
    *("permitremoteopen", "rekeylimit", "remotecommand", "remoteforward", "requesttty", "sendenv", "sessiontype"),
    *("stdinnull", "streamlocalbindmask", "streamlocalbindunlink", "syslogfacility", "tag", "tcpkeepalive"),
    *("tunnel", "tunneldevice", "updatehostkeys", "usekeychain", "versionaddendum", "visualhostkey"),
    *("warnweakcrypto", "xauthlocation"),
    *("canonicaldomains", "canonicalizefallbacklocal", "canonicalizemaxdots", "canonicalizepermittedcnames"),
    *("casignaturealgorithms", "gssapiclientidentity", "gssapidelegatecredentials", "gssapikexalgorithms"),
    *("gssapirenewalforcesrekey", "gssapiserveridentity", "gssapitrustdns", "hostbasedacceptedalgorithms"),
    *("securitykeyprovider", "smartcarddevice"),
    *("afstokenpassing", "cipher", "compressionlevel", "fallbacktorsh", "globalknownhostsfile2"),
    *("kerberosauthentication", "kerberostgtpassing", "protocol", "rhostsauthentication", "rhostsrsaauthentication"),
    *("rsaauthentication", "useblacklistedkeys", "useprivilegedport", "userknownhostsfile2", "useroaming", "usersh"),
}


def is_known(keyword: str) -> bool:
    """Whether there is such a setting; ``keyword`` is in small letters, and no alias."""
    return keyword in FOLLOWED or keyword in LACKING or keyword in WITHOUT_EFFECT


def left_out(names: Iterable[str], listed: str) -> list[str]:
    """Those names of algorithms that a list leaves out: ``a,b*``, or ``-a,b*``.

    Lists that add to the defaults (``+a``), or put some of them first (``^a``), leave out none.
    """
    if listed[:1] in {"+", "^"}:
        return []
    are_excluded = listed.startswith("-")
    patterns = listed.removeprefix("-").split(",")
    return [name for name in names if any(fnmatchcase(name, each.strip()) for each in patterns) == are_excluded]
