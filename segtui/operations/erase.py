"""Forgetting persons: in the store, in the files beside it, and for every import and restore to come."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from db import carried, forgetting, log, lookups, lost_words, redactions
from db.asides import forget_aside
from db.erasures import ERASED, LIFTED, PURGED, Erasures, mention
from engine.identity import identity_at
from segtui.operations import mentions
from segtui.operations.definitions import definitions
from segtui.operations.errors import OperationError
from segtui.operations.files import refuse_unwritable, write_text
from segtui.operations.progress import Progress, quiet
from segtui.operations.session import Session, is_text


@dataclass
class _Persons:
    """Who is asked for, and what is known of them."""

    users: list[int] = field(default_factory=list)
    """All numbers of theirs, aliases included."""
    ids: list[str] = field(default_factory=list)
    """Every identifier of theirs, to be found by in files and kept out by the list."""
    nameless: list[int] = field(default_factory=list)
    """Those of the numbers who were erased before, and whose events are to go now."""
    listed: list[str] = field(default_factory=list)
    """Identifiers of those who are on the list and nowhere else."""
    count: int = 0
    already: int = 0


def erase(
    s: Session,
    ids: Sequence[str],
    *,
    purge: bool = False,
    dry_run: bool = False,
    receipt: Path | None = None,
    progress: Progress = quiet,
) -> dict[str, Any]:
    """Forgets the persons behind external ids (or `#12`): all of them, or nobody when one is not known here.

    With `purge` what they did goes too. The list of erased persons keeps them out of every import and restore
    to come; who is on it and nowhere else counts as `already`, and a purge of them holds for what a restore
    would bring back: what they did here can be found by their number only. Returns persons, identities,
    events, purged, words (order numbers and other texts that went with the events, since no other event has
    them), seq (None when there was nobody left to forget), models (trained on any of them), quarantined (rows
    removed from quarantine files), exports (identified ones, which are out of reach), removed (copies kept
    aside that had to go), already, pending (whether the write-ahead log waits for a reader). No id is in what
    this returns, nor in what it raises: OperationError, StoreError.
    """
    if receipt is not None:
        refuse_unwritable(receipt)
    s.store.vault.require()
    if dry_run:
        found = _find(s, ids, purge=purge)
        own = redactions.rows_of(s.store, found.users if purge else [])["seq"]
        words = lost_words.unused(s.store, own) if own.len() else []
        return _counted(s, found, purge=purge) | {"words": len(words), "dry_run": True}
    progress("forgetting", None)
    with s.store.transaction(actor=s.actor, source="erase") as tx:
        # Only now: an import before this one had the store may have brought more of them.
        found = _find(s, ids, purge=purge)
        told = _counted(s, found, purge=purge)
        if purge and found.listed:
            # Their number is not known here any more, but an older backup may still name them.
            Erasures(s.store).record([*found.listed, *_mentions(found.listed)], PURGED, tx.recorded_at)
        if told["persons"]:
            # First the list: killed after it, nobody comes back who was asked to go.
            numbers = forgetting.traces(s.store, found.nameless) if found.nameless else {}
            state = PURGED if purge else ERASED
            on_list = [*found.ids, *_mentions(found.ids)]
            Erasures(s.store).record(on_list, state, tx.recorded_at, numbers=list(numbers.values()))
            told["quarantined"] = mentions.remove(s.store.path, found.ids)
            aside = forget_aside(s.store, found.ids, purge=purge, numbers=numbers)
            told["removed"] = [str(path) for path in aside]
            done = forgetting.forget(tx, found.users, purge=purge, persons=found.count)
            told |= {"purged": done.purged, "words": done.words, "seq": done.seq}
    # Ending a transaction wipes what an erasure before this one had to leave to a reader.
    told["pending"] = forgetting.to_wipe(s.store)
    if receipt is not None:
        about = {"store": str(s.store.path), "at": s.iso(s.wall())}
        proof = {"chain_digest": s.store.chain_digest().hex()}
        write_text(json.dumps(about | told | proof, indent=2) + "\n", receipt)
    return told


def lift(s: Session, ids: Sequence[str]) -> dict[str, Any]:
    """Takes persons off the list of the erased: the next import takes their rows, under a new number.

    Returns persons and seq. Raises OperationError when any of them is not on it; then nobody is taken off.
    """
    s.store.vault.require()
    wanted = _cleaned(ids)
    with s.store.transaction(actor=s.actor, source="erase --lift") as tx:
        erasures = Erasures(s.store)
        states = erasures.states([each for line in wanted for each in _spellings(line)])
        on_list = {line: [each for each in _spellings(line) if each in states] for line in wanted}
        strangers = {line for line, held in on_list.items() if not held}
        _refuse_unknown(s, ids, strangers, "who was erased from")
        lifted = [each for held in on_list.values() for each in held]
        erasures.record([*lifted, *_mentions(lifted)], LIFTED, tx.recorded_at)
        seq = tx.append_decision("erasure_lifted", {"persons": len(wanted)})
    return {"persons": len(wanted), "seq": seq}


def _find(s: Session, ids: Sequence[str], *, purge: bool) -> _Persons:
    """Who is meant; raises OperationError when the store has no trace of somebody."""
    vault, found = s.store.vault, _Persons()
    wanted = {line: _spellings(line) for line in _cleaned(ids)}
    known, numbers = s.named([each for spellings in wanted.values() for each in spellings])
    gone, entered, there = set(forgetting.erased(s.store)), set(known.values()), {}
    for line, spellings in wanted.items():
        user = next((known[each] for each in spellings if each in known), numbers.get(line))
        if user is not None and (user in gone or user in entered or next(vault.entries([user]), None)):
            there[line] = user
    _refuse_ambiguous(s, ids, there, numbers)
    rest = {line: spellings for line, spellings in wanted.items() if line not in there}
    strangers = [each for spelled in rest.values() for each in spelled]
    quarantined, _ = mentions.mentioned(s.store.path, strangers)
    erased = Erasures(s.store).states(strangers)
    for line, spellings in list(rest.items()):
        if any(mentions.as_named(each) in quarantined for each in spellings):
            found.count += 1
            found.ids += spellings
        elif any(each in erased for each in spellings):
            found.already += 1
            found.listed += [each for each in spellings if each in erased]
        else:
            continue
        del rest[line]
    _refuse_unknown(s, ids, set(rest), "known in")
    # What an erased person did can still be purged, by number; nothing else of theirs is left.
    found.already += 0 if purge else len(gone.intersection(there.values()))
    spared = set() if purge else gone
    found.users = _aliases(s, set(there.values()) - spared, spared, found)
    found.nameless = [user for user in found.users if user in gone]
    found.ids += sorted({text for _, _, text in vault.entries(found.users)})
    return found


def _aliases(s: Session, users: set[int], gone: set[int], found: _Persons) -> list[int]:
    """Every number, those `gone` left out, of the persons behind some of them; counts the persons.

    Aliases that hold today tell who is one person: an id that was taken back from somebody is another's.
    """
    canonical = dict(identity_at(carried.links(s.store)).iter_rows())
    persons = {canonical.get(user, user) for user in users}
    found.count += len(persons)
    numbers = persons | {user for user, person in canonical.items() if person in persons}
    return sorted(numbers - gone)


def _cleaned(ids: Sequence[str]) -> list[str]:
    wanted = list(dict.fromkeys(line for line in (each.strip() for each in ids) if line))
    if not wanted:
        raise OperationError("Nobody to forget: name a user, or give ids with --stdin, one a line.")
    return wanted


def _spellings(line: str) -> list[str]:
    """How the person may be known: as written, and e-mails in lower case; not at all by what is no text."""
    if not is_text(line):
        return []
    return list(dict.fromkeys([line, line.lower()] if "@" in line else [line]))


def _mentions(ids: Sequence[str]) -> list[str]:
    """How the ids may be named where they are not looked up as they are."""
    return sorted({mention(mentions.as_named(each)) for each in ids})


def _refuse_ambiguous(s: Session, ids: Sequence[str], there: dict[str, int], numbers: dict[str, int]) -> None:
    """Refuses a `#12` that is somebody's number and another's id, in the store, its list or quarantine."""
    asked = [line for line in there if line in numbers]
    left = Erasures(s.store).states(asked).keys() | mentions.mentioned(s.store.path, asked)[0]
    both = {line for line in asked if there[line] != numbers[line] or line in left}
    lines = [str(number) for number, each in enumerate(ids, 1) if each.strip() in both]
    if lines:
        who = f"Line {lines[0]}" if len(ids) > 1 else "This"
        raise OperationError(
            f"{who} is both a user's number and somebody else's id in {s.store.path}: nothing was done, "
            "name each by number, with a 0 before its digits."
        )


def _refuse_unknown(s: Session, ids: Sequence[str], unknown: set[str], where: str) -> None:
    """Names lines, never what stands in them."""
    lines = [str(number) for number, each in enumerate(ids, 1) if each.strip() in unknown]
    if not lines:
        return
    who = "This is nobody"
    if len(ids) > 1:
        shown = ", ".join(lines[:10]) + (", …" if len(lines) > 10 else "")
        who = f"Line {shown} names nobody" if len(lines) == 1 else f"Lines {shown} name nobody"
    raise OperationError(f"{who} {where} {s.store.path}: nothing was done, check the id.")


def _counted(s: Session, found: _Persons, *, purge: bool) -> dict[str, Any]:
    """What there is to forget."""
    events = lookups.count_events(s.store, found.users)
    return {
        "persons": found.count,
        "identities": sum(1 for _ in s.store.vault.entries(found.users)),
        "events": events,
        "purged": events if purge else 0,
        "words": 0,
        "seq": None,
        "models": _trained_on(s, found.users),
        "quarantined": mentions.mentioned(s.store.path, found.ids)[1],
        "exports": sum(bool(each.body["identified"]) for each in log.decisions(s.store, kinds=("exported",))),
        "removed": [],
        "already": found.already,
        "pending": False,
    }


def _trained_on(s: Session, users: Sequence[int]) -> list[str]:
    """The names of the models that learnt from events of any of the users."""
    names = []
    for body in definitions(s).models.values():
        before = s.instant(body["cutoff"]) if body.get("cutoff") else None
        if lookups.count_events(s.store, users, position=body.get("position"), before=before):
            names.append(body["name"])
    return names
