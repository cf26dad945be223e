"""What the Python halves of the parity suite share: values in JSON, and events by name."""

import sys
import threading
import traceback
import zlib

import grpc

PATIENCE = 30  # seconds: bounds what must happen; nothing depends on how long anything takes

COMPRESSION = {
    "identity": grpc.Compression.NoCompression,
    "gzip": grpc.Compression.Gzip,
    "deflate": grpc.Compression.Deflate,
}

CODES = {code.value[0]: code for code in grpc.StatusCode}

PATTERN = bytes(range(251))


def payload(spec):
    """A message: its text, or a number of octets of the pattern."""
    if "size" in spec:
        return (PATTERN * (spec["size"] // len(PATTERN) + 1))[: spec["size"]]
    return spec.get("text", "").encode("utf-8")


def describe(message):
    """A message as the answers show it: large ones by length and checksum."""
    if len(message) > 500:
        return "%d octets, CRC %08x" % (len(message), zlib.crc32(message))
    return message.decode("utf-8", "replace")


def metadata_in(pairs):
    """Metadata from JSON, where binary values are in hexadecimal."""
    return tuple((key, bytes.fromhex(value) if key.endswith("-bin") else value) for key, value in pairs or ())


def metadata_out(metadata):
    return [[key, value.hex() if isinstance(value, bytes) else value] for key, value in metadata or ()]


def stacks():
    """Where all threads are, for failures of which one would like to know more."""
    return "\n".join("".join(traceback.format_stack(frame)) for frame in sys._current_frames().values())


class Events:
    """Events by name, which come into being when somebody first speaks of them."""

    def __init__(self):
        self._lock = threading.Lock()
        self._events = {}

    def of(self, name):
        with self._lock:
            return self._events.setdefault(name, threading.Event())


def commands(handle, read, write):
    """Answers each line of commands until there are no more."""
    for line in sys.stdin:
        try:
            result = {"result": handle(read(line))}
        except Exception:
            result = {"failure": traceback.format_exc()}
        sys.stdout.write(write(result) + "\n")
        sys.stdout.flush()
