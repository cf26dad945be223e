"""grpc-python's keepalive, set to ask five times a second, meets a server that does not permit it and one that does."""

import argparse

import grpc

parser = argparse.ArgumentParser()
parser.add_argument("-addr", required=True)
parser.add_argument("-timeout", type=float, required=True)
arguments = parser.parse_args()

options = [
    ("grpc.keepalive_time_ms", 200),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_time_between_pings_ms", 200),
    ("grpc.enable_http_proxy", 0),
]
with grpc.insecure_channel(arguments.addr, options) as channel:
    try:
        channel.unary_unary("/interop.Facts/Wait")(b"", timeout=arguments.timeout)
    except grpc.RpcError as error:
        print(error.code().name)
