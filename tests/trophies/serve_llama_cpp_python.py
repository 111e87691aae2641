"""Serve a GGUF file with llama-cpp-python's own server: `python serve_llama_cpp_python.py MODEL PORT`."""

import importlib
import sys
import threading
import time


def say_when_it_answers(server, address):
    """Print the address once requests are taken."""
    while not server.started:
        time.sleep(0.1)
    print(address, flush=True)


if __name__ == "__main__":
    app, settings = (importlib.import_module(f"llama_cpp.server.{name}") for name in ("app", "settings"))
    uvicorn = importlib.import_module("uvicorn")
    model, port = sys.argv[1], int(sys.argv[2])
    served = app.create_app(
        server_settings=settings.ServerSettings(host="127.0.0.1", port=port),
        model_settings=[settings.ModelSettings(model=model, n_ctx=512, verbose=False)],
    )
    server = uvicorn.Server(uvicorn.Config(served, host="127.0.0.1", port=port, log_level="error"))
    threading.Thread(target=say_when_it_answers, args=(server, f"http://127.0.0.1:{port}"), daemon=True).start()
    server.run()
