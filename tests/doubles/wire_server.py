"""A server whose every byte the test decides, and the certificates of names that exist nowhere."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
_UNUSED = (
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
_USAGE = x509.KeyUsage(digital_signature=True, key_cert_sign=True, **dict.fromkeys(_UNUSED, False))


@dataclass
class Wire:
    """What reached the server.

    Attributes:
        port: Where it listens.
        connections: How many were opened.
        requests: Head and body of each.
    """

    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    _arrivals: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def arrived(self, request: bytes) -> None:
        """Note a request."""
        async with self._arrivals:
            self.requests.append(request)
            self._arrivals.notify_all()

    async def until(self, number: int) -> None:
        """Wait until so many requests were there."""
        async with self._arrivals:
            await self._arrivals.wait_for(lambda: len(self.requests) >= number)


def says(*answers: bytes) -> Callable[[Wire, asyncio.StreamWriter], Awaitable[None]]:
    """Answer with these, the last one again and again."""

    async def talk(wire: Wire, writer: asyncio.StreamWriter) -> None:
        writer.write(answers[min(len(wire.requests), len(answers)) - 1])
        await writer.drain()

    return talk


def says_and(answer: bytes, then: str) -> Callable[[Wire, asyncio.StreamWriter], Awaitable[None]]:
    """Answer with this and then `hang`, `cut`, or `drip` bytes without end."""

    async def talk(wire: Wire, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        while then == "drip":
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.005)
        if then == "hang":
            await asyncio.Event().wait()
        writer.close()

    return talk


@asynccontextmanager
async def listening(
    talk: Callable[[Wire, asyncio.StreamWriter], Awaitable[None]],
    *,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    at_once: bool = False,
) -> AsyncIterator[Wire]:
    """Listen on a free port; `talk` is called after each request, or `at_once` after a connection."""
    wire, tasks, writers = Wire(), set(), set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire.connections += 1
        try:
            while not writer.is_closing():
                if not at_once:
                    await wire.arrived(await _request(reader))
                await talk(wire, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        tasks.add(asyncio.ensure_future(serve(reader, writer)))

    server = await asyncio.start_server(begin, host, 0, ssl=tls)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.close()  # a task that was cancelled before it began has not


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    ]
    return head + await reader.readexactly(lengths[0] if lengths else 0)


class Authority:
    """A certificate authority that nobody knows but who asks for `trusting`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody")])
        self._certificate = self._signed(
            self._name, self._key.public_key(), x509.BasicConstraints(ca=True, path_length=None), _USAGE
        )

    def trusting(self) -> ssl.SSLContext:
        """Return what a client needs that trusts this authority."""
        return ssl.create_default_context(cadata=_pem(self._certificate).decode())

    def write(self, file: Path) -> None:
        """Write the authority's own certificate."""
        file.write_bytes(_pem(self._certificate))

    def serving(self, name: str) -> ssl.SSLContext:
        """Return what a server of that name needs."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        file = self._directory / f"{name}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(private + _pem(self._signed(subject, key.public_key(), names)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *extensions: x509.ExtensionType
    ) -> x509.Certificate:
        now, day = dt.datetime.now(dt.timezone.utc), dt.timedelta(days=1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
        )
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        for extension in (*extensions, x509.SubjectKeyIdentifier.from_public_key(key), issuer):
            critical = isinstance(extension, (x509.BasicConstraints, x509.KeyUsage))
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self._key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
