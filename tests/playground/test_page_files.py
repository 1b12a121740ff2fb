"""The page's files: whole, its own but for what is known byte for byte, and free of any other address."""

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


PUBLISHED = {
    # htm 3.1.1, preact/standalone.module.js of the package, which holds htm (Apache-2.0) and Preact (MIT).
    "htm-preact-3.1.1.js": "72284e8e9079c87817145df1110f74e8a2aa040b2fc384922e18dfcb46fc1fd7",
    # @fontsource-variable/inter 5.3.0 (OFL-1.1), two of its files: what English needs, and the rest of Latin.
    "inter-latin-wght-normal.woff2": "3100e775e8616cd2611beecfa23a4263d7037586789b43f035236a2e6fbd4c62",
    "inter-latin-ext-wght-normal.woff2": "34b9c504cab7a73e37b746343a449132e56cf7b5481af2cb81dc74dcff25c956",
}
LICENSES = {"LICENSE-htm.txt", "LICENSE-preact.txt", "LICENSE-inter.txt", "LICENSE-fluent-emoji.txt"}


def test_what_others_made_is_as_published_byte_for_byte() -> None:
    files = {path.name for path in (WEB / "vendor").iterdir() if path.is_file()}
    assert files == PUBLISHED.keys() | LICENSES
    for name, known in PUBLISHED.items():
        assert hashlib.sha256((WEB / "vendor" / name).read_bytes()).hexdigest() == known, name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_file_loads_nothing_but_files_that_are_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = re.findall(r'from "([^"]+)"|(?:src|href)="([^"$]+)"|url\("([^"]+)"\)', text)
    for target in ("".join(each) for each in named):
        assert (path.parent / target).resolve().is_file(), target
    assert "@import" not in text
    assert text.count("url(") == sum(1 for each in named if each[2])
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_module_is_short_enough_to_be_read(path: Path) -> None:
    if path.suffix == ".js":
        assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE
