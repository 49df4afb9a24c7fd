"""The ways into the server, so that one test can go through each of them."""

import gzip

import grpc
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

import otlp_json
from server import PROTOBUF

JSON = "application/json"
SERVICES = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
# How gRPC says what HTTP says.
GRPC_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT, 401: grpc.StatusCode.UNAUTHENTICATED, 403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.UNIMPLEMENTED, 413: grpc.StatusCode.RESOURCE_EXHAUSTED, 415: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
}


class Outcome:
    """What a door answered: the HTTP status, or what of it gRPC says; how many spans were rejected; the message with it."""

    def __init__(self, status, rejected=0, message="", retry_after=None):
        self.status = status
        self.rejected = rejected
        self.message = message
        self.retry_after = retry_after

    def __repr__(self):
        return f"<{self.status} rejected={self.rejected} {self.message!r}>"


class Protobuf:
    name = "protobuf"
    media_type = PROTOBUF

    def __init__(self, fusebox):
        self.fusebox = fusebox

    def body(self, batch):
        """The request whose protobuf form is `batch`, as this door takes it."""
        return batch

    def post(self, body, headers=None, path="/v1/traces", timeout=60):
        return self.fusebox.request("POST", path, body, {"Content-Type": self.media_type, **(headers or {})}, timeout)

    def read(self, answer):
        assert answer.headers["Content-Type"] == self.media_type, answer
        if answer.status == 200:
            response = self.response(answer.body)
            return Outcome(200, response.partial_success.rejected_spans, response.partial_success.error_message)
        status = self.status(answer.body)
        assert status.message and status.code, answer
        return Outcome(answer.status, message=status.message, retry_after=answer.headers["Retry-After"])

    def response(self, body):
        return ExportTraceServiceResponse.FromString(body)

    def status(self, body):
        return Status.FromString(body)

    def send(self, body, headers=None):
        return self.read(self.post(body, headers))

    def send_batch(self, batch, headers=None):
        return self.send(self.body(batch), headers)


class Json(Protobuf):
    name = "json"
    media_type = JSON

    def body(self, batch):
        return otlp_json.encode(ExportTraceServiceRequest.FromString(batch))

    def response(self, body):
        from google.protobuf import json_format
        return json_format.Parse(body, ExportTraceServiceResponse())

    def status(self, body):
        from google.protobuf import json_format
        return json_format.Parse(body, Status())


class Grpc:
    name = "grpc"

    def __init__(self, fusebox, port=None):
        options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port or fusebox.grpc_port}", options=options)

    def body(self, batch):
        return batch

    def call(self, body, metadata=(), path=SERVICES["traces"], compression=None, timeout=60):
        """The answer's bytes; raises grpc.RpcError."""
        return self.channel.unary_unary(path)(body, metadata=metadata, compression=compression, timeout=timeout)

    def send(self, body, headers=None, compression=None):
        metadata = [(name.lower(), value) for name, value in (headers or {}).items()]
        try:
            partial = ExportTraceServiceResponse.FromString(self.call(body, metadata, compression=compression)).partial_success
            return Outcome(200, partial.rejected_spans, partial.error_message)
        except grpc.RpcError as error:
            (status,) = [status for status, code in GRPC_CODES.items() if code == error.code() and status != 415] or [error.code()]
            return Outcome(status, message=error.details(), retry_after=retry_seconds(error))

    def send_batch(self, batch, headers=None):
        return self.send(batch, headers)

    def close(self):
        self.channel.close()


def retry_seconds(error):
    """The delay of the RetryInfo that an error carries, in seconds as text; `None` without one."""
    from google.rpc.error_details_pb2 import RetryInfo
    details = dict(error.trailing_metadata()).get("grpc-status-details-bin")
    if details is None:
        return None
    info = RetryInfo()
    (packed,) = Status.FromString(details).details
    assert packed.Unpack(info)
    return str(info.retry_delay.seconds)


def compressed(body):
    return gzip.compress(body)
