"""Distributions as installers leave them behind, in a folder that is put on the path."""

from __future__ import annotations

from pathlib import Path


def install_distribution(folder: Path, name: str, entry_points: str | bytes, version: str = "1.0") -> Path:
    """Write a distribution's metadata, with entry points for connectors, one a line; returns where."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if isinstance(entry_points, str):
        entry_points = entry_points.encode()
    (info / "entry_points.txt").write_bytes(b"[pyinfra.connectors]\n" + entry_points + b"\n")
    return info
