"""Serves helloworld.Greeter with grpc-python: the same messages and the same work as the other servers."""

import argparse
import concurrent.futures
import time

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SLOW_NAME, SLOW_TIME = "slow", 0.010


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
    elif len(name) > 1024:
        name = "%d octets" % len(name)
    return REPLY(message="Hello, " + name + "!")


def stream_reply(request, context):
    n, size = map(int, request.name.split(","))
    reply = REPLY(message="x" * size)
    for _ in range(n):
        yield reply


def bidi_stream(requests, context):
    for request in requests:
        yield say_hello(request)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-addr", default="127.0.0.1:50051")
    address = parser.parse_args().addr
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=100))
    codec = dict(request_deserializer=REQUEST.FromString, response_serializer=REPLY.SerializeToString)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("helloworld.Greeter", {
        "SayHello": grpc.unary_unary_rpc_method_handler(say_hello, **codec),
        "SayHelloStreamReply": grpc.unary_stream_rpc_method_handler(stream_reply, **codec),
        "SayHelloBidiStream": grpc.stream_stream_rpc_method_handler(bidi_stream, **codec),
    }),))
    port = server.add_insecure_port(address)
    server.start()
    print("listening on %s:%d" % (address.rsplit(":", 1)[0], port), flush=True)
    server.wait_for_termination()


main()
