"""The list of erased persons: keyed hashes in a file beside the store, which travels with every backup.

Each line is one JSON object that stays true for ever, so two lists are joined as sets:

    {"list": L, "key": K, "sealed": S}   the list's own key, sealed under the master key with the check K
    {"list": L, "open": O}               the same in clear, in a store without a vault
    {"list": L, "hash": H, "at": T, "state": "erased", "purged" or "lifted"}

H may also stand for how an id is named in a text, see `mention`, or, with "number": true, for somebody who
has no id any more, see `trace`. A list's key is random and used for nothing else, and it outlives every
rotation of the master key: who was erased is recognised when nothing else tells of them any more. Of a hash's
states the newest counts.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from db import keys
from db.copies import PRIVATE, draft_of, put_in_place
from db.errors import KeyMissing, KeyWrong, StoreDamaged, StoreError
from db.sqlite import explained
from db.vault import NONCE_BYTES, Vault

if TYPE_CHECKING:
    from db.store import Store

ERASED, PURGED, LIFTED = "erased", "purged", "lifted"
STATES = (LIFTED, ERASED, PURGED)
HASH_BYTES = 16


def erasures_path(store: Path) -> Path:
    """The list of erased persons beside a store or a backup."""
    return Path(f"{store}.erasures")


def carry_erasures(source: Path, target: Path) -> None:
    """Adds the erased persons of one store's list to another's, so that neither brings anyone back."""
    lists = [erasures_path(source), erasures_path(target)]
    held = {line for path in lists if path.exists() for line in path.read_text().splitlines()}
    if held:
        _write(target, held)


def _write(store: Path, lines: Iterable[str]) -> None:
    path = erasures_path(store)
    with draft_of(path) as draft, explained(store):
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE), "w") as file:
            file.writelines(f"{line}\n" for line in sorted(lines))
            file.flush()
            os.fsync(file.fileno())
        put_in_place(draft, path)


def settle(store: Store) -> None:
    """Ends a rotation of the key in the list as well; the caller holds the writer's lock."""
    if erasures_path(store.path).exists():
        Erasures(store).adopt()


class Erasures:
    """The list of one store, as it stands when this is made."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lines: set[str] = set()
        self._sealed: dict[str, dict[str, str]] = {}
        self._open: dict[str, bytes] = {}
        self._states: dict[tuple[str, str], tuple[int, int]] = {}
        self.knows_numbers = False
        """Whether somebody is on the list by what they did alone, see `trace`."""
        path = erasures_path(store.path)
        with explained(path):
            text = path.read_text(encoding="utf-8") if path.exists() else ""
        try:
            for line in text.splitlines():
                self._take(json.loads(line))
                self._lines.add(line)
        except (ValueError, KeyError, TypeError) as error:
            raise StoreDamaged(
                f"{path} is not a list of erased persons: put it back from the newest backup."
            ) from error

    def _take(self, entry: dict[str, Any]) -> None:
        name = str(entry["list"])
        if "sealed" in entry:
            self._sealed.setdefault(name, {})[entry["key"]] = entry["sealed"]
        elif "open" in entry:
            self._open[name] = base64.b64decode(entry["open"])
        else:
            state = int(entry["at"]), STATES.index(entry["state"])
            key = name, str(entry["hash"])
            self.knows_numbers |= bool(entry.get("number"))
            self._states[key] = max(self._states.get(key, state), state)

    @property
    def persons(self) -> int:
        """How many hashes stand for someone erased."""
        return sum(state > 0 for _, state in self._states.values())

    def states(self, ids: Sequence[str]) -> dict[str, str]:
        """`erased` or `purged` for those of the ids that are; raises KeyMissing."""
        found: dict[str, str] = {}
        for name in {name for (name, _), (_, state) in self._states.items() if state}:
            key = self._key(name)
            for text in ids:
                _, state = self._states.get((name, _hash(key, text)), (0, 0))
                if state:
                    found[text] = max(found.get(text, LIFTED), STATES[state], key=STATES.index)
        return found

    def refuse_lost(self) -> None:
        """Raises StoreError when persons were erased here and there is no list to know them by."""
        if self._lines:
            return
        # Who was forgotten by a cut may come back, and is on no list.
        erasures = self._store.rows(
            "SELECT 1 FROM decisions d JOIN commits c "
            "ON d.seq BETWEEN c.decisions_first AND c.decisions_last "
            "WHERE d.kind = 'users_erased' AND c.source IS NOT 'retain' LIMIT 1"
        )
        if erasures:
            path = erasures_path(self._store.path)
            raise StoreError(
                f"The list of erased persons {path} is missing, an import could bring them back: "
                "put it back from the newest backup."
            )

    def record(self, ids: Sequence[str], state: str, at: int, *, numbers: Sequence[str] = ()) -> None:
        """Notes a state of some ids as of `at` (µs UTC); it is on the disk when this returns.

        It counts from now on: where the clock stepped back, `at` is put right after the newest state held.
        `numbers`: traces of those who have no id any more.
        """
        self._note(ids, state, at)
        self._note(numbers, state, at, {"number": True})

    def _note(self, texts: Sequence[str], state: str, at: int, more: dict[str, Any] | None = None) -> None:
        if not texts:
            return
        name = min({*self._sealed, *self._open}, default=None)
        if name is None:
            name = self._begin()
        hashes = [
            (each, _hash(self._key(each), text))
            # Lifting must reach every list there is, erasing only one of them.
            for each in ({*self._sealed, *self._open} if state == LIFTED else {name})
            for text in texts
        ]
        newest = {key: self._states[key][0] for key in hashes if key in self._states}
        self._add(
            [
                {"list": key[0], "hash": key[1], "at": max(at, newest.get(key, at - 1) + 1), "state": state}
                | (more or {})
                for key in hashes
            ]
        )

    def adopt(self) -> None:
        """Makes the store's own key open every list that can be opened, and no other key.

        After a restore of a backup under another key the list is sealed under that of before.
        """
        vault = self._store.vault
        if isinstance(vault, Vault) and any(vault.check.hex() not in held for held in self._sealed.values()):
            with suppress(KeyMissing, KeyWrong):
                master = vault.master()
                if master is not None:
                    self.reseal(master)
        self.drop_old()

    def reseal(self, master: bytes) -> None:
        """Seals every list's key under another master key too, until `drop_old` ends it."""
        check = keys.key_check(master).hex()
        self._add(
            [
                {"list": name, "key": check, "sealed": _seal(master, name, self._key(name))}
                for name, held in self._sealed.items()
                if check not in held
            ]
        )

    def drop_old(self) -> None:
        """Forgets what is sealed under other master keys than the store's, where that one opens it too."""
        vault = self._store.vault
        check = vault.check.hex() if isinstance(vault, Vault) else ""
        before = set(self._lines)
        for name, held in self._sealed.items():
            for other in [each for each in held if each != check and check in held]:
                self._lines.discard(_line({"list": name, "key": other, "sealed": held.pop(other)}))
        if self._lines != before:
            _write(self._store.path, self._lines)

    def _begin(self) -> str:
        """Starts a list with a key of its own."""
        name, key = secrets.token_hex(8), os.urandom(keys.KEY_BYTES)
        vault = self._store.vault
        if isinstance(vault, Vault):
            vault.require()
            master = vault.master() or b""
            sealed = _seal(master, name, key)
            self._add([{"list": name, "key": keys.key_check(master).hex(), "sealed": sealed}])
        else:
            self._add([{"list": name, "open": base64.b64encode(key).decode()}])
        return name

    def _key(self, name: str) -> bytes:
        if name in self._open:
            return self._open[name]
        beside = self._store.beside
        for check, sealed in self._sealed.get(name, {}).items():
            try:
                master = keys.find_key(beside, bytes.fromhex(check), keyring=self._in_keyring())
            except KeyWrong:
                continue
            if master is not None:
                raw = base64.b64decode(sealed)
                cipher = AESGCM(keys.derive(master, "erasures"))
                self._open[name] = cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], name.encode())
                return self._open[name]
        places = [keys.kept_path(beside, bytes.fromhex(check)) for check in self._sealed.get(name, {})]
        raise KeyMissing(
            f"The key that opens {erasures_path(self._store.path)} is missing: put it back as "
            f"{' or '.join(map(str, places))}, or move the list away if it is another store's."
        )

    def _in_keyring(self) -> bool:
        vault = self._store.vault
        return isinstance(vault, Vault) and vault.place == keys.KEYRING

    def _add(self, entries: list[dict[str, Any]]) -> None:
        if not entries:
            return
        for entry in entries:
            self._take(entry)
            self._lines.add(_line(entry))
        _write(self._store.path, self._lines)


def mention(named: str) -> str:
    """How somebody is on the list for being named in a row that could not be read, in whatever spelling."""
    return f"\0named {named}"


def trace(first_commit: bytes, user: int) -> str:
    """How somebody is on the list who has no id any more: by number, and the commit that number came with.

    Another history of the same store has other commits, and may have given the number to somebody else.
    """
    return f"\0#{user} of {first_commit.hex()}"


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry, sort_keys=True)


def _hash(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(), "sha256")[:HASH_BYTES].hex()


def _seal(master: bytes, name: str, key: bytes) -> str:
    nonce = os.urandom(NONCE_BYTES)
    cipher = AESGCM(keys.derive(master, "erasures"))
    return base64.b64encode(nonce + cipher.encrypt(nonce, key, name.encode())).decode()
