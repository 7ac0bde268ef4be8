"""The store: an append-only SQLite event log, its proof, its vault and its projections."""
