"""A GGUF file of the same weights in float32: what llama.cpp computes in full precision beside the quantised file."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np


def write_float32(source: Path, target: Path) -> None:
    """Write the tensors of `source` de-quantised, with the same metadata.

    A file with one tensor type more or less says so in its metadata alone; what reads it looks at each tensor.
    """
    reader = gguf.GGUFReader(source)
    architecture = reader.get_field("general.architecture")
    writer = gguf.GGUFWriter(target, architecture.contents() if architecture else "llama")
    own = {"general.architecture", "general.file_type", "general.quantization_version"}
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in own:
            continue
        kind, *inner = field.types
        writer.add_key_value(name, field.contents(), kind, inner[-1] if inner else None)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    for tensor in reader.tensors:
        shape = tuple(int(size) for size in reversed(tensor.shape))
        writer.add_tensor(tensor.name, np.ascontiguousarray(gguf.dequantize(tensor.data, tensor.tensor_type), np.float32).reshape(shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
