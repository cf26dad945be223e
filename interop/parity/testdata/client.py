"""grpc-python's client for the parity suite: begins, cancels and reports RPCs as it is told on stdin, a JSON line each."""

import json
import os
import threading

import grpc
import script

OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


class Call:
    """An RPC under way."""

    def __init__(self, channel, spec):
        self._messages = []
        self._over = threading.Event()
        self._read = threading.Semaphore(0)  # the messages that have been read
        self._limit = spec.get("read")  # how many messages are read; None: all
        self._go_on = threading.Event()  # the rest may be read
        requests = [script.payload(request) for request in spec.get("requests") or ()]
        streams_requests, self._streams_responses = spec["arity"][0] == "s", spec["arity"][1] == "s"
        kind = "%s_%s" % tuple("stream" if streams else "unary" for streams in (streams_requests, self._streams_responses))
        multi_callable = getattr(channel, kind)(spec["path"])
        request = self._requests(requests, spec) if streams_requests else requests[0]
        timeout = spec.get("timeout") or script.PATIENCE
        arguments = {"metadata": script.metadata_in(spec.get("metadata")), "timeout": timeout if timeout > 0 else None}
        if spec.get("compression"):
            arguments["compression"] = script.COMPRESSION[spec["compression"]]
        if not self._streams_responses:
            self._call = multi_callable.future(request, **arguments)
        else:
            self._call = multi_callable(request, **arguments)
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _requests(self, requests, spec):
        for number, request in enumerate(requests):
            if spec.get("lockstep") and number > 0:
                self._read.acquire(timeout=script.PATIENCE)
            yield request
        if spec.get("open"):
            self._over.wait(script.PATIENCE)

    def _collect(self):
        try:
            if not self._streams_responses:
                self._messages.append(self._call.result())
            else:
                for message in self._call:
                    self._messages.append(message)
                    self._read.release()
                    if len(self._messages) == self._limit:
                        self._go_on.wait(script.PATIENCE)
        except (grpc.RpcError, grpc.FutureCancelledError):
            pass
        self._over.set()

    def cancel(self):
        self._call.cancel()
        self._go_on.set()

    def is_over(self):
        return self._over.is_set()

    def await_message(self):
        if not self._read.acquire(timeout=script.PATIENCE):
            raise AssertionError("no further message")

    def result(self):
        self._go_on.set()
        self._thread.join(2 * script.PATIENCE)
        if self._thread.is_alive():
            raise AssertionError("the RPC does not end: %r\n%s" % (self._call, script.stacks()))
        return {
            "code": self._call.code().value[0],
            "details": self._call.details() or "",
            "initial": script.metadata_out(self._call.initial_metadata()),
            "trailing": script.metadata_out(self._call.trailing_metadata()),
            "messages": ["<None>" if m is None else script.describe(m) for m in self._messages],
        }


class Client:
    def __init__(self):
        self._channels = {}
        self._calls = {}

    def handle(self, command):
        return getattr(self, "do_" + command["op"])(command)

    def do_begin(self, command):
        self._calls[command["id"]] = Call(self._channel(command), command["call"])

    def do_cancel(self, command):
        self._calls[command["id"]].cancel()

    def do_message(self, command):
        self._calls[command["id"]].await_message()

    def do_over(self, command):
        return self._calls[command["id"]].is_over()

    def do_result(self, command):
        return self._calls.pop(command["id"]).result()

    def do_disconnect(self, command):
        channel = self._channels.pop(command["address"], None)
        if channel is not None:
            channel.close()

    def _channel(self, command):
        address = command["address"]
        if address not in self._channels:
            self._channels[address] = self._dial(address, command)
        return self._channels[address]

    @staticmethod
    def _dial(address, command):
        if not command.get("ca"):
            return grpc.insecure_channel(address, options=OPTIONS)
        files = [command.get(name) for name in ("ca", "key", "cert")]
        ca, key, cert = [open(name, "rb").read() if name else None for name in files]
        return grpc.secure_channel(address, grpc.ssl_channel_credentials(ca, key, cert), options=OPTIONS)


if __name__ == "__main__":
    script.commands(Client().handle, json.loads, json.dumps)
    os._exit(0)  # whatever threads an RPC that never ends has left
