"""The certificate and key that every proxy of a run presents over HTTPS: ECDSA with P-256, made by `openssl`, thrown away.

One pair for all lanes of a run, so that signing and what travels are the same for all.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

NAME = "www.bench.example"
"""The host of all requests of `bench/load`, and so the name it asks for."""


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """PEM files: the certificate, its key, and (HAProxy wants that) both in one."""

    certificate: Path
    key: Path
    both: Path


def found() -> bool:
    """Whether one can be made."""
    return shutil.which("openssl") is not None


@functools.cache
def made() -> Certificate:
    """Return this run's; it is made at the first call and removed when the program ends."""
    directory = Path(tempfile.mkdtemp(prefix="headworks-bench-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    directory.chmod(0o755)  # a proxy that drops its privileges reads them, too
    paths = Certificate(
        certificate=directory / "certificate.pem", key=directory / "key.pem", both=directory / "both.pem"
    )
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "30", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"]
    command += ["-keyout", str(paths.key), "-out", str(paths.certificate)]
    subprocess.run(command, check=True, capture_output=True)
    paths.both.write_text(paths.certificate.read_text() + paths.key.read_text())
    return paths
