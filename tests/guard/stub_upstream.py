"""A server that answers like one of language models, byte for byte as planned, or goes wrong in a way that the header x-stub asks for."""

import contextlib
import json
import socket
import socketserver
import struct
import threading
import time
from dataclasses import dataclass, field

EVENTS = (
    b'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}\n\n'
    b": a comment\n\n"
    b'data: {"choices": [{"index": 0, "delta": {"content": "Hel"}}]}\r\n\r\n'
    b'event: message\ndata: {"choices": [{"index": 0,\ndata:  "delta": {"content": "lo \xc3\xa4"}}]}\n\n'
    b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}\n\n'
    b"data: [DONE]\n\n"
)
DOCUMENT = b'{"choices": [{"index": 0, "text": "Hello \\u00e4",  "message": {"content": "Hello"}}], "usage": {"prompt_tokens": 3,"completion_tokens": 2}}'
LOGPROBS = {
    "content": [
        {"token": "a", "id": 7, "logprob": -0.1, "top_logprobs": [{"token": "a", "logprob": -0.1054}, {"token": "b", "logprob": -2.3026}]},
        {"token": "b", "id": 9, "logprob": -0.1, "top_logprobs": [{"token": "b", "logprob": -0.0}]},
    ]
}
CHUNKED = "Transfer-Encoding: chunked"
EVENT_STREAM = "Content-Type: text/event-stream; charset=utf-8"


@dataclass
class Stub:
    """The server: where it is, what it was asked, whether an endless answer was abandoned, what it sent in chunks, a page for a browser, and what it draws from."""

    url: str
    asked: list = field(default_factory=list)
    abandoned: threading.Event = field(default_factory=threading.Event)
    sent: int = 0
    frame: bytes = b""
    source: object = None

    def last(self):
        return self.asked[-1]


@dataclass
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: list
    body: bytes

    def header(self, name):
        return [value for key, value in self.headers if key.lower() == name]


class Handler(socketserver.StreamRequestHandler):
    """One connection."""

    disable_nagle_algorithm = True

    def handle(self):
        with contextlib.suppress(OSError):
            while self.one():
                pass

    def one(self):
        line = self.rfile.readline()
        if not line:
            return False
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers = []
        while (line := self.rfile.readline().strip()) != b"":
            key, _, value = line.decode("latin-1").partition(":")
            headers.append((key, value.strip()))
        length = next((int(value) for key, value in headers if key.lower() == "content-length"), 0)
        self.method = method
        asked = Asked(method, target, headers, self.rfile.read(length))
        self.server.stub.asked.append(asked)
        want = (asked.header("x-stub") or [""])[0]
        return getattr(self, "do_" + (want or "ordinary").replace("-", "_"))(asked)

    def head(self, *lines, status="200 OK"):
        self.wfile.write("\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode())

    def document(self, body, *lines, status="200 OK"):
        self.head("Content-Type: application/json", f"Content-Length: {len(body)}", *lines, status=status)
        self.wfile.write(b"" if self.method == "HEAD" else body)
        return True

    def chunk(self, piece):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.server.stub.sent += len(piece)

    def stream(self, body, size):
        self.head(EVENT_STREAM, CHUNKED, "X-Of-The-Server: yes")
        for start in range(0, len(body), size):
            self.chunk(body[start : start + size])
        self.wfile.write(b"0\r\n\r\n")
        return True

    def do_ordinary(self, asked):
        if asked.target == "/v1/models":
            return self.document(b'{"data": [{"id": "stub"}]}')
        if asked.target == "/frame":
            self.head("Content-Type: text/html", f"Content-Length: {len(self.server.stub.frame)}")
            self.wfile.write(self.server.stub.frame)
            return True
        if not asked.body:
            return self.document(b"{}")
        data = json.loads(asked.body)
        if data.get("stream"):
            return self.stream(EVENTS, 7)
        return self.document(DOCUMENT, "X-Of-The-Server: yes", "Set-Cookie: a=1", "Set-Cookie: b=2")

    def do_with_logprobs(self, asked):
        data = json.loads(asked.body)
        told = LOGPROBS if data.get("logprobs") else None
        if not data.get("stream"):
            return self.document(json.dumps({"choices": [{"index": 0, "message": {"content": "ab"}, "logprobs": told}]}).encode())
        pieces = [{"choices": [{"index": 0, "delta": {"content": word}, "logprobs": told}]} for word in "ab"]
        return self.stream(b"".join(b"data: " + json.dumps(piece).encode() + b"\r\n\r\n" for piece in pieces) + b"data: [DONE]\n\n", 11)

    def do_draws(self, asked):
        data = json.loads(asked.body)
        body = self.server.stub.source.answer(asked.target, data)
        return self.stream(body, 4096) if data.get("stream") else self.document(body)

    def do_refuses_logprobs(self, asked):
        if "logprobs" in json.loads(asked.body):
            return self.document(b'{"error": {"message": "no logprobs here"}}', status="400 Bad Request")
        return self.document(DOCUMENT)

    def do_loops(self, asked):
        return self.document(json.dumps({"choices": [{"index": 0, "text": "again and " * 60}]}).encode())

    def do_anomalous(self, asked):
        return self.document(json.dumps({"content": "x", "tokens": [5, 7, 7, 11], "stop": True}).encode())

    def do_dies(self, asked):
        self.head(EVENT_STREAM, CHUNKED)
        self.chunk(EVENTS[:100])
        return False

    def do_dies_by_length(self, asked):
        self.head("Content-Type: application/json", "Content-Length: 1000")
        self.wfile.write(DOCUMENT)
        return False

    def do_resets(self, asked):
        self.head(EVENT_STREAM, CHUNKED)
        self.chunk(EVENTS[:100])
        self.wfile.flush()
        time.sleep(0.1)
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.request.close()
        return False

    def do_closes(self, asked):
        return False

    def do_silent(self, asked):
        self.server.ends.wait(20)
        return False

    def do_stalls(self, asked):
        self.head(EVENT_STREAM, CHUNKED)
        self.chunk(EVENTS[:100])
        self.server.ends.wait(20)
        return False

    def do_drips(self, asked):
        self.head(EVENT_STREAM, CHUNKED)
        for start in range(0, len(EVENTS), 40):
            self.chunk(EVENTS[start : start + 40])
            time.sleep(0.03)
        self.wfile.write(b"0\r\n\r\n")
        return True

    def do_garbage(self, asked):
        self.wfile.write(bytes(range(256)) * 4)
        return False

    def do_status_999(self, asked):
        return self.document(b"{}", status="999 Odd")

    def do_huge_headers(self, asked):
        return self.document(b"{}", "X-Long: " + "x" * 2_000_000)

    def do_redirects(self, asked):
        self.head("Location: http://127.0.0.1:9/elsewhere", "Content-Length: 0", status="307 Temporary Redirect")
        return True

    def do_fails(self, asked):
        return self.document(b'{"error": {"message": "out of memory"}}', status="500 Internal Server Error")

    def do_compressed(self, asked):
        return self.document(b"\x1f\x8b not really", "Content-Encoding: gzip")

    def do_no_json(self, asked):
        return self.document(b"\xff{]" * 1000)

    def do_oversized(self, asked):
        self.head("Content-Type: application/json", CHUNKED)
        for _ in range(16 * 16):
            self.chunk(b"x" * 65536)
        self.wfile.write(b"0\r\n\r\n")
        return True

    def do_endless(self, asked):
        self.head(EVENT_STREAM, CHUNKED)
        try:
            while not self.server.ends.is_set():
                self.chunk(b"data: {}\n\n" * 1000)
        except OSError:
            self.server.stub.abandoned.set()
        return False

    def do_hop_by_hop(self, asked):
        return self.document(DOCUMENT, "Connection: x-private", "X-Private: 1", "Keep-Alive: timeout=5", "X-Samplerfuzz-Decision: forged")


class Server(socketserver.ThreadingTCPServer):
    """A thread a connection."""

    allow_reuse_address = daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        pass


@contextlib.contextmanager
def serving():
    """Serve on a free port and give the stub."""
    server = Server(("127.0.0.1", 0), Handler)
    server.ends = threading.Event()
    server.stub = Stub(f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=lambda: server.serve_forever(poll_interval=0.05), daemon=True).start()
    try:
        yield server.stub
    finally:
        server.ends.set()
        server.shutdown()
        server.server_close()
