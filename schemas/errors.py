"""Errors of reading and writing payments, as one tree.

    UndertenError
    ├── PaymentError        a payment, or the bytes that should have been one, is not valid
    │   └── UndecodableError    the bytes are not the format that they claim to be
    ├── SchemaError         a schema cannot be used
    │   ├── SchemaClash         ours contradicts what is registered
    │   ├── UnknownSchema       the registry does not know a writer's schema, or does not give it out
    │   └── UnusableSchema      a writer's schema makes no sense, or asks too much of a reader
    ├── RegistryUnavailable the schema registry did not answer
    ├── SettingsError       a setting does not make sense
    └── BrokerError         Kafka did not answer, or refused

What only one module can say stands there, in the same tree. Beside it are aiokafka's KafkaError and, under that,
`schemas.kafka.connect.Unreachable`. The text of each is for a person: it names what was wrong and, where one is known,
the way out.
"""

import msgspec

MAX_REASON = 200
"""Characters of a payment's fault: it stands in a header of a record, and in a person's log."""
DECODE_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""Errors by which msgspec refuses bytes; the last one is for what is nested deeper than the stack is."""


class UndertenError(Exception):
    """Root of the tree; never raised itself."""


def reason_of(error: BaseException) -> str:
    """An error in words: its text, or the name of its kind where it has none."""
    return str(error) or type(error).__name__


class PaymentError(UndertenError):
    """A payment is not valid. `field` names the field at fault; it is None where there is no single one."""

    def __init__(self, reason: str, field: str | None = None) -> None:
        self.reason = reason if len(reason) <= MAX_REASON else f"{reason[: MAX_REASON - 1]}…"
        super().__init__(f"{field}: {self.reason}" if field else self.reason)
        self.field = field


class UndecodableError(PaymentError):
    """The bytes are no payment in the format they claim: cut short, garbled, or of another message type."""


class SchemaError(UndertenError):
    """A schema cannot be used."""


class SchemaClash(SchemaError):
    """The registry refuses one of our schemas: it contradicts those that are registered under its subject."""


class UnknownSchema(SchemaError):
    """A schema that the registry does not know or does not give out, as yet."""


class UnusableSchema(SchemaError):
    """A writer's schema that makes no sense, or asks too much of a reader; it will never be another."""


class RegistryUnavailable(UndertenError):
    """The schema registry did not answer, or not sensibly; asking again later may help."""


class SettingsError(UndertenError):
    """A setting that does not make sense; the message names it."""


class BrokerError(UndertenError):
    """Kafka did not answer in time, or refused what it was asked."""
