"""The package: its names, what it needs, and where its connectors are."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "pyinfra" / "version.py").read_text())[1]

REQUIRED = [
    "click>=8.1,<9",
    "gevent>=23.9",
    "jinja2>=3.1,<4",
    "packaging>=23",
    "paramiko>=3.4,<6",
    "rich>=13.7",
    "typeguard>=4.3,<5",
    "typing-extensions>=4.10",
]
# YAML in inventories of Ansible
ANSIBLE = ["pyyaml>=6"]
TEST = [
    *ANSIBLE,
    # Tests compare what its inventories say with what its own program makes of them
    'ansible-core>=2.19,<2.23; python_version >= "3.11"',
    "pyinfra-testing>=0.2.1,<1",
    "pytest>=8",
    "coverage>=7.10",
    "pytest-cov>=7",
    "freezegun>=1.5",
    "pexpect>=4.9",
    # The API server that kubectl is tested against
    "aiohttp>=3.10",
    # Packages with connectors are installed without asking an index
    "setuptools>=77",
]
DOCS = ["mkdocs>=1.6,<2", "mkdocstrings[python]>=0.27", "pymdown-extensions>=10"]
DEV = [*TEST, "import-linter>=2", "mypy>=1.11", "ruff>=0.8", "types-paramiko", "types-pyyaml", "types-setuptools"]

# Connectors: the name after the @, and the class that reaches or lists such hosts
CONNECTORS = [
    "ansible = pyinfra.connectors.ansible:AnsibleInventoryConnector",
    "chroot = pyinfra.connectors.chroot:ChrootConnector",
    "compose = pyinfra.connectors.compose:ComposeConnector",
    "docker = pyinfra.connectors.docker:DockerConnector",
    "dockerssh = pyinfra.connectors.dockerssh:DockerSSHConnector",
    "fake = pyinfra.connectors.fake:FakeConnector",
    "incus = pyinfra.connectors.incus:IncusConnector",
    "kubernetes = pyinfra.connectors.kubernetes:KubernetesConnector",
    "local = pyinfra.connectors.local:LocalConnector",
    "lxd = pyinfra.connectors.incus:LXDConnector",
    "nspawn = pyinfra.connectors.nspawn:NspawnConnector",
    "openssh = pyinfra.connectors.openssh:OpenSSHConnector",
    "pipe = pyinfra.connectors.pipe:PipeConnector",
    "podman = pyinfra.connectors.docker:PodmanConnector",
    "podmanssh = pyinfra.connectors.dockerssh:PodmanSSHConnector",
    "ssh = pyinfra.connectors.ssh:SSHConnector",
    "sshconfig = pyinfra.connectors.sshconfiginventory:SSHConfigInventoryConnector",
    "terraform = pyinfra.connectors.terraform:TerraformInventoryConnector",
    "vagrant = pyinfra.connectors.vagrant:VagrantInventoryConnector",
]

setup(
    name="pyinfra",
    version=VERSION,
    description="Turns Python into shell commands and runs them on hosts: any number, over any connector.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license_expression="MIT",
    python_requires=">=3.10",
    packages=find_packages(include=["pyinfra", "pyinfra.*", "pyinfra_cli", "pyinfra_cli.*"]),
    package_data={"pyinfra": ["py.typed"], "pyinfra_cli": ["py.typed"]},
    install_requires=REQUIRED,
    extras_require={"ansible": ANSIBLE, "test": TEST, "docs": DOCS, "dev": DEV},
    entry_points={
        "console_scripts": ["pyinfra = pyinfra_cli.__main__:main"],
        "pyinfra.connectors": CONNECTORS,
    },
    classifiers=[
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: System Administrators",
        "Programming Language :: Python :: 3",
        "Topic :: System :: Installation/Setup",
        "Topic :: System :: Systems Administration",
    ],
)
