"""The methods files.*: upload a file in three steps, as files.upload v2 does; and where its bytes go to and come from.

Invariant: a file can be shown only when its bytes came, as many as were announced, and the upload was completed. The
address for the bytes is good for one file, once, and needs no token.
"""

from __future__ import annotations

import base64

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from localslack import limits
from localslack.api_method import ApiMethod
from localslack.api_request import ApiRequest
from localslack.backend import Backend
from localslack.rate_limits import TIER_4
from localslack.records import Json, UploadedFile
from localslack.refusals import SlackRefusal

_SIGNATURES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/gif": b"GIF8", "image/jpeg": b"\xff\xd8\xff"}


def _get_upload_url(backend: Backend, request: ApiRequest) -> Json:
    name, length = request.required("filename"), request.required("length")
    if not (length.isascii() and length.isdecimal()) or int(length) < 1:
        raise SlackRefusal("invalid_arguments", problems=["`length` must be a number above 0 [json-pointer:/length]"])
    if int(length) > limits.UPLOADED_BYTES:
        raise SlackRefusal("file_upload_size_restricted")
    if len(request.text("alt_txt") or "") > limits.UPLOADED_ALT_TEXT:
        raise SlackRefusal("alt_txt_too_large")
    file = UploadedFile(id=backend.workspace.new_id("F"), name=name, length=int(length))
    backend.files.keep(file)
    return {"upload_url": f"{backend.url}/upload/v1/{file.id}", "file_id": file.id}


def _complete_upload(backend: Backend, request: ApiRequest) -> Json:
    files = request.structure("files", "invalid_arguments")
    if not isinstance(files, list) or not files or not all(isinstance(each, dict) for each in files):
        raise SlackRefusal("invalid_arguments", problems=["`files` must be a list of objects [json-pointer:/files]"])
    completed = []
    for each in files:
        file = backend.files.find(str(each.get("id")))
        if file is None or file.content is None:
            raise SlackRefusal("file_not_found")
        completed.append(file.model_copy(update={"title": str(each.get("title") or file.name), "is_complete": True}))
    for file in completed:
        backend.files.keep(file)
    return {"files": [{"id": file.id, "title": file.title} for file in completed]}


class FileAddresses:
    """Where bytes are sent to, and where a browser gets a picture from."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def upload(self, request: Request) -> Response:
        """Take the bytes of a file, once."""
        content = await request.body()
        with self._backend.journal.lock:
            file = self._backend.files.find(request.path_params["file"])
            if file is None or file.content is not None:
                return PlainTextResponse("this address is used up", 404)
            if "authorization" in request.headers or len(content) != file.length:
                return PlainTextResponse("not what was announced", 400)
            kept = file.model_copy(update={"content": base64.b64encode(content).decode()})
            self._backend.files.keep(kept)
        return PlainTextResponse(f"OK - {len(content)}")

    async def show(self, request: Request) -> Response:
        """A completed picture."""
        file = self._backend.files.find(request.path_params["file"])
        if file is None or not file.is_complete:
            return PlainTextResponse("no such file", 404)
        content = base64.b64decode(file.content or "")
        kind = kind_of(content)
        if kind is None:
            return PlainTextResponse("no picture", 404)
        return Response(content, media_type=kind, headers={"X-Content-Type-Options": "nosniff"})


def check_pictures(backend: Backend, blocks: list[Json]) -> None:
    """Raises SlackRefusal invalid_blocks for a picture that isn't there, isn't one, or isn't processed yet."""
    for position, block in enumerate(blocks):
        if block["type"] != "image" or "slack_file" not in block:
            continue
        file = backend.files.find(str(block["slack_file"].get("id")))
        if file is None or not file.is_complete or kind_of(base64.b64decode(file.content or "")) is None:
            raise SlackRefusal(
                "invalid_blocks", problems=[f"invalid slack file [json-pointer:/blocks/{position}/slack_file]"]
            )


def kind_of(content: bytes) -> str | None:
    """The media type of a picture that Slack shows; None for everything else."""
    return next((kind for kind, begin in _SIGNATURES.items() if content.startswith(begin)), None)


FILE_METHODS = {
    "files.getUploadURLExternal": ApiMethod(_get_upload_url, ("files:write",), TIER_4),
    "files.completeUploadExternal": ApiMethod(_complete_upload, ("files:write",), TIER_4),
}
