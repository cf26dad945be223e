"""grpc-python calls interop.Facts of the test process (servicer_test.go)."""

import grpc
from peer import PATIENCE, main, want, want_status

SERVICE = "/interop.Facts/"


def stub(peer, method, cardinality="unary_unary"):
    return peer.stub(cardinality, SERVICE + method, "helloworld.HelloReply")


def request(peer, name="?"):
    return peer.message("helloworld.HelloRequest", name=name)


SENT = (
    ("initial-text", "one"),
    ("initial-text", "two, and three"),
    ("initial-raw-bin", b"\x00\xff\x80,"),
    ("trailing-text", "end"),
    ("trailing-raw-bin", b"\x01"),
    ("trailing-raw-bin", b"\x02\x03"),
)


def those(metadata, prefix):
    return [(key, value) for key, value in metadata if key.startswith(prefix)]


def test_metadata_unary(peer):
    reply, call = stub(peer, "Metadata").with_call(request(peer), metadata=SENT, timeout=PATIENCE)
    want(those(call.initial_metadata(), "initial-"), those(SENT, "initial-"))
    want(those(call.trailing_metadata(), "trailing-"), those(SENT, "trailing-"))
    keys = reply.message.split()
    want("user-agent" in keys, True)
    want([key for key in keys if key.startswith((":", "grpc-")) or key in ("te", "content-type")], [])


def test_metadata_stream(peer):
    call = stub(peer, "MetadataStream", "stream_stream")(iter([request(peer)]), metadata=SENT, timeout=PATIENCE)
    want(those(call.initial_metadata(), "initial-"), those(SENT, "initial-"))
    want(len(list(call)), 1)
    want(those(call.trailing_metadata(), "trailing-"), those(SENT, "trailing-"))


def test_status_has_details_and_metadata(peer):
    for cardinality, method in (("unary_unary", "Details"), ("unary_stream", "DetailsStream")):
        call = lambda: stub(peer, method, cardinality)(request(peer, "é %"), timeout=PATIENCE)
        error = want_status(call, grpc.StatusCode.FAILED_PRECONDITION, "é %")
        trailing = dict(error.trailing_metadata())
        want((trailing["reason"], trailing["bytes-bin"]), ("quota", b"\x00\xff"))
        want(b"google.rpc.ErrorInfo" in trailing["grpc-status-details-bin"], True)


def test_plain_error(peer):
    call = lambda: stub(peer, "PlainError")(request(peer, "kaput\n100 %"), timeout=PATIENCE)
    want_status(call, grpc.StatusCode.UNKNOWN, "kaput\n100 %")


def test_panic(peer):
    call = lambda: stub(peer, "Panic")(request(peer, "boom"), timeout=PATIENCE)
    want_status(call, grpc.StatusCode.UNKNOWN, "Exception calling application: boom")


def waiting(peer, timeout):
    """Begins an RPC of Wait, and returns it once its handler has begun; None if its deadline came first.

    grpc's C-core may end an RPC after it has given it a stream and before it has written HEADERS. Then it sends
    RST_STREAM on a stream that the server takes for idle. That is a connection error (RFC 9113, Section 5.1), with
    which the RPCs that come next on the connection fail. So nothing here ends an RPC that the server does not know.
    The RPC is called as one with a stream of responses: of another, grpc-python gives initial metadata with the end.
    """
    call = stub(peer, "Wait", "unary_stream")(request(peer), timeout=timeout)
    return call if ("wait", "began") in (call.initial_metadata() or ()) else None


def test_deadline(peer):
    call, timeout = None, 0.1
    while call is None and timeout < PATIENCE:
        call, timeout = waiting(peer, timeout), 2 * timeout
    want((call.code(), call.details()), (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"))


def test_cancel(peer):
    call = waiting(peer, PATIENCE)
    call.cancel()
    want(call.code(), grpc.StatusCode.CANCELLED)


def test_gzip_response(peer):
    text = "gogreeter " * 100000
    want(stub(peer, "Gzip")(request(peer, text), timeout=PATIENCE).message == text, True)
    compressed = {"timeout": PATIENCE, "compression": grpc.Compression.Gzip}
    replies = stub(peer, "GzipStream", "stream_stream")(iter([request(peer, text)] * 3), **compressed)
    want([reply.message == text for reply in replies], [True] * 3)


def test_unimplemented_servicer(peer):
    say_hello = peer.stub("unary_unary", "/helloworld.Greeter/SayHello", "helloworld.HelloReply")
    call = lambda: say_hello(request(peer), timeout=PATIENCE)
    want_status(call, grpc.StatusCode.UNIMPLEMENTED, "Method not implemented!")


if __name__ == "__main__":
    main(globals())
