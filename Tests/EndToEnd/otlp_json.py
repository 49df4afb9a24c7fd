"""OTLP/JSON out of protobuf, by the official messages: what an exporter that speaks JSON would have sent."""

import base64
import json

from google.protobuf.json_format import MessageToDict

IDS = {"traceId", "spanId", "parentSpanId"}


def _hexadecimal(value):
    if isinstance(value, dict):
        return {key: base64.b64decode(inner).hex() if key in IDS else _hexadecimal(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_hexadecimal(inner) for inner in value]
    return value


def from_message(message):
    """The request as a dictionary: hexadecimal ids, integers for enumerations, 64-bit integers as strings."""
    return _hexadecimal(MessageToDict(message, use_integers_for_enums=True))


def encode(message):
    return json.dumps(from_message(message), ensure_ascii=False).encode()
