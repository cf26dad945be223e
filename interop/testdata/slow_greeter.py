"""grpc-python calls a greeter_server whose SayHello takes an hour."""

import grpc
from peer import PATIENCE, main, want, want_status


def stub(peer):
    return peer.stub("unary_unary", "/helloworld.Greeter/SayHello", "helloworld.HelloReply")


def request(peer):
    return peer.message("helloworld.HelloRequest", name="Ada")


def test_deadline(peer):
    call = lambda: stub(peer)(request(peer), timeout=0.1)
    want_status(call, grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")


def test_cancel(peer):
    call = stub(peer).future(request(peer), timeout=PATIENCE)
    call.cancel()
    want(call.code(), grpc.StatusCode.CANCELLED)


if __name__ == "__main__":
    main(globals())
