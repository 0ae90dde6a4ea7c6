"""Decides whether the two files of an enrolment hold what `enrol` writes, and nothing else. Pure: it reads no file.

Helm would take every further value from the file of values, and kubectl would apply every further object in the file of
credentials. Helm and kubectl have other YAML parsers than this program. So a text passes only if `enrol` would write
the same text: they could read another notation differently.
"""

import re
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import zip_longest
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from wardround.cli import enrolment
from wardround.cli.errors import CommandError
from wardround.cli.objects import Object, printable
from wardround.wire.digests import DIGEST

MOST_CHARACTERS = 1 << 20  # of a file; the CA bundle of the store has at most 65,536
DEEPEST = 20
# In a shape, this text stands for any text.
ANY = ""
# No user stands before the host, and all characters are ASCII: a person reads the host to which the programs connect.
ORIGIN = re.compile(r"https://[A-Za-z0-9.:_\[\]-]+", re.ASCII)
SERVER = re.compile(rf"{ORIGIN.pattern}(/[A-Za-z0-9./:_~-]*)?", re.ASCII)
TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+", re.ASCII)
BEGINNING = "-----BEGIN "  # of each item of PEM, for every parser
# Characters of a key in a message. In a damaged file, these may be the first ones of the token: its header, which is no
# secret.
SHOWN = 30
ADVICE = (
    "Do not apply credentials.yaml, and do not give from-hub.yaml to Helm. Ask the hub's administrator by telephone "
    "for both files exactly as `kubectl wardround enrol PARTICIPANT --bootstrap FILE` writes them. If the "
    "administrator has sent you such files, somebody may have changed them on the way to you. If people of your "
    "hospital have changed a file, use the file that you received: your own values belong in site.yaml. If the hub "
    "runs another release of Wardround, check the files with the command line tool of that release."
)


@dataclass(frozen=True)
class File:
    """A file that the hub's administrator has sent. `name`: as the person gives it."""

    name: str
    text: str


@dataclass(frozen=True)
class Form:
    """How `enrol` writes a file. `shape`: its keys and its fixed values. `faults`: those of the other values."""

    shape: Object
    faults: Callable[[Object], Iterator[str]]


def report(values: File, credentials: File | None) -> list[str]:
    """The lines that say what the files hold. Raises CommandError with all faults of both files.

    No line and no fault contains the token.
    """
    if wrong := faults(values, credentials):
        lines = (f"- {each}" for each in wrong)
        raise CommandError("\n".join(["`kubectl wardround enrol` does not write such files.", *lines, ADVICE]))
    names = " and ".join(file.name for file in (values, credentials) if file)
    return [
        f"{names}: as `kubectl wardround enrol` writes, and nothing else.",
        *contents(values, credentials),
        "The command cannot know whether these are the addresses, the certificates and the fingerprint of your hub. "
        "Let the hub's administrator read them out by telephone, and compare.",
    ]


def faults(values: File, credentials: File | None) -> list[str]:
    """All that `enrol` does not write, each with the name of its file."""
    forms = [(values, VALUES), *([(credentials, CREDENTIALS)] if credentials else [])]
    wrong = [f"{file.name}: {fault}" for file, form in forms for fault in _faults(file.text, form)]
    if wrong:
        return wrong
    pins, *secrets = (yaml.safe_load(file.text) for file, _ in forms)
    return [_other_participant(pins, each) for each in secrets if _other_participant(pins, each)]


def _faults(text: str, form: Form) -> list[str]:
    """All that `enrol` would not write. The values are judged only in a file with the right keys."""
    if odd := _odd(text):
        return [odd]
    try:
        item = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, ArithmeticError):
        return ["The file cannot be read as YAML."]
    faults = list(_faults_of_shape(item, form.shape, ""))
    return faults or [*form.faults(item), *_faults_of_text(text, item, form.shape)]


def _odd(text: str) -> str:
    """What makes it useless or expensive to read the file's items, or ""."""
    if len(text) > MOST_CHARACTERS:
        return f"The file has more than {MOST_CHARACTERS:,} characters."
    depth = documents = 0
    try:
        for event in yaml.parse(text, yaml.SafeLoader):
            documents += isinstance(event, yaml.DocumentStartEvent)
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.NodeEvent) and event.anchor:
                return "The file has an anchor or an alias of YAML (& or *)."
            if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag:
                return "The file has a tag of YAML (!)."
            if depth > DEEPEST:
                return f"The file has more than {DEEPEST} levels of keys."
    except (yaml.YAMLError, ValueError, ArithmeticError):
        return "The file cannot be read as YAML."
    return "" if documents == 1 else f"The file has {documents} YAML documents instead of 1."


def _faults_of_shape(item: Any, shape: Object | str, path: str) -> Iterator[str]:
    """Other keys, missing keys, other types, and other fixed values. `path`: of the item in the file."""
    if isinstance(shape, str):
        if type(item) is not str:
            yield f"{path} is not a text."
        elif shape not in (ANY, item):
            yield f"{path} is not {shape!r}."
        return
    if not isinstance(item, dict):
        yield f"{path or 'The file'} has no keys."
        return
    prefix = f"{path}." if path else ""
    for key in item:
        if key not in shape:
            yield f"The key {prefix}{_short(key)} must not be there."
    for key, inner in shape.items():
        if key in item:
            yield from _faults_of_shape(item[key], inner, f"{prefix}{key}")
        else:
            yield f"The key {prefix}{key} is missing."


def _short(key: object) -> str:
    text = printable(key) if isinstance(key, str) else f"({type(key).__name__})"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _faults_of_text(text: str, item: Object, shape: Object) -> Iterator[str]:
    """The first line that `enrol` would write differently. It may hold the token, so the fault only counts lines."""
    written = enrolment.as_text(_ordered(item, shape))
    # Some mail programs change the number of line ends after the last line.
    pairs = zip_longest(text.rstrip("\n").split("\n"), written.rstrip("\n").split("\n"))
    for number, (here, there) in enumerate(pairs, 1):
        if here != there:
            yield (
                f"Line {number} has another notation than `enrol` writes, for example a comment, a key that is there "
                "twice, another order of keys, or other quotes. Helm or kubectl could read it differently."
            )
            return


def _ordered(item: Any, shape: Any) -> Any:
    """The item with its keys in the order of the shape, which has the same keys."""
    return {key: _ordered(item[key], inner) for key, inner in shape.items()} if isinstance(shape, dict) else item


def _faults_of_values(values: Object) -> Iterator[str]:
    hub, store = values["hub"], values["store"]
    yield from _faults_of_name("hub.participantNamespace", hub["participantNamespace"])
    yield from _faults_of_form("hub.fingerprint", hub["fingerprint"], DIGEST, "a fingerprint (sha256:<64 hex>)")
    yield from _faults_of_form("store.origin", store["origin"], ORIGIN, "an https origin without a path")
    yield from _faults_of_certificates("store.caBundle", store["caBundle"])


def _faults_of_credentials(secret: Object) -> Iterator[str]:
    data = secret["stringData"]
    yield from _faults_of_name("stringData.namespace", data["namespace"])
    yield from _faults_of_form("stringData.server", data["server"], SERVER, "an https URL")
    yield from _faults_of_form("stringData.token", data["token"], TOKEN, "a token")
    yield from _faults_of_certificates("stringData.ca.crt", data["ca.crt"])


def _faults_of_name(path: str, value: str) -> Iterator[str]:
    yield from _faults_of_form(path, value, enrolment.LABEL, "a name")
    if enrolment.is_ambiguous(value):
        yield f"{path} is a name that Helm or kubectl could read as a number, or as true or false."


def _faults_of_form(path: str, value: str, form: re.Pattern[str], noun: str) -> Iterator[str]:
    if not form.fullmatch(value):
        yield f"{path} is not {noun}."


def _faults_of_certificates(path: str, value: str) -> Iterator[str]:
    """`value`: empty, or certificates in PEM. The site operator and the courier trust what OpenSSL reads in it, and
    people compare what `_fingerprints` reads. A text that the two read differently could hide a certificate from
    people: OpenSSL reads a long line in pieces, and finds a beginning within it."""
    if not value:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=value)
        shown = _fingerprints(value)
    except (ssl.SSLError, TypeError, ValueError):
        yield f"{path} holds no PEM certificates."
        return
    if value.count(BEGINNING) != len(shown) or context.cert_store_stats()["x509"] != len(set(shown)):
        yield f"{path} holds certificates that some programs read and others do not."


def _fingerprints(bundle: str) -> list[str]:
    """SHA-256 of each certificate, as `openssl x509 -fingerprint -sha256` has it, in another notation. Raises
    ValueError."""
    certificates = x509.load_pem_x509_certificates(bundle.encode("ascii")) if bundle else []
    return [f"sha256:{sha256(each.public_bytes(Encoding.DER)).hexdigest()}" for each in certificates]


VALUES = Form(enrolment.site_values(ANY, enrolment.HubFacts(ANY, ANY, ANY)), _faults_of_values)
CREDENTIALS = Form(enrolment.credentials(ANY, ANY, ANY, ANY), _faults_of_credentials)


def _other_participant(values: Object, secret: Object) -> str:
    one, other = values["hub"]["participantNamespace"], secret["stringData"]["namespace"]
    return "" if one == other else f"The values are for participant {one}, and the credentials for participant {other}."


def contents(values: File, credentials: File | None) -> list[str]:
    """What files without faults hold, for two people who compare it by telephone."""
    pins = yaml.safe_load(values.text)
    hub, store = pins["hub"], pins["store"]
    data = yaml.safe_load(credentials.text)["stringData"] if credentials else None
    return [
        f"  The hospital's name on the hub:   {hub['participantNamespace']}",
        *([f"  The hub's API server:             {data['server']}", *_trust(data["ca.crt"])] if data else []),
        f"  The hub's store:                  {store['origin']}",
        *_trust(store["caBundle"]),
        f"  The hub's fingerprint:            {hub['fingerprint']}",
    ]


def _trust(bundle: str) -> list[str]:
    return [f"    trusted CA:                     {each}" for each in _fingerprints(bundle) or ["a public CA"]]
