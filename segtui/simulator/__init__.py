"""A seeded shop: customers whose habits change, their visits, and the event files they leave behind.

The same seed gives the same bytes. Nothing here is real: the figures are chosen so that a shop of 5,000
customers and 400 days leaves about half a million events, a fifth to a third of the customers buy in a
quarter, and the past tells the future, but not surely.
"""

from segtui.simulator.shop import simulate
from segtui.simulator.writing import files, write_events

__all__ = ["files", "simulate", "write_events"]
