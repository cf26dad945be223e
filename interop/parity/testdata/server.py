"""grpc-python's server for the parity suite: what servicer_test.go does in Go, done with grpc.server.

Each RPC brings in its metadata what its handler is to do (see script_test.go).
"""

import json
import logging
import os
import sys
import threading
from concurrent import futures

import grpc
import script

EVENTS = script.Events()


class Unprintable(Exception):
    def __str__(self):
        raise ValueError("not printable")


class Run:
    """One RPC's way through its script. It is a generator of responses."""

    def __init__(self, server, requests, context):
        self.server, self.requests, self.context = server, requests, context
        self.steps, self.run = [], ""
        for key, value in context.invocation_metadata():
            if key == "script-bin":
                self.steps = json.loads(value)
            elif key == "run":
                self.run = value
        self.over = threading.Event()
        if any(step["do"] == "until_over" for step in self.steps):
            self.context.add_callback(self.over.set)

    def event(self, name):
        return EVENTS.of(self.run + "/" + name)

    def responses(self):
        for step in self.steps:
            if step["do"] in ("reply", "send"):
                yield script.payload(step)
            elif step["do"] == "send_none":
                yield None
            elif step["do"] == "echo":
                for request in self.requests:
                    yield request
            elif step["do"] == "join":
                yield b"".join(self.requests)
            elif step["do"] == "recv_error":
                yield self.recv_error()
            elif step["do"].startswith("tell_"):
                yield getattr(self, step["do"])(step)
            elif step["do"] == "repeat":
                for _ in range(step["n"]):
                    yield script.payload(step)
            else:
                getattr(self, "do_" + step["do"])(step)

    def recv_error(self):
        try:
            next(self.requests)
        except StopIteration:
            return b"end"
        except grpc.RpcError:
            return b"error"
        return b"request"

    def do_raise(self, step):
        raise Exception(step.get("text", ""))

    do_raise_early = do_raise

    def do_raise_rpc_error(self, step):
        raise grpc.RpcError(step.get("text", ""))

    def do_raise_unprintable(self, step):
        raise Unprintable()

    def do_abort(self, step):
        self.context.abort(script.CODES[step.get("code", 0)], step.get("text", ""))

    do_fail = do_abort

    def do_abort_number(self, step):
        self.context.abort(step.get("code", 0), step.get("text", ""))

    def do_abort_with_status(self, step):
        status = Status()
        status.code, status.details = script.CODES[step.get("code", 0)], step.get("text", "")
        status.trailing_metadata = script.metadata_in(step.get("md"))
        self.context.abort_with_status(status)

    def do_set_code(self, step):
        self.context.set_code(script.CODES[step.get("code", 0)])

    def do_set_details(self, step):
        self.context.set_details(step.get("text", ""))

    def do_send_initial(self, step):
        self.context.send_initial_metadata(script.metadata_in(step.get("md")))

    def do_set_trailing(self, step):
        self.context.set_trailing_metadata(script.metadata_in(step.get("md")))

    def do_compress(self, step):
        self.context.set_compression(script.COMPRESSION[step["text"]])

    def do_plain_next(self, step):
        self.context.disable_next_message_compression()

    def do_recv(self, step):
        for _ in range(step.get("n", 1)):
            next(self.requests)

    def do_drain(self, step):
        for _ in self.requests:
            pass

    def do_signal(self, step):
        self.event(step["text"]).set()

    def do_await(self, step):
        self.event(step["text"]).wait(script.PATIENCE)

    def do_callback(self, step):
        if not self.context.add_callback(self.event(step["text"]).set):
            raise Exception("the RPC is over before the script could begin")

    def do_late_callback(self, step):
        if not self.context.add_callback(lambda: None):
            self.do_signal(step)

    def do_recv_fails(self, step):
        if self.recv_error() == b"error":
            self.do_signal(step)

    def do_bad_callback(self, step):
        def bad():
            raise Exception("callback")

        self.context.add_callback(bad)

    def do_until_over(self, step):
        self.over.wait(script.PATIENCE)

    def do_cancel(self, step):
        self.context.cancel()

    def do_stop(self, step):
        self.server.stop(step.get("n", 0))

    def do_end(self, step):
        pass

    def tell_metadata(self, step):
        told = [[k, v] for k, v in script.metadata_out(self.context.invocation_metadata()) if k not in ("script-bin", "run", "user-agent")]
        return json.dumps(sorted(told, key=lambda pair: pair[0]), separators=(",", ":")).encode()

    def tell_peer(self, step):
        return self.context.peer().split(":")[0].encode()

    def tell_active(self, step):
        return json.dumps(self.context.is_active()).encode()

    def tell_deadline(self, step):
        remaining = self.context.time_remaining()
        if remaining is None or remaining > 1e9:  # without a deadline, it is some centuries
            return b"none"
        return b"some" if 0 < remaining <= step["n"] else b"another"

    def tell_total(self, step):
        return str(sum(len(request) for request in self.requests)).encode()

    def tell_auth(self, step):
        values = self.context.auth_context().get(step["text"]) or []
        return json.dumps([value.decode() for value in values], separators=(",", ":")).encode()

    def tell_identities(self, step):
        identities = self.context.peer_identities() or ()
        told = [self.context.peer_identity_key() or "", sorted(identity.decode() for identity in identities)]
        return json.dumps(told, separators=(",", ":")).encode()

    def tell_trailing(self, step):
        told = script.metadata_out(self.context.trailing_metadata())
        return json.dumps(told, separators=(",", ":")).encode()


class Status(grpc.Status):
    pass


class Parity:
    """The behaviors of the four arities."""

    def __init__(self):
        self.server = None

    def unary_response(self, requests, context):
        run = Run(self.server, requests, context)
        response = b""
        for response in run.responses():
            pass
        return response

    def stream_response(self, requests, context):
        run = Run(self.server, requests, context)
        if run.steps and run.steps[0]["do"] == "raise_early":
            run.do_raise(run.steps[0])
        return run.responses()

    def uu(self, request, context):
        return self.unary_response(iter([request]), context)

    def us(self, request, context):
        return self.stream_response(iter([request]), context)

    def methods(self, **codecs):
        return {
            "uu": grpc.unary_unary_rpc_method_handler(self.uu, **codecs),
            "us": grpc.unary_stream_rpc_method_handler(self.us, **codecs),
            "su": grpc.stream_unary_rpc_method_handler(self.unary_response, **codecs),
            "ss": grpc.stream_stream_rpc_method_handler(self.stream_response, **codecs),
        }


def fail(_):
    raise ValueError("codec")


class Raising(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method == "/parity.Raising/uu":
            raise Exception("service")
        return None


class Catching(grpc.GenericRpcHandler):
    """Knows the methods of parity.Generic, by looking at them."""

    def __init__(self, methods):
        self.methods = methods

    def service(self, details):
        service, _, method = details.method.rpartition("/")
        return self.methods.get(method) if service == "/parity.Generic" else None


class Interceptor(grpc.ServerInterceptor):
    """Does what the metadata "intercept" says."""

    def __init__(self, position):
        self.position = position

    def intercept_service(self, continuation, details):
        wanted = dict(details.invocation_metadata).get("intercept", "")
        what, _, where = wanted.partition("@")
        if where != str(self.position):
            return continuation(details)
        if what == "raise":
            raise Exception("interceptor")
        if what == "none":
            return None
        if what == "deny":
            abort = lambda _, context: context.abort(grpc.StatusCode.UNAUTHENTICATED, "denied")
            return grpc.unary_unary_rpc_method_handler(abort)
        if what == "rewrite":
            return continuation(Details("/parity.P/" + details.method[-2:], details.invocation_metadata))
        return continuation(details)


class Details(grpc.HandlerCallDetails):
    def __init__(self, method, metadata):
        self.method, self.invocation_metadata = method, metadata


VARIANTS = {
    "": {},
    "receive100": {"options": [("grpc.max_receive_message_length", 100)]},
    "receive-any": {"options": [("grpc.max_receive_message_length", -1)]},
    "send1000": {"options": [("grpc.max_send_message_length", 1000)]},
    "gzip": {"compression": grpc.Compression.Gzip},
    "deflate": {"compression": grpc.Compression.Deflate},
    "limit1": {"maximum_concurrent_rpcs": 1},
    "limit3": {"maximum_concurrent_rpcs": 3},
    "interceptors": {"interceptors": [Interceptor(0), Interceptor(1), Interceptor(2)]},
    "workers1": {},
    "streams1": {"options": [("grpc.max_concurrent_streams", 1)]},
    "empty": {},
    "tls": {},
    "mtls": {},
    "unix": {},
    "ipv6": {},
}


class Server:
    """The servers of this process, by number."""

    def __init__(self):
        self.servers = []

    def handle(self, command):
        return getattr(self, "do_" + command["op"])(command)

    def do_new(self, command):
        variant = command.get("variant", "")
        parity = Parity()
        workers = 1 if variant == "workers1" else 20
        arguments = dict(VARIANTS[variant])
        arguments["options"] = list(arguments.get("options", [])) + [("grpc.so_reuseport", 0)]
        server = grpc.server(futures.ThreadPoolExecutor(workers), **arguments)
        parity.server = server
        if variant != "empty":
            self.add_handlers(server, parity)
        port = self.add_port(server, variant, command)
        server.start()
        self.servers.append((server, parity))
        return {"id": len(self.servers) - 1, "port": port}

    @staticmethod
    def add_handlers(server, parity):
        methods = parity.methods()
        generic = grpc.method_handlers_generic_handler
        server.add_generic_rpc_handlers(
            (
                generic("parity.P", dict(methods, none=None)),
                generic("parity.BadRequest", parity.methods(request_deserializer=fail)),
                generic("parity.BadResponse", parity.methods(response_serializer=fail)),
                Raising(),
                Catching(methods),
            )
        )

    @staticmethod
    def add_port(server, variant, command):
        if variant == "unix":
            return server.add_insecure_port("unix:" + command["path"])
        if variant == "ipv6":
            return server.add_insecure_port("[::1]:0")
        if variant not in ("tls", "mtls"):
            return server.add_insecure_port("127.0.0.1:0")
        key, cert, ca = [open(command[name], "rb").read() for name in ("key", "cert", "ca")]
        mutual = variant == "mtls"
        credentials = grpc.ssl_server_credentials([(key, cert)], ca if mutual else None, mutual)
        return server.add_secure_port("127.0.0.1:0", credentials)

    def do_add(self, command):
        server, parity = self.servers[command["id"]]
        handler = grpc.method_handlers_generic_handler(command["service"], parity.methods())
        server.add_generic_rpc_handlers((handler,))

    def do_stop(self, command):
        self.servers[command["id"]][0].stop(command["grace"])

    def do_terminated(self, command):
        timed_out = self.servers[command["id"]][0].wait_for_termination(command.get("timeout", script.PATIENCE))
        return not timed_out

    def do_signal(self, command):
        EVENTS.of(command["name"]).set()

    def do_happened(self, command):
        return EVENTS.of(command["name"]).is_set()

    def do_await(self, command):
        return EVENTS.of(command["name"]).wait(script.PATIENCE)


if __name__ == "__main__":
    logging.basicConfig(stream=open(os.devnull, "w"))
    script.commands(Server().handle, json.loads, json.dumps)
    sys.stdout.flush()
    os._exit(0)  # whatever threads a defect has left
