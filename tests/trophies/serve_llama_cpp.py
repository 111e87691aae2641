"""Serve a GGUF file with xllamacpp, llama.cpp's server in a wheel: `python serve_llama_cpp.py MODEL PORT`."""

import importlib
import sys
import time

if __name__ == "__main__":
    xllamacpp = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path, params.port = sys.argv[1], int(sys.argv[2])
    params.n_ctx, params.n_parallel, params.warmup = 512, 1, False
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    while True:
        time.sleep(1)
