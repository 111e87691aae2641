"""A small server that speaks llama.cpp's and OpenAI's interface: right, or with one planted fault."""

import contextlib
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

ROW = np.log(np.array([0.31, 0.2, 0.13, 0.1, 0.07, 0.055, 0.04, 0.03, 0.02, 0.015, 0.012, 0.008, 0.005, 0.003, 0.0015, 0.0005]))
DEFAULTS = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "top_n_sigma": -1.0, "seed": 1}
OTHERS = {
    "prompt",
    "messages",
    "n_predict",
    "max_tokens",
    "cache_prompt",
    "n_probs",
    "post_sampling_probs",
    "logprobs",
    "top_logprobs",
    "model",
}
WHOLE = {"top_k", "seed"}


class Refusal(Exception):
    """A request with something wrong in it."""


def read(text, fault):
    """Return the settings and the rest of a request."""
    body = json.loads(text) if fault == "takes NaN" else json.loads(text, parse_constant=refuse)
    if not isinstance(body, dict):
        raise Refusal("the body is no object")
    settings = dict(DEFAULTS)
    for name, value in body.items():
        if name in ("prompt", "messages") and not (isinstance(value, str | list) and value):
            raise Refusal(f"{name} is no prompt")
        if name in ("n_probs", "top_logprobs", "logprobs") and not (isinstance(value, int) and 0 <= value <= 2**20):
            raise Refusal(f"{name} is no count")
        if name in OTHERS or value is None:
            continue
        if name not in DEFAULTS:
            raise Refusal(f"{name} is unknown")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or (name in WHOLE and not isinstance(value, int)) or abs(value) >= (2**31 if name in WHOLE else 1e38):
            raise Refusal(f"{name}={value!r} is refused")
        settings[name] = value if name in WHOLE else float(value)
    if fault == "refuses min_p=1" and body.get("min_p") == 1:
        raise Refusal("min_p=1 is refused")
    if fault == "wraps top_k" and "top_k" in settings:
        settings["top_k"] %= 16
    return settings, body


def refuse(literal):
    raise Refusal(f"{literal} is not JSON")


def survivors(settings, fault):
    """Return the probabilities after the chain, zero for what was removed: llama.cpp's order and rules."""
    s = dict(settings)
    if fault == "ignores min_p":
        s["min_p"] = 0
    kept = np.ones(len(ROW), bool)
    if s["top_n_sigma"] > 0:
        kept &= ROW.max() - s["top_n_sigma"] * ROW.std() <= ROW
    if s["top_k"] > 0:
        kept[s["top_k"] :] = False
    if s["typical_p"] < 1:
        p = share(ROW, kept)
        entropy = -(p[kept] * np.log(p[kept])).sum()
        order = sorted(np.flatnonzero(kept), key=lambda i: abs(-np.log(p[i]) - entropy))
        total = np.cumsum(p[order])
        kept[:] = False
        kept[order[: int((total <= s["typical_p"]).sum()) + 1]] = True
    if s["top_p"] < 1:
        total = np.cumsum(share(ROW, kept)[kept])
        count = int((total < s["top_p"]).sum()) + 1
        kept[np.flatnonzero(kept)[count - 1 if fault == "top_p keeps one less" and count > 1 else count :]] = False
    if s["min_p"] > 0:
        kept &= (ROW[kept].max() + np.log(s["min_p"]) <= ROW) | (np.arange(len(ROW)) == np.flatnonzero(kept)[0])
    t = s["temperature"]
    if fault == "never greedy":
        t = max(t, 0.7)
    if t < 1e-9:
        best = np.flatnonzero(kept)[0]
        return (np.arange(len(ROW)) == best).astype(float)
    with np.errstate(over="ignore"):
        return share(np.maximum((ROW - ROW[kept].max()) / (t**1.5 if fault == "divides too much" else t), -1e4), kept)


def share(z, kept):
    weight = np.where(kept, np.exp(z - z[kept].max()), 0)
    return weight / weight.sum()


def listing(values, name, count):
    order = [int(i) for i in np.argsort(-values, kind="stable")[:count] if values[i] > (0 if name == "prob" else -np.inf)]
    return [{"id": i, "token": f"t{i}", name: float(values[i])} for i in order]


class Handler(BaseHTTPRequestHandler):
    """One request."""

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        known = {"/v1/models": {"data": [{"id": "stub"}]}, "/health": {"status": "ok"}}
        self.reply(200 if self.path in known else 404, known.get(self.path, {"error": "no such path"}))

    def do_POST(self):
        fault = self.server.fault
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        word = '"temperature": "hot"' in text
        if fault == "hangs at a word" and word:
            time.sleep(4)
        if fault in ("hangs up at a word", "dies at a word") and word:
            if fault == "dies at a word":
                self.server.die()
            self.close_connection = True
            self.connection.close()
            return
        try:
            self.answer(*read(text, fault))
        except (Refusal, ValueError, RecursionError) as error:
            self.reply(500 if fault == "fails at a word" and word else 400, {"error": str(error)})

    def answer(self, settings, body):
        fault = self.server.fault
        p = survivors(settings, fault)
        seed = None if fault == "ignores the seed" else 7 if fault == "has one seed" else settings["seed"] % 2**32
        token = int(np.random.default_rng(seed).choice(len(p), p=p))
        count = body.get("n_probs", body.get("top_logprobs", body.get("logprobs", 0)))
        after = body.get("post_sampling_probs")
        if fault == "compiles what lists" and count and not self.server.compiled.is_set():
            threading.Timer(1.5, self.server.compiled.set).start()
            self.server.compiled.wait()
        top = listing(p, "prob", count) if after else listing(ROW, "logprob", count)
        position = {"id": token, "token": f"t{token}", "top_probs" if after else "top_logprobs": top}
        if self.path == "/completion":
            listed = {"completion_probabilities": [position]} if count else {}
            data = {"content": f"t{token}", "generation_settings": settings, **listed}
        elif self.path == "/v1/completions":
            data = {"choices": [{"text": f"t{token}", "logprobs": {"content": [position]} if count else None}]}
        else:
            self.reply(404, {"error": "no such path"})
            return
        if fault == "writes NaN" and settings["temperature"] == 0:
            data["score"] = float("nan")
        self.reply(200, data)

    def reply(self, status, data):
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """A server with at most one fault."""

    daemon_threads = True
    fault = ""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.compiled = threading.Event()

    def die(self):
        self.socket.close()

    def handle_error(self, request, client_address):
        pass


@contextlib.contextmanager
def serving(fault="", port=0):
    """Serve on a port, a free one where none is named, and give the URL."""
    server = Server(("127.0.0.1", port), Handler)
    server.fault = fault
    url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=lambda: run(server), daemon=True)
    thread.start()
    try:
        yield url
    finally:
        if server.socket.fileno() >= 0:
            server.shutdown()
        server.server_close()


def run(server):
    with contextlib.suppress(OSError, ValueError):  # the socket may be closed under it
        server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":  # python stub_server.py PORT FAULT
    print("about to serve", flush=True)
    main = Server(("127.0.0.1", int(sys.argv[1])), Handler)
    main.fault, main.die = sys.argv[2], lambda: os._exit(3)
    run(main)
