"""A browser, where there is one: Chromium without a window loads a page of the demo by HTTPS."""

import base64
import hashlib
import re
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from headworks.demo.stage import Stage
from rig.tls_clients import needs
from rig.waiting import PATIENCE, until


def pin(target: tuple[str, int]) -> str:
    """The hash of the key in the certificate that is shown, as Chromium wants it."""
    certificate = x509.load_pem_x509_certificate(ssl.get_server_certificate(target).encode())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


def load(target: tuple[str, int], url: str, profile: Path) -> str:
    """What the page is once it is loaded. Every name leads to ``target``, whose certificate alone is believed."""
    host, port = target
    command = [
        needs("chromium"),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={profile}",
        f"--host-resolver-rules=MAP * {host}:{port}",
        f"--ignore-certificate-errors-spki-list={pin(target)}",
        "--dump-dom",
        url,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_chromium_loads_a_page(tmp_path: Path) -> None:
    needs("chromium")
    with Stage() as stage:
        page = load(stage.proxy.address("site"), "https://www.example/seen", tmp_path)
        assert re.search(r"server: web-[12]\n", page)
        assert "request: /seen\n" in page
        assert "scheme: https " in page
        records = until(lambda: [line for line in stage.access_log.read_text().splitlines() if "path=/seen" in line])
        assert "tls_version=TLSv1.3" in records[0]
        assert "tls_group=X25519MLKEM768" in records[0], "browsers offer it, and it is taken"
        assert "alpn=http/1.1" in records[0]
