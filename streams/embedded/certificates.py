"""Certificates for an embedded Kafka with TLS: an authority of its own, a server's and a client's certificate, as PEM.

They live as long as the broker's temporary folder. It does not know Kafka's configuration.
"""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Certificates", "make_certificates"]

LIFETIME = datetime.timedelta(days=30)
# A clock that is a little behind must not find the certificate "not yet valid".
CLOCK_SKEW = datetime.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files: the authority's certificate, the server's key with its certificate, the client's two."""

    authority: Path
    server: Path
    client_certificate: Path
    client_key: Path


@dataclass(frozen=True, slots=True)
class _Issued:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


def make_certificates(folder: Path) -> Certificates:
    """Make all of them in `folder`; the keys are readable by their owner only."""
    authority = _issue("pastille embedded authority", None)
    server, client = _issue("localhost", authority), _issue("pastille", authority)
    return Certificates(
        authority=_write(folder / "ca.pem", authority.certificate_pem()),
        server=_write(folder / "server.pem", server.key_pem() + server.certificate_pem()),
        client_certificate=_write(folder / "client.pem", client.certificate_pem()),
        client_key=_write(folder / "client.key", client.key_pem()),
    )


def _issue(common_name: str, authority: _Issued | None) -> _Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _dated(common_name, authority).public_key(key.public_key())
    builder = _as_authority(builder) if authority is None else _as_peer(builder, authority)
    signer = key if authority is None else authority.key
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return _Issued(key, builder.add_extension(identifier, critical=False).sign(signer, hashes.SHA256()))


def _dated(common_name: str, authority: _Issued | None) -> x509.CertificateBuilder:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if authority is None else authority.certificate.subject)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
    )


def _as_authority(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    return builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).add_extension(
        _usage(signs_certificates=True), critical=True
    )


def _as_peer(builder: x509.CertificateBuilder, authority: _Issued) -> x509.CertificateBuilder:
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))])
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(names, critical=False)
        .add_extension(purposes, critical=False)
        .add_extension(issuer, critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, content: bytes) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(content)
    return path
