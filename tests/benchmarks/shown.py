"""How a benchmark's figures are printed: ours, the peer's and their ratio, as a table and as JSON."""

import json

from rich.console import Console
from rich.table import Table


def show(title, rows):
    """Prints rows of (what, ours, peer or None, unit): ratio = ours / peer."""
    table = Table(title=title)
    for name in ("what", "ours", "peer", "ratio", "unit"):
        table.add_column(name, justify="left" if name in ("what", "unit") else "right")
    told = []
    for what, ours, peer, unit in rows:
        ratio = None if not peer else ours / peer
        table.add_row(
            what,
            f"{ours:,.4g}",
            "-" if peer is None else f"{peer:,.4g}",
            f"{ratio:.3g}" if ratio else "-",
            unit,
        )
        told.append({"what": what, "ours": ours, "peer": peer, "ratio": ratio, "unit": unit})
    Console(width=110).print(table)
    print(json.dumps({"benchmark": title, "rows": told}))
