"""The page's files: whole, its own but for one library that is known byte for byte, and free of any other address."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

import playground.page

WEB = Path(playground.page.__file__).with_name("web")
FILES = sorted(
    path for path in WEB.rglob("*") if path.suffix in {".js", ".css", ".html"} and path.parent.name != "vendor"
)
LONGEST_MODULE = 300


def test_the_library_is_the_published_one_byte_for_byte() -> None:
    (library,) = (WEB / "vendor").glob("*.js")
    # htm 3.1.1, preact/standalone.module.js of the package, which holds htm (Apache-2.0) and Preact (MIT).
    known = "72284e8e9079c87817145df1110f74e8a2aa040b2fc384922e18dfcb46fc1fd7"
    assert hashlib.sha256(library.read_bytes()).hexdigest() == known
    assert {path.name for path in (WEB / "vendor").glob("LICENSE*")} == {"LICENSE-htm.txt", "LICENSE-preact.txt"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_loads_nothing_but_files_that_are_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = re.findall(r'from "([^"]+)"|(?:src|href)="([^"$]+)"|@import|url\(', text)
    for target in filter(None, (first or second for first, second in named)):
        assert (path.parent / target).resolve().is_file(), target
    assert "@import" not in text
    assert "url(" not in text
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_module_is_short_enough_to_be_read(path: Path) -> None:
    if path.suffix == ".js":
        assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE
