"""The master key of a store: where it is found, how it is kept, and how it is replaced.

A store knows its key by a check derived from it. The key stands in SEGTUI_KEY, else in a file beside the
store, else, for a store made or rotated so, in the keyring of the operating system. A key that was replaced
is kept under the beginning of its check: backups made before still need it, and find it there.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from db.errors import KeyMissing, KeyWrong, StoreExists
from db.sqlite import explained

if TYPE_CHECKING:
    from types import ModuleType

KEY_VARIABLE = "SEGTUI_KEY"
NEW_KEY_VARIABLE = "SEGTUI_NEW_KEY"
KEY_BYTES = 32
SERVICE = "segtui"
DRAFT = ".draft"
FILE, KEYRING = "file", "keyring"


def key_path(store: Path) -> Path:
    """The key file beside a store."""
    return Path(f"{store}.key")


def next_path(store: Path) -> Path:
    """The key file of a rotation that has not ended yet."""
    return Path(f"{store}.key.new")


def kept_path(store: Path, check: bytes) -> Path:
    """The key file of a key that was replaced, by its check."""
    return Path(f"{store}.key.{check.hex()[:8]}")


def derive(master: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose."""
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=f"segtui {purpose}".encode()).derive(master)


def key_check(master: bytes) -> bytes:
    """What a store keeps to recognise its key: reveals nothing about it."""
    return derive(master, "check")


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


def told_key(variable: str) -> bytes | None:
    """The key in an environment variable, None where it is not set."""
    text = os.environ.get(variable)
    return parse_key(text, variable) if text else None


def write_key(path: Path, key: bytes) -> None:
    """Writes a key file, mode 0600, never over another; it is whole and on the disk when this returns."""
    descriptor, draft = tempfile.mkstemp(prefix=f"{path.name}.", suffix=DRAFT, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(key) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        # A rename would replace a key that came meanwhile.
        os.link(draft, path)
    except FileExistsError as error:
        raise StoreExists(
            f"{path} is there already and may be the only key to another store: move it away first."
        ) from error
    finally:
        Path(draft).unlink()
    sync_folder(path)


def sync_folder(path: Path) -> None:
    """Puts on the disk which files stand beside `path`."""
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def find_key(store: Path, check: bytes, *, keyring: bool) -> bytes | None:
    """The master key that fits `check`; None when there is no key, KeyWrong when there are only others.

    `keyring`: whether the operating system's keyring is asked as well.
    """
    stranger = None
    for where, master in _candidates(store, check, keyring=keyring):
        if hmac.compare_digest(key_check(master), check):
            return master
        stranger = stranger or where
    if stranger is not None:
        raise KeyWrong(f"The key in {stranger} is not the one {store} was made with: put back the right one.")
    return None


def _candidates(store: Path, check: bytes, *, keyring: bool) -> Iterator[tuple[str, bytes]]:
    told = told_key(KEY_VARIABLE)
    if told is not None:
        yield KEY_VARIABLE, told
    # The next one first: whoever does not find it there any more finds it under its final name.
    if told is None:
        proposed = _proposed(store)
        if proposed is not None:
            yield str(next_path(store)), proposed
    for path in (*([] if told is not None else [key_path(store)]), kept_path(store, check)):
        found = _read(path)
        if found is not None:
            yield str(path), found
    if keyring and told is None:
        text = _keyring(store).get_password(SERVICE, check.hex())
        if text:
            yield "the keyring", parse_key(text, "The keyring's entry")


def _read(path: Path) -> bytes | None:
    try:
        with explained(path):
            return parse_key(path.read_text(encoding="utf-8", errors="replace"), str(path))
    except FileNotFoundError:
        return None


def _proposed(store: Path) -> bytes | None:
    """The key of a rotation that has not ended, None where there is none, or none that was written whole."""
    with suppress(KeyWrong):
        return _read(next_path(store))
    return None


# --- a new key in place of the old one -------------------------------------------------------------------


def propose(store: Path, key: bytes, place: str) -> None:
    """Keeps the key that a store is about to take, beside the one it has.

    Until `settle` both are there, so that the store opens whatever happens in between.
    """
    if place == KEYRING:
        put_in_keyring(store, key)
        return
    for left in (next_path(store), *store.parent.glob(f"{escape(next_path(store).name)}.*{DRAFT}")):
        left.unlink(missing_ok=True)
    write_key(next_path(store), key)


def settle(store: Path, check: bytes, place: str) -> None:
    """Ends a rotation, also one that was killed: what stands beside the store is its key and no other.

    `check` and `place` are those of the key the store has now. The caller holds the writer's lock.
    """
    if place == KEYRING:
        retire(store)
    proposed = _proposed(store)
    if proposed is None or not hmac.compare_digest(key_check(proposed), check):
        next_path(store).unlink(missing_ok=True)  # the store never took it
        if place == FILE:
            _reinstate(store, check)
        return
    retire(store)
    next_path(store).replace(key_path(store))
    sync_folder(key_path(store))


def _reinstate(store: Path, check: bytes) -> None:
    """Puts a key that was replaced back in its place, when the store that came back needs it.

    The other key takes its place among those kept. Nothing moves where the key is told by the environment.
    """
    with suppress(KeyWrong):
        standing, kept = _read(key_path(store)), _read(kept_path(store, check))
        fits = standing is not None and hmac.compare_digest(key_check(standing), check)
        if fits or kept is None or key_check(kept) != check or told_key(KEY_VARIABLE) is not None:
            return
        retire(store)
        kept_path(store, check).replace(key_path(store))
        sync_folder(key_path(store))


def retire(store: Path) -> Path | None:
    """Moves the key file to where backups that need it find it; returns that place, None without a file."""
    old = _read(key_path(store))
    if old is None:
        return None
    kept = kept_path(store, key_check(old))
    key_path(store).replace(kept)
    sync_folder(kept)
    return kept


def put_in_keyring(store: Path, key: bytes) -> None:
    """Keeps a key in the operating system's keyring under its check."""
    text = base64.b64encode(key).decode()
    _keyring(store).set_password(SERVICE, key_check(key).hex(), text)


class _Keyring:
    """The operating system's keyring, its errors as sentences."""

    def __init__(self, library: ModuleType, store: Path) -> None:
        self._library = library
        self._store = store

    def get_password(self, service: str, name: str) -> str | None:
        try:
            found: str | None = self._library.get_password(service, name)
        except self._library.errors.KeyringError as error:
            raise self._closed(error) from error
        return found

    def set_password(self, service: str, name: str, text: str) -> None:
        try:
            self._library.set_password(service, name, text)
        except self._library.errors.KeyringError as error:
            raise self._closed(error) from error

    def _closed(self, error: Exception) -> KeyMissing:
        why = str(error).split(".")[0].splitlines()
        return KeyMissing(
            f"The keyring that holds the key of {self._store} cannot be used "
            f"({why[0] if why else type(error).__name__}): unlock it, or set {KEY_VARIABLE}."
        )


def _keyring(store: Path) -> _Keyring:
    # A tenth of a second, and not everyone has it: loaded only for a store that keeps its key there.
    try:
        import keyring
        import keyring.errors
    except ImportError as error:
        raise KeyMissing(
            f"The key of {store} goes to the keyring, which needs the package keyring: "
            f"pip install 'segtui[keyring]', or set {KEY_VARIABLE}."
        ) from error
    return _Keyring(keyring, store)
