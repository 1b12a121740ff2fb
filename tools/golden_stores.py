"""`python -m tools.golden_stores VERSION`: keeps stores as this version writes them, for later ones to read.

Invariant: the same version gives the same bytes: its ids and waits come from a seed, and its clock stands still. The
story that is told is `tests/packaging/golden_story.py`; the key that sealed it opens nothing else.
"""

from __future__ import annotations

import json
import lzma
import os
import random
import secrets
import sqlite3
import sys
import tempfile
from base64 import urlsafe_b64encode
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from core.clock import format_time
from core.stores import open_stores
from core.stores.schema import TABLES
from tests.harness.aws import ENVIRONMENT, dynamodb_client
from tests.harness.clock import FrozenClock
from tests.harness.dynamodb_local import DynamoDbLocal, wait_until_ready
from tests.harness.tables import make_tables
from tests.packaging.golden_story import BEGIN, KEYRING, Story
from tools.keep_release import RELEASES

SQLITE: Final = "store.db.xz"
DYNAMODB: Final = "items.json.xz"
ABOUT: Final = "stores.json"
_PREFIX: Final = "golden"
_SEED: Final = 20


def keep_stores(version: str, into: Path) -> Path:
    """Tell the story to both engines, and keep what they hold in a folder of `into`."""
    folder = into / version
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        ends_at = _tell(f"sqlite:///{temporary}/store.db")
        kept = Path(temporary) / "kept.db"
        with closing(sqlite3.connect(f"{temporary}/store.db")) as connection:
            # One file without a log, and with nothing of what was there in between.
            connection.execute("VACUUM INTO ?", [str(kept)])
        (folder / SQLITE).write_bytes(_compress(kept.read_bytes()))
    with DynamoDbLocal() as server:
        wait_until_ready(server.url, server.log)
        with dynamodb_client(server.url) as client:
            make_tables(client, _PREFIX)
            ends_at_too = _tell(f"dynamodb://eu-west-1/{_PREFIX}?endpoint_url={server.url}")
            items = {table.suffix: read_items(client, table.name(_PREFIX)) for table in TABLES}
        (folder / DYNAMODB).write_bytes(_compress(json.dumps(items, sort_keys=True).encode()))
    about = {"version": version, SQLITE: ends_at, DYNAMODB: ends_at_too}
    (folder / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return folder


def read_items(client: Any, table: str) -> list[Any]:  # noqa: ANN401 - a client of boto3
    """Every item of a table, in an order that doesn't depend on the engine."""
    pages = client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    items = [item for page in pages for item in page["Items"]]
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True, default=sorted))


def _tell(url: str) -> str:
    """Tell the story to these stores; when it ended."""
    clock = FrozenClock(BEGIN)
    _make_repeatable()
    with closing(open_stores(url, keyring=KEYRING, clock=clock)) as stores:
        Story(stores, clock).tell()
    return format_time(clock.now())


def _make_repeatable() -> None:
    """From now on, this process's ids, secrets and waits are the same in each run."""
    source = random.Random(_SEED)  # noqa: S311 - that is what it is for
    random.seed(_SEED)
    secrets.token_bytes = lambda nbytes=None: source.randbytes(nbytes or 32)
    secrets.token_hex = lambda nbytes=None: source.randbytes(nbytes or 32).hex()
    secrets.token_urlsafe = lambda nbytes=None: urlsafe_b64encode(source.randbytes(nbytes or 32)).rstrip(b"=").decode()
    secrets.choice = source.choice


def _compress(content: bytes) -> bytes:
    return lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)


if __name__ == "__main__":
    os.environ.update(ENVIRONMENT)
    print(keep_stores(sys.argv[1], RELEASES))  # noqa: T201 - where it is
