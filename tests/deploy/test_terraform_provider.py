"""The names in the Terraform module are those of the AWS provider: resources, arguments, and how blocks nest.

`aws_provider.json` is an extract of the provider's schema. Another resource in the module has to be added to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.terraform_files import EXAMPLE, TEXTS, parse

SCHEMA = json.loads(Path(__file__).with_name("aws_provider.json").read_text(encoding="utf-8"))
OF_TERRAFORM = {"for_each", "count", "depends_on", "lifecycle", "provider"}
FILES = {**TEXTS, "example/main.tf": EXAMPLE}


def problems(body: dict[str, Any], known: dict[str, Any], where: str) -> Iterator[str]:
    """What the provider would refuse in a block."""
    for each in set(known.get("required", ())) - set(body):
        yield f"{where}: {each} is missing"
    for name, value in static_and_dynamic(body):
        block = known.get("blocks", {}).get(name)
        if block is not None:
            for each in value:
                yield from problems(each, block, f"{where}.{name}")
        elif name not in known["arguments"]:
            yield f"{where}: {name} is not known"


def static_and_dynamic(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The arguments and blocks of a block, with those that `dynamic` makes."""
    yield from ((name, value) for name, value in body.items() if name != "dynamic")
    for each in body.get("dynamic", ()):
        for name, made in each.items():
            yield name, made["content"]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("kind", ["resource", "data"])
def test_names_are_those_of_the_provider(file: str, kind: str) -> None:
    found = [
        problem
        for each in parse(FILES[file]).get(kind, ())
        for type_, named in each.items()
        for name, body in named.items()
        for problem in problems(
            {key: value for key, value in body.items() if key not in OF_TERRAFORM},
            SCHEMA[kind][type_],
            f"{type_}.{name}",
        )
    ]
    assert found == []


def test_wrong_names_are_found() -> None:
    table = {
        "name": "x",
        "hash_kee": "id",
        "ttl": [{"attribute": "ttl"}],
        "dynamic": [{"attribute": {"content": [{}]}}],
    }

    assert sorted(problems(table, SCHEMA["resource"]["aws_dynamodb_table"], "table")) == [
        "table.attribute: name is missing",
        "table.attribute: type is missing",
        "table.ttl: attribute is not known",
        "table: hash_kee is not known",
    ]
