"""Where records are kept: the protocols in `base`, one package for each engine, and `open_stores` to choose one."""

from core.stores.base import Page, Stores
from core.stores.opening import open_stores
from core.stores.outbox import Delivery

__all__ = ["Delivery", "Page", "Stores", "open_stores"]
