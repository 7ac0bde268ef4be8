# ruff: noqa: S608  (the names put into SQL are this package's own; values are always bound)
"""The vault: the one place that knows which external id a surrogate number stands for.

AES-GCM under keys derived (HKDF) from the store's 32-byte master key; look-up by HMAC, so that an id can be
found but not listed without the key.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from db import keys
from db.errors import KeyMissing, StoreDamaged, StoreError
from db.identities import CHUNK, ID, Entry, Identities
from db.keys import KEY_VARIABLE, key_path
from db.schema import VAULT_INDEX

if TYPE_CHECKING:
    from db.bulk import Staging
    from db.store import Store

LOOKUP_BYTES = 16
NONCE_BYTES = 12


class Vault(Identities):
    """Surrogates and external ids of one store, sealed; the key is looked for when first needed."""

    table = "vault"
    column = "ciphertext"
    index = VAULT_INDEX
    told = "entries open"

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._master: bytes | None = None
        self._keys: tuple[bytes, AESGCM] | None = None

    @property
    def available(self) -> bool:
        """Whether the key is there; raises KeyWrong when it is another store's."""
        return self.master() is not None

    @property
    def key_stands(self) -> str:
        """Where the key is looked for: a variable, a file, or `keyring`."""
        if os.environ.get(KEY_VARIABLE):
            return KEY_VARIABLE
        return keys.KEYRING if self.place == keys.KEYRING else str(key_path(self._store.beside))

    def require(self) -> None:
        """Raises KeyMissing, saying where the key was looked for, when it is not there."""
        if self.master() is None:
            back = "the keyring's entry" if self.place == keys.KEYRING else key_path(self._store.beside)
            raise KeyMissing(
                f"The key of {self._store.path} is missing: put back {back} or set {KEY_VARIABLE}."
            )

    @property
    def check(self) -> bytes:
        """What the store knows its key by."""
        found = self._store.rows("SELECT value FROM meta WHERE name = 'key_check'")
        if not found:
            raise StoreDamaged(f"{self._store.path} does not know its key any more: restore a backup.")
        return bytes(found[0][0])

    @property
    def place(self) -> str:
        """Where the key is kept: `file` or `keyring`."""
        found = self._store.rows("SELECT value FROM meta WHERE name = 'key_place'")
        return str(found[0][0]) if found else keys.FILE

    def master(self) -> bytes | None:
        """The master key, None where it is missing; raises KeyWrong."""
        # Another process may have rotated the key since.
        check = self.check
        if self._master is None or keys.key_check(self._master) != check:
            self._master = keys.find_key(self._store.beside, check, keyring=self.place == keys.KEYRING)
            self._keys = None if self._master is None else _derived(self._master)
        return self._master

    def _unlocked(self) -> tuple[bytes, AESGCM]:
        self.require()
        if self._keys is None:
            raise StoreError(f"The vault of {self._store.path} stays closed.")
        return self._keys

    def lookups(self, external_ids: Sequence[str], name: str) -> list[bytes]:
        """The look-up hash of each id; raises KeyMissing."""
        return _lookups(self._unlocked()[0], external_ids, name)

    def encrypt(self, external_ids: Sequence[str], users: Sequence[int], name: str) -> list[bytes]:
        """Nonce and ciphertext of each id, bound to its user and name."""
        return _encrypt(self._unlocked()[1], external_ids, users, name)

    def known(self, external_ids: Sequence[str], name: str = ID) -> dict[str, int]:
        """User numbers of those ids that have one; raises KeyMissing."""
        lookups = self.lookups(external_ids, name)
        held: dict[bytes, int] = {}
        for start in range(0, len(lookups), CHUNK):
            chunk = lookups[start : start + CHUNK]
            marks = ",".join("?" * len(chunk))
            held.update(self._store.rows(f"SELECT lookup, user FROM vault WHERE lookup IN ({marks})", chunk))
        return {
            text: held[lookup] for text, lookup in zip(external_ids, lookups, strict=True) if lookup in held
        }

    def add(self, staging: Staging, external_ids: Sequence[str], users: range, name: str = ID) -> None:
        """Seals new ids and keeps them under their users, inside the open transaction; raises KeyMissing."""
        lookups, sealed = self.lookups(external_ids, name), self.encrypt(external_ids, users, name)
        # By look-up hash: random inserts into a B-tree that outgrows the page cache are slow.
        staging.put("vault", sorted(zip(lookups, users, repeat(name), sealed, strict=False)))

    def _opened(self, rows: list[Any]) -> list[Entry]:
        cipher = self._unlocked()[1]
        return [(user, name, self._decrypt(cipher, user, name, blob)) for user, name, blob in rows]

    def _decrypt(self, cipher: AESGCM, user: int, name: str, ciphertext: bytes) -> str:
        try:
            plain = cipher.decrypt(
                ciphertext[:NONCE_BYTES], ciphertext[NONCE_BYTES:], f"{user}:{name}".encode()
            )
        except InvalidTag as error:
            raise StoreDamaged(
                f"The vault of {self._store.path} is damaged at user #{user}: restore a backup."
            ) from error
        return plain.decode()

    def misplaced(self) -> int:
        """How many entries stand under another look-up hash than their id's; raises StoreDamaged."""
        key, cipher = self._unlocked()
        wrong = 0
        for lookup, user, name, blob in self._store.rows("SELECT lookup, user, name, ciphertext FROM vault"):
            wrong += _lookups(key, [self._decrypt(cipher, user, name, blob)], name)[0] != lookup
        return wrong

    def settle(self) -> None:
        """Ends a rotation of the key that was cut off; the caller holds the writer's lock."""
        keys.settle(self._store.beside, self.check, self.place)

    def reseal(self, master: bytes, place: str) -> int:
        """Seals every entry anew under another master key, inside the open transaction; returns their number.

        `place`: where that key is kept.
        """
        connection, old, (key, new) = self._store.connection, self._unlocked()[1], _derived(master)
        sealed, last = 0, b""
        with self.made_anew() as former:
            page = f"SELECT * FROM {former} WHERE lookup > ? ORDER BY lookup LIMIT {CHUNK}"
            while rows := self._store.rows(page, (last,)):
                for _, user, name, blob in rows:
                    text = self._decrypt(old, user, name, blob)
                    row = [*_lookups(key, [text], name), user, name, *_encrypt(new, [text], [user], name)]
                    connection.execute("INSERT INTO vault VALUES (?, ?, ?, ?)", row)
                sealed, last = sealed + len(rows), rows[-1][0]
        connection.execute(
            "INSERT INTO meta VALUES ('key_check', ?), ('key_place', ?) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (keys.key_check(master), place),
        )
        return sealed


def _derived(master: bytes) -> tuple[bytes, AESGCM]:
    return keys.derive(master, "lookup"), AESGCM(keys.derive(master, "vault"))


def _lookups(key: bytes, external_ids: Sequence[str], name: str) -> list[bytes]:
    prefix = name.encode() + b"\0"
    return [hmac.digest(key, prefix + text.encode(), "sha256")[:LOOKUP_BYTES] for text in external_ids]


def _encrypt(cipher: AESGCM, external_ids: Sequence[str], users: Sequence[int], name: str) -> list[bytes]:
    nonces = os.urandom(NONCE_BYTES * len(external_ids))
    return [
        (nonce := nonces[at * NONCE_BYTES : (at + 1) * NONCE_BYTES])
        + cipher.encrypt(nonce, text.encode(), f"{user}:{name}".encode())
        for at, (text, user) in enumerate(zip(external_ids, users, strict=True))
    ]
