"""The README's example is code that runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import localslack

_README = Path(localslack.__file__).with_name("README.md")


def test_example_in_the_readme_passes(capfd: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", _README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(example, str(_README), "exec"), names)  # noqa: S102  Our own file.

    (test,) = [value for name, value in names.items() if name.startswith("test_")]
    assert callable(test)
    test()

    assert "Traceback" not in capfd.readouterr().err
