"""Serves helloworld.Greeter with grpc-python: the same messages and the same work as the other servers."""

import argparse
import concurrent.futures
import time

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SLOW_NAME, SLOW_TIME, ECHO = "slow", 0.010, "echo "


def message_classes():
    """Returns HelloRequest and HelloReply, as protoc would generate them."""
    file = descriptor_pb2.FileDescriptorProto(name="helloworld.proto", package="helloworld", syntax="proto3")
    for message, field in (("HelloRequest", "name"), ("HelloReply", "message")):
        file.message_type.add(name=message).field.add(
            name=field, number=1, type=descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
            label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return [factory.GetPrototype(pool.FindMessageTypeByName("helloworld." + name)) for name in ("HelloRequest", "HelloReply")]


REQUEST, REPLY = message_classes()


def say_hello(request, context=None):
    name = request.name
    if name == SLOW_NAME:
        time.sleep(SLOW_TIME)
    elif len(name) > 1024 and not name.startswith(ECHO):
        name = "%d octets" % len(name)
    return REPLY(message="Hello, " + name + "!")


def stream_reply(request, context):
    n, size = map(int, request.name.split(","))
    reply = REPLY(message="x" * size)
    for _ in range(n):
        yield reply


def collect_hellos(requests, context):
    names = octets = 0
    for request in requests:
        names += 1
        octets += len(request.name)
    return REPLY(message="Hello, %d names of %d octets!" % (names, octets))


def bidi_stream(requests, context):
    for request in requests:
        yield say_hello(request)


class Interceptor(grpc.ServerInterceptor):
    """Does what the interceptors of the other servers do: it looks at the method and the clock, and counts."""

    calls, spent, method = 0, 0.0, None

    def intercept_service(self, continuation, details):
        handler = continuation(details)
        if handler is None or handler.request_streaming or handler.response_streaming:
            return handler

        def behavior(request, context):
            start = time.monotonic()
            try:
                return handler.unary_unary(request, context)
            finally:
                self.calls += 1
                self.spent += time.monotonic() - start
                self.method = details.method

        return grpc.unary_unary_rpc_method_handler(behavior, handler.request_deserializer, handler.response_serializer)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-addr", default="127.0.0.1:50051")
    parser.add_argument("-tls", metavar="FILE", help="serve TLS with the certificate and the key in this PEM file")
    parser.add_argument("-gzip", action="store_true", help="compress responses with gzip, for clients that accept it")
    parser.add_argument("-intercept", action="store_true", help="have an interceptor around each RPC")
    flags = parser.parse_args()
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(max_workers=100),
        interceptors=[Interceptor()] if flags.intercept else [],
        compression=grpc.Compression.Gzip if flags.gzip else None)
    codec = dict(request_deserializer=REQUEST.FromString, response_serializer=REPLY.SerializeToString)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("helloworld.Greeter", {
        "SayHello": grpc.unary_unary_rpc_method_handler(say_hello, **codec),
        "SayHelloStreamReply": grpc.unary_stream_rpc_method_handler(stream_reply, **codec),
        "CollectHellos": grpc.stream_unary_rpc_method_handler(collect_hellos, **codec),
        "SayHelloBidiStream": grpc.stream_stream_rpc_method_handler(bidi_stream, **codec),
    }),))
    if flags.tls:
        with open(flags.tls, "rb") as file:
            pem = file.read()
        port = server.add_secure_port(flags.addr, grpc.ssl_server_credentials([(pem, pem)]))
    else:
        port = server.add_insecure_port(flags.addr)
    server.start()
    print("listening on %s:%d" % (flags.addr.rsplit(":", 1)[0], port), flush=True)
    server.wait_for_termination()


main()
