"""What can go wrong with a store, each told in one sentence.

StoreError
├── StoreMissing      no file there
├── StoreExists       a file is already there
├── NotAStore         a file of another kind
├── StoreTooNew       written by a newer version
├── StoreLocked       another process holds the writer's lock
├── StoreDamaged      SQLite cannot read it
├── StoreFull         no space left, or the folder is read-only
├── KeyMissing        the vault's key is not to be found
└── KeyWrong          the key found does not fit this store
"""


class StoreError(Exception):
    """Base of every store error; its text is one sentence for the person at the keyboard."""


class StoreMissing(StoreError):
    """There is no store at the path."""


class StoreExists(StoreError):
    """There is already a file at the path where a store should be created."""


class NotAStore(StoreError):
    """The file is not a segtui store."""


class StoreTooNew(StoreError):
    """The store was written by a newer version of segtui."""


class StoreLocked(StoreError):
    """Another process is writing to the store."""


class StoreDamaged(StoreError):
    """SQLite reports the file as damaged."""


class StoreFull(StoreError):
    """The disk is full or the folder cannot be written to."""


class KeyMissing(StoreError):
    """The vault's key is needed and cannot be found."""


class KeyWrong(StoreError):
    """The key found is not the one this store was made with."""
