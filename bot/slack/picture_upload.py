"""Upload a picture to Slack, to be shown in a message: ask for an address, send the bytes there, complete it.

Invariant: the bytes go to an address that Slack itself gave, without the token. A picture is for display, and a refusal
ends with its code, not with half a picture.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

from slack_sdk import WebClient

from bot.slack.client import NoRedirects
from bot.slack.payloads import get_str

_DONE: Final = 200
_MAX_READ: Final = 1_000


class PictureRefused(Exception):
    """The place that Slack named didn't take the bytes. Nothing was posted."""


def upload_picture(client: WebClient, name: str, title: str, alt: str, content: bytes) -> str:
    """The id of the uploaded file. Raises what slack_sdk raises, and PictureRefused."""
    asked = client.files_getUploadURLExternal(filename=name, length=len(content), alt_txt=alt[:1000])
    address, file_id = get_str(asked.data, "upload_url"), get_str(asked.data, "file_id")
    if address is None or file_id is None:
        raise PictureRefused("Slack named no address")
    _send(client, address, content)
    client.files_completeUploadExternal(files=[{"id": file_id, "title": title}])
    return file_id


def _send(client: WebClient, address: str, content: bytes) -> None:
    if urlsplit(address).scheme != urlsplit(client.base_url).scheme:
        raise PictureRefused("Slack named an address that isn't safe")
    proxies = [ProxyHandler({"http": client.proxy, "https": client.proxy})] if client.proxy else []
    opener = build_opener(NoRedirects, HTTPSHandler(context=client.ssl), *proxies)
    request = Request(address, data=content, method="POST", headers={"Content-Type": "application/octet-stream"})  # noqa: S310 - the scheme was checked
    try:
        with opener.open(request, timeout=client.timeout) as answer:
            answer.read(_MAX_READ)
            status = answer.status
    except OSError as error:
        # Of the error only its kind: its text may quote the address, which is as good as a password.
        raise PictureRefused(type(error).__name__) from error
    if status != _DONE:
        raise PictureRefused(f"HTTP {status}")
