"""grpc-python plays gRPC's interop tests, by their names, against grpc.testing.TestService.

What is beyond grpc-go's client: cacheable_unary, half_duplex, and compression both ways. Whether a message went
compressed is not to be seen in grpc-python; that it arrives whole is.
"""

import threading

import grpc
from peer import PATIENCE, main, want, want_status

SERVICE = "/grpc.testing.TestService/"
UU, US, SU, SS = "unary_unary", "unary_stream", "stream_unary", "stream_stream"
REQUESTS = (27182, 8, 1828, 45904)
RESPONSES = (31415, 9, 2653, 58979)
SOAK = 40  # iterations, of which grpc-go's client has as many
SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"


def make(peer, name, **fields):
    return peer.message("grpc.testing." + name, **fields)


def payload(peer, size):
    return make(peer, "Payload", body=b"\0" * size)


def stub(peer, cardinality, method, response, service=SERVICE):
    return peer.stub(cardinality, service + method, "grpc.testing." + response)


def unary(peer, method="UnaryCall"):
    return stub(peer, UU, method, "SimpleResponse")


def simple(peer, request_size, response_size, **fields):
    return make(peer, "SimpleRequest", payload=payload(peer, request_size), response_size=response_size, **fields)


def streaming(peer, request_size, *response_sizes, **fields):
    parameters = [make(peer, "ResponseParameters", size=size) for size in response_sizes]
    return make(
        peer, "StreamingOutputCallRequest", payload=payload(peer, request_size), response_parameters=parameters, **fields
    )


def full_duplex(peer, method="FullDuplexCall"):
    return stub(peer, SS, method, "StreamingOutputCallResponse")


def sizes(responses):
    return [len(response.payload.body) for response in responses]


def true(peer, value=True):
    return make(peer, "BoolValue", value=value)


def test_empty_unary(peer):
    reply = stub(peer, UU, "EmptyCall", "Empty")(make(peer, "Empty"), timeout=PATIENCE)
    want(reply.SerializeToString(), b"")


def test_cacheable_unary(peer):
    # No cache lies between; what the case is about beside that is the metadata.
    metadata = (("x-user-ip", "1.2.3.4"),)
    for _ in range(2):
        reply = unary(peer, "CacheableUnaryCall")(simple(peer, 20, 10), metadata=metadata, timeout=PATIENCE)
        want(len(reply.payload.body), 10)


def test_large_unary(peer):
    want(len(unary(peer)(simple(peer, 271828, 314159), timeout=PATIENCE).payload.body), 314159)


def test_client_compressed_unary(peer):
    for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate, grpc.Compression.NoCompression):
        reply = unary(peer)(simple(peer, 271828, 314159), compression=compression, timeout=PATIENCE)
        want(len(reply.payload.body), 314159)


def test_server_compressed_unary(peer):
    for compressed in (True, False):
        request = simple(peer, 271828, 314159, response_compressed=true(peer, compressed))
        want(len(unary(peer)(request, timeout=PATIENCE).payload.body), 314159)


def client_streaming(peer, **options):
    requests = [make(peer, "StreamingInputCallRequest", payload=payload(peer, size)) for size in REQUESTS]
    call = stub(peer, SU, "StreamingInputCall", "StreamingInputCallResponse")
    want(call(iter(requests), timeout=PATIENCE, **options).aggregated_payload_size, sum(REQUESTS))


def test_client_streaming(peer):
    client_streaming(peer)


def test_client_compressed_streaming(peer):
    client_streaming(peer, compression=grpc.Compression.Gzip)


def server_streaming(peer, *compressed):
    request = streaming(peer, 0, *RESPONSES)
    for parameters, flag in zip(request.response_parameters, compressed):
        parameters.compressed.value = flag
    call = stub(peer, US, "StreamingOutputCall", "StreamingOutputCallResponse")
    want(sizes(call(request, timeout=PATIENCE)), list(RESPONSES))


def test_server_streaming(peer):
    server_streaming(peer)


def test_server_compressed_streaming(peer):
    server_streaming(peer, True, False, True, False)


def test_ping_pong(peer):
    heard = threading.Semaphore(1)

    def requests():
        for request, response in zip(REQUESTS, RESPONSES):
            heard.acquire()
            yield streaming(peer, request, response)

    have = []
    for response in full_duplex(peer)(requests(), timeout=PATIENCE):
        have.append(len(response.payload.body))
        heard.release()
    want(have, list(RESPONSES))


def test_half_duplex(peer):
    requests = [streaming(peer, request, response) for request, response in zip(REQUESTS, RESPONSES)]
    want(sizes(full_duplex(peer, "HalfDuplexCall")(iter(requests), timeout=PATIENCE)), list(RESPONSES))


def test_empty_stream(peer):
    want(list(full_duplex(peer)(iter(()), timeout=PATIENCE)), [])


def test_cancel_after_begin(peer):
    over = threading.Event()

    def requests():
        over.wait(PATIENCE)
        return
        yield

    call = stub(peer, SU, "StreamingInputCall", "StreamingInputCallResponse").future(requests(), timeout=PATIENCE)
    call.cancel()
    over.set()
    want(call.code(), grpc.StatusCode.CANCELLED)


def test_cancel_after_first_response(peer):
    over = threading.Event()

    def requests():
        yield streaming(peer, 27182, 31415)
        over.wait(PATIENCE)

    call = full_duplex(peer)(requests(), timeout=PATIENCE)
    want(len(next(call).payload.body), 31415)
    call.cancel()
    over.set()
    want(call.code(), grpc.StatusCode.CANCELLED)


def test_timeout_on_sleeping_server(peer):
    over = threading.Event()

    def requests():
        yield streaming(peer, 27182)
        over.wait(PATIENCE)

    call = full_duplex(peer)(requests(), timeout=0.001)
    error = want_code(lambda: list(call), grpc.StatusCode.DEADLINE_EXCEEDED)
    over.set()
    return error


def want_code(call, code):
    try:
        call()
    except grpc.RpcError as error:
        want(error.code(), code)
        return error
    raise AssertionError("the call succeeded, want %s" % code)


def status_of_both(peer, message):
    status = make(peer, "EchoStatus", code=2, message=message)
    request = make(peer, "SimpleRequest", response_status=status)
    want_status(lambda: unary(peer)(request, timeout=PATIENCE), grpc.StatusCode.UNKNOWN, message)
    requests = [streaming(peer, 0, response_status=status)]
    want_status(lambda: full_duplex(peer)(iter(requests), timeout=PATIENCE), grpc.StatusCode.UNKNOWN, message)


def test_status_code_and_message(peer):
    status_of_both(peer, "test status message")


def test_special_status_message(peer):
    status_of_both(peer, SPECIAL)


def test_custom_metadata(peer):
    initial = ("x-grpc-test-echo-initial", "test_initial_metadata_value")
    trailing = ("x-grpc-test-echo-trailing-bin", b"\x0a\x0b\x0a\x0b\x0a\x0b")
    _, call = unary(peer).with_call(simple(peer, 271828, 314159), metadata=(initial, trailing), timeout=PATIENCE)
    check_metadata(call, initial, trailing)
    call = full_duplex(peer)(iter([streaming(peer, 271828, 314159)]), metadata=(initial, trailing), timeout=PATIENCE)
    want(sizes(call), [314159])
    check_metadata(call, initial, trailing)


def check_metadata(call, initial, trailing):
    want([tuple(pair) for pair in call.initial_metadata() if pair[0] == initial[0]], [initial])
    want([tuple(pair) for pair in call.trailing_metadata() if pair[0] == trailing[0]], [trailing])


def test_unimplemented_method(peer):
    call = stub(peer, UU, "UnimplementedCall", "Empty")
    want_code(lambda: call(make(peer, "Empty"), timeout=PATIENCE), grpc.StatusCode.UNIMPLEMENTED)


def test_unimplemented_service(peer):
    call = stub(peer, UU, "UnimplementedCall", "Empty", "/grpc.testing.UnimplementedService/")
    want_code(lambda: call(make(peer, "Empty"), timeout=PATIENCE), grpc.StatusCode.UNIMPLEMENTED)


def test_pick_first_unary(peer):
    replies = [unary(peer)(simple(peer, 1, 1, fill_server_id=True), timeout=PATIENCE) for _ in range(100)]
    want({reply.server_id for reply in replies}, {"gogreeter"})


def test_rpc_soak(peer):
    for _ in range(SOAK):
        want(len(unary(peer)(simple(peer, 271828, 314159), timeout=PATIENCE).payload.body), 314159)


if __name__ == "__main__":
    main(globals())
