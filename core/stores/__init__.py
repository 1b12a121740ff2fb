"""Where records are kept: the protocols in `base`, one package for each engine, and `open_stores` to choose one."""

from core.stores.base import Page, Stores
from core.stores.deliveries import Delivery
from core.stores.opening import open_stores

__all__ = ["Delivery", "Page", "Stores", "open_stores"]
