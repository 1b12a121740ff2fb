"""SNS: what arrives in a queue behind the topic, and the result of each AWS error."""

from __future__ import annotations

import json
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from bot.notifications.sns_sink import SnsSink, open_client
from bot.slack.retry_after import FIX_PAUSE
from core.audit.keyring import AuditKeyring
from core.audit.trail import REFUSALS_KIND, AuditAction, AuditEntry, seal
from core.clock import new_id
from core.errors import DeliveryFailed
from tests.builders import PROD, REQUESTER, a_draft, a_refusal
from tests.harness.aws import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOPIC = f"arn:aws:sns:{REGION}:123456789012:countersign"


def _entry(seq: int = 1) -> AuditEntry:
    draft = a_draft(profile=PROD, details={"justification": "Deploy the fix 😀"})
    return seal(draft, AuditKeyring(), chain="REQUEST#0123456789abcdef", seq=seq, previous="", at=A_MOMENT)


def _client(service: Any, url: str | None) -> Any:  # noqa: ANN401  boto3's clients
    session = boto3.session.Session(
        aws_access_key_id=ACCESS_KEY_ID, aws_secret_access_key=SECRET_ACCESS_KEY, region_name=REGION
    )
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30)
    return session.client(service, endpoint_url=url, config=config)


@pytest.fixture
def clients(moto_url: str) -> Iterator[Callable[[str], Any]]:
    with ExitStack() as stack:
        yield lambda service: stack.enter_context(closing(_client(service, moto_url)))


def _subscribed(clients: Callable[[str], Any], name: str, **attributes: str) -> tuple[str, str, Any, Any]:
    """A topic with a queue behind it: its ARN, the queue's address, and both clients."""
    sns, sqs = clients("sns"), clients("sqs")
    topic = sns.create_topic(Name=name, Attributes=attributes)["TopicArn"]
    queue = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return topic, queue, sns, sqs


def _arrived(sqs: Any, queue: str) -> list[dict[str, Any]]:  # noqa: ANN401
    messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"]) for message in messages]


def test_entry_arrives_with_what_subscriptions_filter_by(clients: Callable[[str], Any]) -> None:
    topic, queue, sns, sqs = _subscribed(clients, f"t-{new_id()}")
    entry = _entry()
    SnsSink(topic, sns).deliver(entry)
    (arrived,) = _arrived(sqs, queue)
    assert json.loads(arrived["Message"]) == {
        "type": "request_submitted",
        "timestamp": "2026-01-15T03:53:45.120000Z",
        "data": entry.to_item(),
    }
    assert {name: each["Value"] for name, each in arrived["MessageAttributes"].items()} == {
        "event": "request_submitted",
        "profile": PROD,
    }


def test_fifo_topic_keeps_a_records_order_and_gets_an_entry_once(clients: Callable[[str], Any]) -> None:
    topic, queue, sns, sqs = _subscribed(clients, f"t-{new_id()}.fifo", FifoTopic="true", FifoQueue="true")
    sink, entries = SnsSink(topic, sns), [_entry(seq) for seq in (1, 2, 3)]
    with Stubber(sns) as stubber:
        expected = {
            "TopicArn": topic,
            "Message": _message(entries[0]),
            "MessageAttributes": _attributes(entries[0]),
            "MessageGroupId": entries[0].chain,
            "MessageDeduplicationId": entries[0].id,
        }
        stubber.add_response("publish", {"MessageId": "1"}, expected)
        sink.deliver(entries[0])
    for entry in (*entries, entries[0]):
        sink.deliver(entry)
    assert [json.loads(each["Message"])["data"]["seq"] for each in _arrived(sqs, queue)] == [1, 2, 3]


def test_entry_without_a_profile_is_published_without_one(clients: Callable[[str], Any]) -> None:
    topic, queue, sns, sqs = _subscribed(clients, f"t-{new_id()}")
    draft = a_refusal(AuditAction.INVOKE_REFUSED, actor=REQUESTER)
    refused = seal(draft, AuditKeyring(), chain=f"{REFUSALS_KIND}#{new_id()}", seq=1, previous="", at=A_MOMENT)
    SnsSink(topic, sns).deliver(refused)
    assert set(_arrived(sqs, queue)[0]["MessageAttributes"]) == {"event"}


def test_topic_that_is_not_there_is_named_and_tried_again(clients: Callable[[str], Any]) -> None:
    with pytest.raises(DeliveryFailed, match=f"{TOPIC}: NotFound. Create the topic") as caught:
        SnsSink(TOPIC, clients("sns")).deliver(_entry())
    assert (caught.value.is_final, caught.value.retry_after) == (False, FIX_PAUSE)


@pytest.mark.parametrize(
    ("code", "status", "word", "is_final", "is_mendable"),
    [
        ("AuthorizationError", 403, "sns:Publish", False, True),
        ("InvalidClientTokenId", 403, "sns:Publish", False, True),
        ("SomethingNew", 403, "sns:Publish", False, True),
        ("KMSAccessDenied", 400, "KMS key", False, True),
        ("InvalidParameter", 400, "bug", True, False),
        ("Throttling", 400, "retried", False, False),
        ("KMSThrottling", 400, "retried", False, False),
        ("InternalError", 500, "retried", False, False),
        ("ServiceUnavailable", 503, "retried", False, False),
        ("SomethingNew", 400, "retried", False, False),
    ],
)
def test_each_error_of_aws_has_its_end(code: str, status: int, word: str, *, is_final: bool, is_mendable: bool) -> None:
    with closing(_client("sns", None)) as client, Stubber(client) as stubber:
        stubber.add_client_error("publish", code, http_status_code=status)
        with pytest.raises(DeliveryFailed, match=word) as caught:
            SnsSink(TOPIC, client).deliver(_entry())
    assert caught.value.is_final is is_final
    assert caught.value.retry_after == (FIX_PAUSE if is_mendable else None)
    assert code in caught.value.problem


def test_missing_answer_is_retried() -> None:
    with closing(_client("sns", "http://127.0.0.1:9")) as client, pytest.raises(DeliveryFailed) as caught:
        SnsSink(TOPIC, client).deliver(_entry())
    assert (caught.value.is_final, caught.value.retry_after) == (False, None)


@pytest.mark.usefixtures("aws_environment")
def test_client_is_of_the_topics_region_and_repeats_nothing() -> None:
    with closing(open_client("arn:aws:sns:ap-southeast-2:123456789012:countersign")) as client:
        assert client.meta.region_name == "ap-southeast-2"
        assert client.meta.config.retries["total_max_attempts"] == 1


@pytest.mark.usefixtures("aws_environment")
def test_missing_credentials_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with closing(open_client(TOPIC)) as client, pytest.raises(DeliveryFailed, match="no credentials") as caught:
        SnsSink(TOPIC, client).deliver(_entry())
    assert caught.value.retry_after == FIX_PAUSE


def _message(entry: AuditEntry) -> str:
    message = {"type": entry.event, "timestamp": entry.to_item()["at"], "data": entry.to_item()}
    return json.dumps(message, sort_keys=True, separators=(",", ":"))


def _attributes(entry: AuditEntry) -> dict[str, dict[str, str]]:
    named = {"event": str(entry.event), "profile": str(entry.profile)}
    return {name: {"DataType": "String", "StringValue": value} for name, value in named.items()}
