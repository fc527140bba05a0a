"""Data of all hosts: how they are reached, and as whom commands run."""

ssh_user = "deploy"
_sudo = True
