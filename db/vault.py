# ruff: noqa: S608  (the names put into SQL are this package's own; values are always bound)
"""The vault: the one place that knows which external id a surrogate number stands for.

AES-GCM under keys derived (HKDF) from the store's 32-byte master key; look-up by HMAC, so that an id can be
found but not listed without the key.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from db.errors import KeyMissing, KeyWrong, StoreDamaged, StoreError, StoreExists
from db.sqlite import explained

if TYPE_CHECKING:
    from db.store import Store

KEY_VARIABLE = "SEGTUI_KEY"
KEY_BYTES = 32
LOOKUP_BYTES = 16
NONCE_BYTES = 12
CHUNK = 10_000


def key_path(store: Path) -> Path:
    """The key file beside a store."""
    return Path(f"{store}.key")


def parse_key(text: str, where: str) -> bytes:
    """32 bytes from base64 or hex; raises KeyWrong naming `where` it was read."""
    text = text.strip()
    try:
        key = bytes.fromhex(text) if len(text) == 2 * KEY_BYTES else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES:
        raise KeyWrong(f"{where} does not hold a key: it takes {KEY_BYTES} bytes in base64 or hex.")
    return key


def write_key(store: Path, key: bytes) -> Path:
    """Writes the key file, mode 0600, never over another; it is on the disk when this returns."""
    path = key_path(store)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise StoreExists(
            f"{path} is there already and may be the only key to another store: move it away first."
        ) from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(key) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return path


def find_key(store: Path) -> bytes | None:
    """The master key from SEGTUI_KEY, else from the key file; None when there is neither."""
    told = os.environ.get(KEY_VARIABLE)
    if told:
        return parse_key(told, KEY_VARIABLE)
    path = key_path(store)
    try:
        with explained(path):
            return parse_key(path.read_text(encoding="utf-8", errors="replace"), str(path))
    except FileNotFoundError:
        return None


def _derive(master: bytes, purpose: str) -> bytes:
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=f"segtui {purpose}".encode()).derive(master)


def key_check(master: bytes) -> bytes:
    """What a store keeps to recognise its key: reveals nothing about it."""
    return _derive(master, "check")


class Vault:
    """Surrogates and external ids of one store; the key is looked for when first needed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys: tuple[bytes, AESGCM] | None = None

    @property
    def available(self) -> bool:
        """Whether the key is there; raises KeyWrong when it is another store's."""
        return self._load()

    def require(self) -> None:
        """Raises KeyMissing, saying where the key was looked for, when it is not there."""
        if not self._load():
            raise KeyMissing(
                f"The key of {self._store.path} is missing: put back {key_path(self._store.path)} or set "
                f"{KEY_VARIABLE}."
            )

    def _load(self) -> bool:
        if self._keys is None:
            master = find_key(self._store.path)
            if master is None:
                return False
            known = self._store.rows("SELECT value FROM meta WHERE name = 'key_check'")
            if not known or not hmac.compare_digest(known[0][0], key_check(master)):
                where = KEY_VARIABLE if os.environ.get(KEY_VARIABLE) else str(key_path(self._store.path))
                raise KeyWrong(
                    f"The key in {where} is not the one {self._store.path} was made with: "
                    "put back the right one."
                )
            self._keys = _derive(master, "lookup"), AESGCM(_derive(master, "vault"))
        return True

    def _unlocked(self) -> tuple[bytes, AESGCM]:
        self.require()
        if self._keys is None:
            raise StoreError(f"The vault of {self._store.path} stays closed.")
        return self._keys

    def lookups(self, external_ids: Sequence[str], name: str) -> list[bytes]:
        """The look-up hash of each id; raises KeyMissing."""
        key, prefix = self._unlocked()[0], name.encode() + b"\0"
        return [hmac.digest(key, prefix + text.encode(), "sha256")[:LOOKUP_BYTES] for text in external_ids]

    def encrypt(self, external_ids: Sequence[str], users: Sequence[int], name: str) -> list[bytes]:
        """Nonce and ciphertext of each id, bound to its user and name."""
        cipher = self._unlocked()[1]
        nonces = os.urandom(NONCE_BYTES * len(external_ids))
        return [
            (nonce := nonces[at * NONCE_BYTES : (at + 1) * NONCE_BYTES])
            + cipher.encrypt(nonce, text.encode(), f"{user}:{name}".encode())
            for at, (text, user) in enumerate(zip(external_ids, users, strict=True))
        ]

    def _decrypt(self, user: int, name: str, ciphertext: bytes) -> str:
        cipher = self._unlocked()[1]
        try:
            plain = cipher.decrypt(
                ciphertext[:NONCE_BYTES], ciphertext[NONCE_BYTES:], f"{user}:{name}".encode()
            )
        except InvalidTag as error:
            raise StoreDamaged(
                f"The vault of {self._store.path} is damaged at user #{user}: restore a backup."
            ) from error
        return plain.decode()

    def surrogate(self, external_id: str, name: str = "id") -> int | None:
        """The user number of an external id, None for an unknown one; raises KeyMissing."""
        found = self._store.rows(
            "SELECT user FROM vault WHERE lookup = ?", (self.lookups([external_id], name)[0],)
        )
        return int(found[0][0]) if found else None

    def find(self, lookups: Sequence[bytes]) -> dict[bytes, int]:
        """User numbers by look-up hash, for those that are known."""
        known: dict[bytes, int] = {}
        for start in range(0, len(lookups), CHUNK):
            chunk = lookups[start : start + CHUNK]
            marks = ",".join("?" * len(chunk))
            known.update(self._store.rows(f"SELECT lookup, user FROM vault WHERE lookup IN ({marks})", chunk))
        return known

    def external_ids(self, users: Sequence[int]) -> dict[int, str]:
        """External ids by user, the name 'id' before any other; {} without the key."""
        if not self._load():
            return {}
        wanted = {int(user) for user in users}
        condition, parameters = "", []
        if len(wanted) <= CHUNK:
            condition, parameters = (
                " AND user IN (SELECT value FROM json_each(?))",
                [json.dumps(list(wanted))],
            )
        sealed: dict[int, tuple[str, bytes]] = {}
        for which in ("name <> 'id'", "name = 'id'"):
            rows = self._store.rows(
                f"SELECT user, name, ciphertext FROM vault WHERE {which}{condition} ORDER BY name DESC",
                parameters,
            )
            sealed.update((user, (name, blob)) for user, name, blob in rows if user in wanted)
        return {user: self._decrypt(user, name, blob) for user, (name, blob) in sealed.items()}

    def all_external(self) -> pl.DataFrame:
        """user Int64, external String: everyone's external id, by user; empty without the key."""
        found = self.external_ids([row[0] for row in self._store.rows("SELECT DISTINCT user FROM vault")])
        return pl.DataFrame(
            {"user": list(found), "external": list(found.values())},
            schema={"user": pl.Int64, "external": pl.String},
        ).sort("user")

    def misplaced(self) -> int:
        """How many entries stand under another look-up hash than their id's; raises StoreDamaged."""
        wrong = 0
        for lookup, user, name, blob in self._store.rows("SELECT lookup, user, name, ciphertext FROM vault"):
            wrong += self.lookups([self._decrypt(user, name, blob)], name)[0] != lookup
        return wrong
