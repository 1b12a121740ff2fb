"""An example of a webhook target for Countersign: gives and takes rights in a system of your own.

Replace `System` with calls to your system; docs/targets.md has recipes. Only Python's standard library is needed:

    export WEBHOOK_SECRET=whsec_...   # the same as in Countersign
    python3 receiver.py 8080 rights.json

Put TLS in front of it. It answers an order only when what was ordered is done, or was done before.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MAX_BODY_BYTES = 65_536
MAX_AGE_SECONDS = 300
RIGHT = ("target", "resource", "level", "principal")


class Refused(Exception):
    """Raise it from `System` when your system won't do it. The text is for the person who asked for access."""


class System:
    """Who holds what: here in a file. Each method may be called twice for the same thing."""

    def __init__(self, path: str | None = None) -> None:
        self.path = Path(path) if path else None
        self.state: dict[str, dict[str, Any]] = (
            json.loads(self.path.read_text()) if path and Path(path).exists() else {}
        )

    def is_held(self, right: str) -> bool:
        """Whether the right is held now. Ask your system, not a note of your own."""
        return bool(self.state.get(right, {}).get("held"))

    def set(self, right: str, *, held: bool, **memory: Any) -> None:  # noqa: ANN401 - JSON
        """Give or take the right, and remember with it which order that was."""
        self.state[right] = {"held": held, **memory}
        if self.path:
            new = self.path.with_suffix(".new")
            new.write_text(json.dumps(self.state))
            new.replace(self.path)

    def recall(self, right: str) -> dict[str, Any]:
        """What was remembered of the last order for the right."""
        return self.state.get(right, {})


class Receiver:
    """Answers orders, one at a time: an order that is overtaken by a newer one does nothing."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.lock = threading.Lock()

    def answer(self, order: Any) -> tuple[int, dict[str, Any]]:  # noqa: ANN401 - JSON
        """The HTTP status and the JSON for one order."""
        right = order.get("right") if isinstance(order, dict) else None
        is_whole = isinstance(right, dict) and all(isinstance(right.get(part), str) for part in RIGHT)
        if not is_whole or not isinstance(order.get("id"), str):
            return 400, {"state": "refused", "reason": "the order has no id or no right"}
        name = json.dumps([right[part] for part in RIGHT])
        with self.lock:
            try:
                if order.get("op") == "inspect":
                    return 200, {"state": "held" if self.system.is_held(name) else "absent"}
                return self.change(order, name)
            except Refused as refused:
                return 422, {"state": "refused", "reason": str(refused)}

    def change(self, order: dict[str, Any], name: str) -> tuple[int, dict[str, Any]]:
        """Give or take, unless a newer order was here before."""
        generation = order.get("generation")
        if order.get("op") not in {"give", "take"} or not isinstance(generation, int):
            return 400, {"state": "refused", "reason": "the order is neither give, take nor inspect"}
        last = self.system.recall(name)
        if generation < last.get("generation", generation):
            return 409, {"state": "superseded"}
        # An order that comes again, because its answer was lost, gets the same answer again.
        stood_before = last["stood_before"] if last.get("id") == order["id"] else self.system.is_held(name)
        wanted = order["op"] == "give"
        self.system.set(name, held=wanted, generation=generation, id=order["id"], stood_before=stood_before)
        return 200, {"state": "held", "stood_before": stood_before} if wanted else {"state": "absent"}


def is_signed(secret: str, headers: Any, body: bytes, now: float) -> bool:  # noqa: ANN401 - like a dict
    """Whether Countersign sent this, lately. As https://www.standardwebhooks.com describes."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    message_id, sent_at = headers.get("webhook-id") or "", headers.get("webhook-timestamp") or ""
    if not sent_at.isdecimal() or abs(now - int(sent_at)) > MAX_AGE_SECONDS:
        return False
    expected = base64.b64encode(hmac.digest(key, f"{message_id}.{sent_at}.".encode() + body, hashlib.sha256))
    given = [each.partition(",")[2] for each in (headers.get("webhook-signature") or "").split() if each[:3] == "v1,"]
    return any(hmac.compare_digest(expected, each.encode()) for each in given)


def make_handler(receiver: Receiver, secret: str) -> type[BaseHTTPRequestHandler]:
    """A request handler for `http.server`, which answers only what Countersign signed."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_POST(self) -> None:
            length = self.headers.get("content-length") or ""
            if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
                return self.reply(413, {"state": "refused", "reason": "the order is too long"})
            body = self.rfile.read(int(length))
            if not is_signed(secret, self.headers, body, time.time()):
                return self.reply(401, {"state": "refused", "reason": "the signature is wrong or too old"})
            try:
                order = json.loads(body)
            except ValueError:
                order = None
            if not isinstance(order, dict) or order.get("id") != self.headers.get("webhook-id"):
                return self.reply(400, {"state": "refused", "reason": "the order isn't the one that was signed"})
            return self.reply(*receiver.answer(order))

        def reply(self, status: int, answer: dict[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log your own lines: an access log would be the only thing here that isn't JSON."""

    return Handler


def handle_invoke(event: Any, receiver: Receiver) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """The same for a Lambda function: IAM says who may invoke it, so there is no signature."""
    return receiver.answer(event)[1]


if __name__ == "__main__":
    port, state_file = int(sys.argv[1]), sys.argv[2]
    handler = make_handler(Receiver(System(state_file)), os.environ["WEBHOOK_SECRET"])
    ThreadingHTTPServer(("127.0.0.1", port), handler).serve_forever()
