"""A file is uploaded in three steps, and shown once it is whole."""

from __future__ import annotations

from http.client import HTTPConnection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from localslack.records import Channel
from localslack.server import LocalSlack

if TYPE_CHECKING:
    from collections.abc import Iterator

CHANNEL = "C0FILES"
PNG = b"\x89PNG\r\n\x1a\n and the rest"


@pytest.fixture
def slack() -> Iterator[LocalSlack]:
    with LocalSlack() as server:
        server.workspace.add(Channel(id=CHANNEL, name="files", members=(server.backend.app.bot_user,)))
        yield server


@pytest.fixture
def client(slack: LocalSlack) -> WebClient:
    return WebClient(slack.bot_token, base_url=slack.api_url)


def ask(url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    address = urlsplit(url)
    connection = HTTPConnection(address.hostname or "", address.port)
    connection.request(method, address.path, body)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def show(client: WebClient, file: str) -> None:
    picture = {"type": "image", "slack_file": {"id": file}, "alt_text": "a picture"}
    client.chat_postMessage(channel=CHANNEL, text="x", blocks=[picture])


def test_picture_is_shown_once_it_is_whole(slack: LocalSlack, client: WebClient) -> None:
    asked = client.files_getUploadURLExternal(filename="a.png", length=len(PNG))
    file, address = asked["file_id"], asked["upload_url"]
    with pytest.raises(SlackApiError, match="file_not_found"):
        client.files_completeUploadExternal(files=[{"id": file}])
    assert ask(address, "POST", PNG[:-1])[0] == 400
    assert ask(address, "POST", PNG)[0] == 200
    assert ask(address, "POST", PNG)[0] == 404
    with pytest.raises(SlackApiError, match="invalid slack file"):
        show(client, file)
    assert ask(f"{slack.url}/files/{file}")[0] == 404
    client.files_completeUploadExternal(files=[{"id": file, "title": "A"}])
    show(client, file)
    assert ask(f"{slack.url}/files/{file}") == (200, PNG)


def test_what_is_no_picture_is_not_shown(slack: LocalSlack, client: WebClient) -> None:
    asked = client.files_getUploadURLExternal(filename="a.html", length=8)
    ask(asked["upload_url"], "POST", b"<script>")
    client.files_completeUploadExternal(files=[{"id": asked["file_id"]}])
    with pytest.raises(SlackApiError, match="invalid slack file"):
        show(client, asked["file_id"])
    assert ask(f"{slack.url}/files/{asked['file_id']}")[0] == 404


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"filename": "a.png", "length": 0}, "invalid_arguments"),
        ({"filename": "a.png", "length": 9, "alt_txt": "x" * 1001}, "alt_txt_too_large"),
        ({"filename": "a.png", "length": 2 * 1024**3}, "file_upload_size_restricted"),
    ],
)
def test_bad_announcement_is_refused(client: WebClient, arguments: dict[str, object], error: str) -> None:
    with pytest.raises(SlackApiError, match=error):
        client.files_getUploadURLExternal(**arguments)  # type: ignore[arg-type]
