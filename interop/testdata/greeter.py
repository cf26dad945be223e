"""grpc-python calls helloworld.Greeter of greeter_server."""

import threading

import grpc
from peer import PATIENCE, main, want, want_status

SERVICE = "/helloworld.Greeter/"
LIMIT = 4 << 20
UU, US, SU, SS = "unary_unary", "unary_stream", "stream_unary", "stream_stream"


def request(peer, name="Ada"):
    return peer.message("helloworld.HelloRequest", name=name)


def stub(peer, cardinality, method):
    return peer.stub(cardinality, SERVICE + method, "helloworld.HelloReply")


def say_hello(peer, name="Ada", **options):
    options.setdefault("timeout", PATIENCE)
    return stub(peer, UU, "SayHello")(request(peer, name), **options).message


def test_unary_unary(peer):
    want(say_hello(peer), "Hello, Ada!")
    want(say_hello(peer, ""), "Hello, !")


def test_unary_stream(peer):
    replies = stub(peer, US, "SayHelloStreamReply")(request(peer), timeout=PATIENCE)
    greetings = ["Hello, Ada!", "Bonjour, Ada !", "Guten Tag, Ada!", "¡Hola, Ada!", "こんにちは、Ada!"]
    want([reply.message for reply in replies], greetings)


def test_stream_unary(peer):
    requests = (request(peer, name) for name in ("Ada", "Grace", "Barbara"))
    want(stub(peer, SU, "CollectHellos")(requests, timeout=PATIENCE).message, "Hello, Ada, Grace and Barbara!")
    want(stub(peer, SU, "CollectHellos")(iter(()), timeout=PATIENCE).message, "Hello, !")


def test_stream_stream(peer):
    names = ["guest %d" % number for number in range(100)]
    requests = (request(peer, name) for name in names)
    replies = stub(peer, SS, "SayHelloBidiStream")(requests, timeout=PATIENCE)
    want([reply.message for reply in replies], ["Hello, %s!" % name for name in names])


def test_stream_stream_as_conversation(peer):
    """Each request waits for the reply to the one before."""
    heard = threading.Semaphore(1)

    def requests():
        for name in ("Ada", "Grace", "Barbara"):
            heard.acquire()
            yield request(peer, name)

    messages = []
    for reply in stub(peer, SS, "SayHelloBidiStream")(requests(), timeout=PATIENCE):
        messages.append(reply.message)
        heard.release()
    want(messages, ["Hello, Ada!", "Hello, Grace!", "Hello, Barbara!"])


def test_gzip_request(peer):
    want(say_hello(peer, compression=grpc.Compression.Gzip), "Hello, Ada!")
    name = "x" * 1000000
    want(say_hello(peer, name, compression=grpc.Compression.Gzip), "Hello, %s!" % name)
    requests = (request(peer, name) for name in ("Ada", "y" * 100000))
    reply = stub(peer, SU, "CollectHellos")(requests, timeout=PATIENCE, compression=grpc.Compression.Gzip)
    want(reply.message, "Hello, Ada and %s!" % ("y" * 100000))


def test_messages_up_to_4_mib(peer):
    for size in (1000000, 1 << 20, LIMIT):
        name = name_of(peer, size)
        want(say_hello(peer, name) == "Hello, " + name + "!", True)


def test_message_above_4_mib(peer):
    details = "Received message larger than max (4194305 vs. 4194304)"
    name = name_of(peer, LIMIT + 1)
    want_status(lambda: say_hello(peer, name), grpc.StatusCode.RESOURCE_EXHAUSTED, details)
    collect = stub(peer, SU, "CollectHellos")
    large = lambda: collect(iter([request(peer, name)]), timeout=PATIENCE)
    want_status(large, grpc.StatusCode.RESOURCE_EXHAUSTED, details)
    want(say_hello(peer), "Hello, Ada!")


def name_of(peer, size):
    """Returns a name with which a HelloRequest is size bytes long."""
    name = "x" * (size - 1 - (3 if size < 1 << 21 else 4))  # the tag, and the length as a varint
    want(request(peer, name).ByteSize(), size)
    return name


def test_unknown_method(peer):
    for cardinality in (UU, US):
        call = stub(peer, cardinality, "SayGoodbye")
        want_status(lambda: call(request(peer), timeout=PATIENCE), grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
    for cardinality in (SU, SS):
        call = stub(peer, cardinality, "SayGoodbye")
        several = lambda: call(iter([request(peer)] * 3), timeout=PATIENCE)
        want_status(several, grpc.StatusCode.UNIMPLEMENTED, "Method not found!")


def test_undecodable_request(peer):
    details = "Exception deserializing request!"
    unary = peer.channel.unary_unary(SERVICE + "SayHello")
    want_status(lambda: unary(b"\x0a\x05A", timeout=PATIENCE), grpc.StatusCode.INTERNAL, details)
    stream = peer.channel.stream_stream(SERVICE + "SayHelloBidiStream")
    want_status(lambda: stream(iter([b"\xff"]), timeout=PATIENCE), grpc.StatusCode.INTERNAL, details)
    want(say_hello(peer), "Hello, Ada!")


def test_unknown_metadata_is_accepted(peer):
    metadata = (("name", "value"), ("name", "another"), ("bytes-bin", b"\x00\xff\x80"))
    want(say_hello(peer, metadata=metadata), "Hello, Ada!")


if __name__ == "__main__":
    main(globals())
