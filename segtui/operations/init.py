"""Creating a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from db import keys
from db.errors import StoreError, StoreExists
from db.store import Store
from db.vault import Vault
from db.version import SCHEMA_VERSION
from engine.starter import VALUE_LABELS
from engine.ticks import Ticks
from segtui.operations.errors import OperationError
from segtui.operations.session import Session

CLOCKS = ("wall", "data")


def init(
    path: Path,
    *,
    timezone: str = "UTC",
    currency: str | None = None,
    tick: str = "1d",
    clock: str | None = None,
    keyring: bool = False,
    vault: bool = True,
) -> dict[str, Any]:
    """Creates a store and its key; zone and tick are fixed for its life.

    `keyring`: the key goes to the operating system's keyring instead of a file. Without a vault external ids
    stand in clear, for data that is pseudonymous already. Without a currency or a clock the first import
    decides them. A store whose init was killed before its first commit is completed. Raises OperationError
    for an unknown zone, tick, clock or currency, and for a store begun with another place for its ids,
    StoreError where the file cannot be created or the keyring not be used.
    """
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise OperationError(
            f"Unknown time zone {timezone!r}: use an IANA name such as 'Europe/Berlin'."
        ) from error
    if clock is not None and clock not in CLOCKS:
        raise OperationError(f"Unknown clock {clock!r}: use 'wall' or 'data'.")
    if currency is not None and not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
        raise OperationError(f"Currency {currency!r} is not an ISO 4217 code such as EUR.")
    Ticks(zone=timezone, length=tick).end_holding(0)
    settings = {
        "timezone": timezone,
        "currency": currency.upper() if currency else None,
        "tick": tick,
        "clock": clock,
    }
    if keyring and not vault:
        raise OperationError("A store without a vault has no key for the keyring: choose one of the two.")
    place = keys.KEYRING if keyring else keys.FILE
    store = _begun(Path(path), place, vault=vault) or Store.create(Path(path), place=place, vault=vault)
    try:
        key = store.vault.key_stands
        with store.transaction(actor=Session(store).actor, source="init") as tx:
            if tx.next_seq > 1:
                raise StoreExists(f"{path} is there already: open it, or choose another name.")
            tx.append_decision("store_created", {"version": SCHEMA_VERSION, **settings})
            tx.append_decision(
                "segmentation_defined", {"name": "value", "kind": "model", "labels": list(VALUE_LABELS)}
            )
    finally:
        store.close()
    return {"store": str(path), "version": SCHEMA_VERSION, **settings, "vault": vault, "key": key}


def _begun(path: Path, place: str, *, vault: bool) -> Store | None:
    """The store at `path` when its init ended before the first commit; None for none or a whole one."""
    if not path.exists():
        return None
    try:
        store = Store.open(path)
    except StoreError:
        return None
    try:
        if store.head():
            store.close()
            return None
        held = store.vault
        if isinstance(held, Vault) != vault or (isinstance(held, Vault) and held.place != place):
            raise OperationError(
                f"{path} was begun with another choice of vault or keyring: choose the same, or another name."
            )
        held.require()
    except BaseException:
        store.close()
        raise
    return store
