"""manifest.yml: what Slack would refuse, and whether it says what the code does, no more and no less.

Invariant: a command, shortcut, event or scope that is in only one of the manifest, bot/slack/app_surface.py, the
code and the docs fails.
"""

from __future__ import annotations

import ast
import copy
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jsonschema
import pytest
from ruamel.yaml import YAML
from slack_sdk import WebClient

from bot.slack import app_surface

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT: Final = Path(__file__).parents[3]
LISTENER_KINDS: Final = {
    "command": app_surface.COMMANDS,
    "shortcut": app_surface.SHORTCUTS,
    "event": frozenset(app_surface.EVENTS),
}
API_METHODS: Final = {
    name for name, value in vars(WebClient).items() if callable(value) and "_" in name and not name.startswith("_")
} - {"api_call"}


def part(required: tuple[str, ...] = (), **properties: object) -> dict[str, object]:
    """An object of the manifest. Slack refuses keys that it does not know."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": properties,
    }


def text(least: int, most: int, pattern: str = "") -> dict[str, object]:
    return {"type": "string", "minLength": least, "maxLength": most, "pattern": pattern}


def some(item: dict[str, object], least: int, most: int) -> dict[str, object]:
    return {"type": "array", "items": item, "minItems": least, "maxItems": most, "uniqueItems": True}


FLAG: Final[dict[str, object]] = {"type": "boolean"}
NAME: Final = text(1, 50)
# The limits of https://github.com/slackapi/manifest-schema, version 1, for the parts that Countersign has.
SLACKS_LIMITS: Final = part(
    ("display_information",),
    _metadata=part(major_version={"const": 1}, minor_version={"type": "integer"}),
    display_information=part(
        ("name",),
        name=text(1, 35),
        description=text(1, 140),
        background_color=text(4, 7, "^#[0-9a-fA-F]{3}([0-9a-fA-F]{3})?$"),
        long_description=text(175, 4000),
    ),
    features=part(
        app_home=part(home_tab_enabled=FLAG, messages_tab_enabled=FLAG, messages_tab_read_only_enabled=FLAG),
        bot_user=part(("display_name",), display_name=text(1, 80), always_online=FLAG),
        shortcuts=some(
            part(
                ("name", "type", "callback_id", "description"),
                name=text(1, 24),
                type={"enum": ["message", "global"]},
                callback_id=text(1, 255),
                description=text(1, 150),
            ),
            1,
            10,
        ),
        slash_commands=some(
            part(
                ("command", "description"),
                command=text(2, 32, "^/"),
                url=text(1, 3000, "^https?://"),
                description=text(1, 2000),
                usage_hint=text(1, 1000),
                should_escape=FLAG,
            ),
            1,
            50,
        ),
    ),
    oauth_config=part(scopes=part(bot=some(NAME, 0, 255))),
    settings=part(
        event_subscriptions=part(request_url=text(1, 3500, "^https?://"), bot_events=some(NAME, 0, 100)),
        interactivity=part(
            ("is_enabled",),
            is_enabled=FLAG,
            request_url=text(1, 3500, "^https?://"),
            message_menu_options_url=text(1, 3500, "^https?://"),
        ),
        org_deploy_enabled=FLAG,
        socket_mode_enabled=FLAG,
        token_rotation_enabled=FLAG,
    ),
)


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    read: dict[str, Any] = YAML(typ="safe").load(ROOT / "manifest.yml")
    return read


# What Slack would say ------------------------------------------------------------------------------------------------


def test_slack_takes_the_manifest(manifest: dict[str, Any]) -> None:
    jsonschema.Draft7Validator(SLACKS_LIMITS).validate(manifest)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda m: m.update(surprise=1),
        lambda m: m["display_information"].update(name="x" * 36),
        lambda m: m["display_information"].update(description="x" * 141),
        lambda m: m["display_information"].update(long_description="x" * 174),
        lambda m: m["display_information"].update(background_color="#12"),
        lambda m: m["features"]["shortcuts"][0].update(name="x" * 25),
        lambda m: m["features"]["shortcuts"][0].pop("description"),
        lambda m: m["features"]["slash_commands"][0].update(command="access"),
        lambda m: m["features"]["slash_commands"][0].update(usage_hint="x" * 1001),
        lambda m: m["features"]["slash_commands"].append(m["features"]["slash_commands"][0]),
        lambda m: m["settings"]["interactivity"].pop("is_enabled"),
        lambda m: m["settings"].update(socket_mode_enabled="yes"),
    ],
)
def test_manifest_check_finds_what_slack_refuses(
    manifest: dict[str, Any], spoil: Callable[[dict[str, Any]], object]
) -> None:
    spoiled = copy.deepcopy(manifest)
    spoil(spoiled)

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(SLACKS_LIMITS).validate(spoiled)


def test_manifest_has_socket_mode_buttons_and_a_home_tab(manifest: dict[str, Any]) -> None:
    settings, home = manifest["settings"], manifest["features"]["app_home"]

    assert settings["socket_mode_enabled"]
    assert settings["interactivity"]["is_enabled"]
    assert settings["token_rotation_enabled"] is False
    assert home["home_tab_enabled"]
    # Slack refuses direct messages to people while the Messages tab is off.
    assert home["messages_tab_enabled"]


def test_mentions_in_commands_arrive_as_ids(manifest: dict[str, Any]) -> None:
    assert all(command["should_escape"] for command in manifest["features"]["slash_commands"])


# The manifest says what bot/slack/app_surface.py says ---------------------------------------------------------


def test_commands_shortcuts_and_events_are_those_of_the_surface(manifest: dict[str, Any]) -> None:
    features = manifest["features"]

    assert {each["command"] for each in features["slash_commands"]} == app_surface.COMMANDS
    assert {each["callback_id"] for each in features["shortcuts"]} == app_surface.SHORTCUTS
    assert set(manifest["settings"]["event_subscriptions"]["bot_events"]) == set(app_surface.EVENTS)


def test_scopes_are_those_that_the_surface_asks_for(manifest: dict[str, Any]) -> None:
    assert set(manifest["oauth_config"]["scopes"]["bot"]) == app_surface.SCOPES


def test_docs_give_the_reason_for_each_scope_and_event(manifest: dict[str, Any]) -> None:
    docs = (ROOT / "docs" / "slack.md").read_text(encoding="utf-8")
    listed = [line.split("|")[1].strip(" `") for line in docs.splitlines() if line.startswith("| `")]
    scopes = manifest["oauth_config"]["scopes"]["bot"]
    events = manifest["settings"]["event_subscriptions"]["bot_events"]

    assert {each for each in listed if not each.isupper()} == {*scopes, *events}


# The surface says what the code does ---------------------------------------------------------------------------------


def test_every_method_that_is_called_is_of_the_surface() -> None:
    """A missing method gets its scope in bot/slack/app_surface.py, manifest.yml and docs/slack.md, or is not called."""
    optional = app_surface.PICTURE_METHODS | app_surface.EMAIL_METHODS | app_surface.APP_METHODS
    assert found_in_bot()[0] <= set(app_surface.METHODS) | optional


def test_every_method_of_the_surface_is_called() -> None:
    assert set(app_surface.METHODS) | app_surface.PICTURE_METHODS | app_surface.EMAIL_METHODS <= found_in_bot()[0]


@pytest.mark.parametrize("kind", LISTENER_KINDS)
def test_listeners_are_those_of_the_surface(kind: str) -> None:
    assert {name for each, name in found_in_bot()[1] if each == kind} == LISTENER_KINDS[kind]


def test_scan_sees_what_it_should() -> None:
    """Methods by attribute and by name, listeners by constant and by text; and nothing of another `.command()`."""
    tree = ast.parse(
        "client.users_info(user=1)\n"
        "self._call(client.chat_update)\n"
        "client.api_call('views.open')\n"
        "client.timeout\n"
        "app.command('/access')(f)\n"
        "app.event(app_surface.HOME_OPENED)(f)\n"
        "app.shortcut(REQUEST_ACCESS)(f)\n"
        "main.command('serve')\n"
        "app.shortcut({'type': 'shortcut', 'callback_id': 'other'})\n"
    )

    assert set(methods_in(tree)) == {"users_info", "chat_update", "views_open"}
    assert set(listeners_in(tree)) == {
        ("command", "/access"),
        ("event", "app_home_opened"),
        ("shortcut", "request_access"),
        ("shortcut", "other"),
    }


@cache
def found_in_bot() -> tuple[frozenset[str], frozenset[tuple[str, str]]]:
    """The methods that bot/ calls, and the listeners that it registers. That takes long, so it is read once."""
    methods, listeners = set[str](), set[tuple[str, str]]()
    for path in sorted((ROOT / "bot").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        methods.update(methods_in(tree))
        listeners.update(listeners_in(tree))
    return frozenset(methods), frozenset(listeners)


def methods_in(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in API_METHODS:
            yield node.attr
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "api_call":
            yield constant(node.args[0]).replace(".", "_")


def listeners_in(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
            continue
        kind, name = node.func.attr.removeprefix("global_"), constant(node.args[0])
        # click's commands are no slash commands.
        if kind in LISTENER_KINDS and name and (kind != "command" or name.startswith("/")):
            yield kind, name


def constant(node: ast.expr) -> str:
    """The text that an argument stands for: written out, a constant of the surface, or a dict's callback_id; or ""."""
    match node:
        case ast.Constant(value=str(value)):
            return value
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return str(getattr(app_surface, name, ""))
        case ast.Dict(keys=keys, values=values):
            named = {constant(key): value for key, value in zip(keys, values, strict=True) if key is not None}
            return constant(named["callback_id"]) if "callback_id" in named else ""
        case _:
            return ""
