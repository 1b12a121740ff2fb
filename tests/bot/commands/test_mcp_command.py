"""`countersign mcp`: what an agent can do, and that it never gets a credential."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from mcp import Client, StdioServerParameters
from pydantic import SecretStr

from bot.api.models import ProfileInfo, ProfileList
from bot.api.problems import ProblemCode
from bot.commands.mcp import submit_once
from bot.terminal.client import ApiClient
from bot.terminal.mcp_server import POLL_AFTER_SECONDS, open_mcp_server
from core.access.grant_status import AccessPhase
from core.request_status import RequestStatus
from tests.bot.commands.terminal_runs import run, use_token
from tests.harness import api_answers as answers
from tests.harness.scripted_server import ScriptedServer, refusal

if TYPE_CHECKING:
    from pathlib import Path

    from mcp.types import CallToolResult

LOOK = f"GET /v1/requests/{answers.REQUEST_ID}"
ID = {"request_id": answers.REQUEST_ID}
ASK = {"profile": "prod", "duration": "30m", "why": "rotate the certificate"}
PROD = ProfileInfo(name="prod", max_duration_seconds=3600, required_approvals=1, has_access=True, has_credentials=True)


def call(server: ScriptedServer, tool: str, arguments: dict[str, str]) -> CallToolResult:
    """Call a tool through the protocol's own client."""
    opened = open_mcp_server(lambda: ApiClient(server.url, SecretStr(answers.TOKEN)), submit_once, "1")

    async def ask() -> CallToolResult:
        async with Client(opened) as client:
            return await client.call_tool(tool, dict(arguments))

    return asyncio.run(ask())


def found(result: CallToolResult) -> dict[str, object]:
    assert not result.is_error, result.content
    assert isinstance(result.structured_content, dict)
    return result.structured_content


@pytest.mark.usefixtures("home")
def test_an_agent_asks_and_is_told_when_to_look(server: ScriptedServer) -> None:
    server.expect("POST /v1/requests", answers.request())
    made = found(call(server, "request_access", ASK))
    assert (made["id"], made["status"]) == (answers.REQUEST_ID, "waiting")
    assert made["poll_after_seconds"] == POLL_AFTER_SECONDS
    sent = server.calls[0]
    assert sent.body == {"profile": "prod", "duration": "30m", "justification": "rotate the certificate"}
    assert sent.headers["Idempotency-Key"]


def test_an_agent_with_access_reads_how_to_use_it(server: ScriptedServer) -> None:
    server.expect(LOOK, answers.granted())
    looked = found(call(server, "get_request", ID))
    assert looked["status"] == "granted"
    assert looked["use"] == "Run commands with: countersign exec prod -- COMMAND. Never print credentials."
    assert looked["poll_after_seconds"] is None
    assert looked["access_ends_at"]


@pytest.mark.parametrize("phase", [AccessPhase.OPENING, AccessPhase.FAILED, AccessPhase.CLOSED])
def test_an_agent_without_access_reads_no_way_to_use_it(server: ScriptedServer, phase: AccessPhase) -> None:
    server.expect(LOOK, answers.granted(phase))
    looked = found(call(server, "get_request", ID))
    assert (looked["use"], looked["access_ends_at"]) == (None, None)


def test_an_agent_lists_profiles(server: ScriptedServer) -> None:
    server.expect("GET /v1/profiles", ProfileList(profiles=(PROD,)))
    assert found(call(server, "list_profiles", {}))["profiles"] == [
        {"name": "prod", "description": None, "max_duration_minutes": 60, "required_approvals": 1, "ticket": None}
    ]


def test_an_agent_ends_access_or_cancels(server: ScriptedServer) -> None:
    server.expect(LOOK, answers.granted())
    server.expect(f"POST /v1/requests/{answers.REQUEST_ID}/end", answers.granted(AccessPhase.CLOSED))
    assert found(call(server, "end_access", ID))["status"] == "ended"
    server.expect(LOOK, answers.request())
    server.expect(f"POST /v1/requests/{answers.REQUEST_ID}/cancel", answers.request(RequestStatus.CANCELLED))
    assert found(call(server, "end_access", ID))["status"] == "cancelled"


def test_an_agent_reads_why_it_was_refused(server: ScriptedServer) -> None:
    server.expect(
        LOOK, refusal(ProblemCode.NOT_ALLOWED, "This isn't allowed.", reasons=("services may ask for: vault",))
    )
    result = call(server, "get_request", ID)
    assert result.is_error
    assert "This isn't allowed. services may ask for: vault" in str(result.content)
    server.expect(LOOK, refusal(ProblemCode.PAIRING_EXPIRED, "Over."))
    assert "Run: countersign login" in str(call(server, "get_request", ID).content)


def test_an_agent_can_do_nothing_else(server: ScriptedServer) -> None:
    opened = open_mcp_server(lambda: ApiClient(server.url), submit_once, "1")

    async def ask() -> list[str]:
        async with Client(opened) as client:
            return [tool.name for tool in (await client.list_tools()).tools]

    assert sorted(asyncio.run(ask())) == ["end_access", "get_request", "list_profiles", "request_access"]


def test_an_agent_is_served_over_stdio(server: ScriptedServer, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del home
    use_token(server, monkeypatch)
    server.expect("GET /v1/profiles", ProfileList(profiles=(PROD,)))
    command = StdioServerParameters(command=sys.executable, args=["-m", "bot.cli", "mcp"], env=dict(os.environ))

    async def ask() -> CallToolResult:
        async with Client(command) as client:
            return await client.call_tool("list_profiles", {})

    assert answers.TOKEN not in asyncio.run(ask()).model_dump_json()


@pytest.mark.usefixtures("home")
def test_an_agent_that_is_not_paired_is_not_served() -> None:
    result = run("mcp")
    assert (result.exit_code, result.stdout) == (7, "")


def test_mcp_without_its_extra_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['mcp'] = None; from bot.cli import main; sys.argv = ['countersign', 'mcp']; main()"
    )
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "countersign: The extra for agents isn't installed. Install it with: pip install 'countersign[mcp]'"
    ]
