"""A grpc-python client without generated code, for the scripts beside this file.

A script is told where the server is and what its messages look like:

    script.py -addr 127.0.0.1:50051 -descriptors FILE [-tls-ca FILE]

FILE holds a FileDescriptorSet. Each function of the script whose name begins with test_ is called with a Peer; what it
raises is a failure. The result of each is a line of JSON on standard output: {"test": name, "failure": text or null}.
"""

import argparse
import json
import sys
import traceback

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PATIENCE = 60  # seconds; bounds each call, and says nothing of how long one should take

OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
]


class Peer:
    """A channel to the server, and the classes of its messages."""

    def __init__(self, channel, pool):
        self.channel = channel
        self._pool = pool

    def message(self, full_name, /, **fields):
        """Returns a message of the type with this full name."""
        return self._class(full_name)(**fields)

    def _class(self, full_name):
        return message_factory.MessageFactory(self._pool).GetPrototype(self._pool.FindMessageTypeByName(full_name))

    def stub(self, cardinality, path, response):
        """Returns the callable for one method: cardinality is a Channel's method, response a type's full name."""
        return getattr(self.channel, cardinality)(
            path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=self._class(response).FromString,
        )


def want(have, expected):
    """Fails unless the two are equal."""
    if have != expected:
        raise AssertionError("have %.300r, want %.300r" % (have, expected))


def want_status(call, code, details):
    """Fails unless call(), or the iteration over what it returns, ends with this status. Returns the error."""
    try:
        result = call()
        if hasattr(result, "__next__"):
            list(result)
    except grpc.RpcError as error:
        want((error.code(), error.details()), (code, details))
        return error
    raise AssertionError("the call succeeded, want %s" % code)


def main(tests):
    """Runs the tests among these names of a script."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-addr", required=True)
    parser.add_argument("-descriptors", required=True)
    parser.add_argument("-tls-ca")
    arguments = parser.parse_args()
    with _channel(arguments) as channel:
        peer = Peer(channel, _pool(arguments.descriptors))
        for name, test in list(tests.items()):
            if name.startswith("test_"):
                _run(name, test, peer)


def _run(name, test, peer):
    failure = None
    try:
        test(peer)
    except Exception:
        failure = traceback.format_exc()
    print(json.dumps({"test": name, "failure": failure}), flush=True)


def _channel(arguments):
    if arguments.tls_ca is None:
        return grpc.insecure_channel(arguments.addr, options=OPTIONS)
    with open(arguments.tls_ca, "rb") as file:
        credentials = grpc.ssl_channel_credentials(root_certificates=file.read())
    return grpc.secure_channel(arguments.addr, credentials, options=OPTIONS)


def _pool(path):
    descriptors = descriptor_pb2.FileDescriptorSet()
    with open(path, "rb") as file:
        descriptors.ParseFromString(file.read())
    pool = descriptor_pool.DescriptorPool()
    for file in descriptors.file:
        pool.Add(file)
    return pool
