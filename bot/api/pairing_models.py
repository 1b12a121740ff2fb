"""What the HTTP API takes and gives about pairing and devices.

Invariant: no model shows a secret in its repr.
"""

from __future__ import annotations

from pydantic import Field, SecretStr

from bot.api.bodies import GivenSecret, Moment, RequestBody, ResponseBody


class NewPairing(RequestBody):
    """A terminal asks to be paired. `service` pairs it with a service of the policy that the person owns."""

    name: str = Field(min_length=1, max_length=80, description="The host's name, as the person will see it.")
    agent: str = Field(min_length=1, max_length=120, description="The program, such as countersign/0.1 (linux).")
    service: str | None = Field(default=None, max_length=80)


class StartedPairingInfo(ResponseBody):
    """A pairing that waits to be confirmed in Slack, as RFC 8628 has it."""

    device_code: GivenSecret
    user_code: str
    confirm_with: str = Field(description="What the person types in Slack, such as /access pair WDJB-MJHT.")
    expires_in: int = Field(description="Seconds.")
    interval: int = Field(description="Ask for the token at most once in this many seconds.")


class TokenExchange(RequestBody):
    """The machine that started a pairing asks for its token."""

    device_code: SecretStr = Field(min_length=1, max_length=200)


class DeviceInfo(ResponseBody):
    """A paired terminal."""

    id: str
    name: str
    agent: str
    address: str
    service: str | None = None
    status: str
    created_at: Moment
    last_used_at: Moment | None = None
    expires_at: Moment
    is_this: bool = Field(default=False, description="Whether it is the device that asks.")


class IssuedToken(ResponseBody):
    """The token of a device. It is made now, given once, and stored nowhere but as a digest."""

    token: GivenSecret
    device: DeviceInfo


class DeviceList(ResponseBody):
    """The person's devices that are active, newest first."""

    devices: tuple[DeviceInfo, ...]
