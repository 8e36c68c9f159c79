"""An LDAP directory to test with: OpenLDAP's slapd, started for it, with a few people and groups."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

if TYPE_CHECKING:
    from collections.abc import Iterator

with suppress(ImportError):
    import ldap
    import ldap.modlist

SUFFIX = "dc=example,dc=org"
PEOPLE, GROUPS = f"ou=people,{SUFFIX}", f"ou=groups,{SUFFIX}"
ROOT, ROOT_PASSWORD = f"cn=root,{SUFFIX}", "root secret"
READER, READER_PASSWORD = f"cn=registry,{SUFFIX}", "reader secret"

_SLAPD = shutil.which("slapd", path="/usr/sbin:/usr/local/sbin:/usr/bin") or ""
_SCHEMAS = Path("/etc/ldap/schema")
_MODULES = Path("/usr/lib/ldap")

needs_slapd = pytest.mark.skipif(
    (not _SLAPD or find_spec("ldap") is None) and "REQUIRE_LDAP" not in os.environ, reason="no slapd, or no python-ldap"
)


@dataclass
class DirectoryServer:
    """`url` and `secure_url` are where it listens; `cafile` holds what signed its certificate."""

    directory: Path
    url: str
    secure_url: str
    cafile: str
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def passwordfile(self) -> str:
        return str(self.directory / "reader")

    def start(self) -> None:
        # The certificate is not for the second address.
        listening = f"{self.url} {self.secure_url} {self.secure_url.replace('127.0.0.1', '127.0.0.2')}"
        command = [_SLAPD, "-f", str(self.directory / "slapd.conf"), "-h", listening, "-d", "0"]
        self.process = subprocess.Popen(command)
        deadline = time.monotonic() + 20
        while True:
            with suppress(ldap.SERVER_DOWN):
                self._root().unbind_s()
                return
            assert time.monotonic() < deadline, "slapd does not start"
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def parameters(self, **more: object) -> dict[str, Any]:
        """Return the section of the configuration that leads here."""
        return {
            "name": "corp",
            "servers": [self.secure_url],
            "cafile": self.cafile,
            "binddn": READER,
            "bindpasswordfile": self.passwordfile,
            "users": {"base": PEOPLE, "filter": "(uid={user})", "name": "uid"},
            "groups": {"base": GROUPS, "filter": "(member={dn})", "name": "cn", "nested": True},
            "map": {"registry-devs": "dev"},
            **more,
        }

    def add_person(self, uid: str, password: str, *more_uids: str) -> str:
        """Add a person; return the DN."""
        dn = f"uid={ldap.dn.escape_dn_chars(uid)},{PEOPLE}"
        uids = [name.encode() for name in (uid, *more_uids)]
        self._add(dn, objectClass=[b"inetOrgPerson"], uid=uids, cn=[b"x"], sn=[b"x"], userPassword=[password.encode()])
        return dn

    def add_group(self, cn: str, *members: str) -> str:
        """Add a group; return the DN."""
        dn = f"cn={cn},{GROUPS}"
        self._add(dn, objectClass=[b"groupOfNames"], cn=[cn.encode()], member=[each.encode() for each in members])
        return dn

    def set_members(self, group: str, *members: str) -> None:
        values = [each.encode() for each in members]
        self._changing(lambda root: root.modify_s(group, [(ldap.MOD_REPLACE, "member", values)]))

    def set_password(self, dn: str, password: str) -> None:
        change = (ldap.MOD_REPLACE, "userPassword", [password.encode()])
        self._changing(lambda root: root.modify_s(dn, [change]))

    def delete(self, dn: str) -> None:
        self._changing(lambda root: root.delete_s(dn))

    def _add(self, dn: str, **attributes: list[bytes]) -> None:
        self._changing(lambda root: root.add_s(dn, ldap.modlist.addModlist(attributes)))

    def _changing(self, change: Any) -> None:
        root = self._root()
        change(root)
        root.unbind_s()

    def _root(self) -> Any:
        connection = ldap.initialize(self.url)
        connection.simple_bind_s(ROOT, ROOT_PASSWORD)
        return connection

    def fill(self) -> None:
        """Add the registry's own account, and where people and groups are."""
        self._add(SUFFIX, objectClass=[b"dcObject", b"organization"], dc=[b"example"], o=[b"x"])
        for dn in (PEOPLE, GROUPS):
            name = dn.split(",")[0].removeprefix("ou=").encode()
            self._add(dn, objectClass=[b"organizationalUnit"], ou=[name])
        secret = READER_PASSWORD.encode()
        self._add(READER, objectClass=[b"person"], cn=[b"registry"], sn=[b"x"], userPassword=[secret])


@contextmanager
def directory_server(directory: Path) -> Iterator[DirectoryServer]:
    """Run a directory in which only the registry's own account may search."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(directory / "ca.pem")
    certificate.private_key_pem.write_to_path(directory / "key.pem")
    for number, pem in enumerate(certificate.cert_chain_pems):
        pem.write_to_path(directory / "cert.pem", append=bool(number))
    (directory / "data").mkdir()
    (directory / "reader").write_text(f"{READER_PASSWORD}\n")
    (directory / "slapd.conf").write_text(_configuration(directory))
    urls = (f"ldap://127.0.0.1:{_free_port()}", f"ldaps://127.0.0.1:{_free_port()}")
    server = DirectoryServer(directory, *urls, str(directory / "ca.pem"))
    server.start()
    try:
        server.fill()
        yield server
    finally:
        server.stop()


def _configuration(directory: Path) -> str:
    schemas = "".join(f"include {_SCHEMAS}/{name}.schema\n" for name in ("core", "cosine", "inetorgperson"))
    return f"""{schemas}modulepath {_MODULES}
moduleload back_mdb
TLSCACertificateFile {directory}/ca.pem
TLSCertificateFile {directory}/cert.pem
TLSCertificateKeyFile {directory}/key.pem
database mdb
suffix "{SUFFIX}"
rootdn "{ROOT}"
rootpw "{ROOT_PASSWORD}"
directory {directory}/data
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{READER}" read by * none
"""


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
