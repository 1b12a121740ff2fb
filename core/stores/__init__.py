"""Where records are kept: the protocols in `base`, one package for each engine, and `open_stores` to choose one."""

from core.stores.base import Stores
from core.stores.opening import open_stores
from core.stores.outbox import Delivery
from core.stores.record_store import Page

__all__ = ["Delivery", "Page", "Stores", "open_stores"]
