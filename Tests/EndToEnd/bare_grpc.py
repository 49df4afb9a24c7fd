"""gRPC by hand over HTTP/2, for calls that no client library would make."""

import socket

import h2.config
import h2.connection
import h2.events

from doors import SERVICES


class BareGrpc:
    """One connection with one call."""

    def __init__(self, port, timeout=30):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.connection.initiate_connection()
        self._flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _flush(self):
        self.socket.sendall(self.connection.data_to_send())

    def begin(self, body, headers=None, path=SERVICES["traces"], ends=False):
        """Sends a call's head and `body` as it stands."""
        fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "localhost", "te": "trailers",
                  "content-type": "application/grpc", **(headers or {})}
        self.connection.send_headers(1, list(fields.items()))
        self.connection.send_data(1, body, end_stream=ends)
        self._flush()

    def call(self, body, headers=None, path=SERVICES["traces"], ends=True):
        """The status and the trailers of a call."""
        self.begin(body, headers, path, ends)
        while True:
            received = self.socket.recv(65536)
            assert received, "the connection ended without a status"
            for event in self.connection.receive_data(received):
                if isinstance(event, (h2.events.TrailersReceived, h2.events.ResponseReceived)):
                    fields = {name.decode() if isinstance(name, bytes) else name: value.decode() if isinstance(value, bytes) else value
                              for name, value in event.headers}
                    if "grpc-status" in fields:
                        return fields["grpc-status"], fields
                if isinstance(event, h2.events.DataReceived):
                    self.connection.acknowledge_received_data(event.flow_controlled_length, 1)
            self._flush()
