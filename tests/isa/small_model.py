"""A safetensors file with two linear layers, for any Python 3. Usage: small_model.py FILE"""
import json
import random
import struct
import sys

random.seed(1)
header, data = {}, b""
for name, shape in {"layers.0.weight": [128, 256], "layers.1.weight": [128, 512], "layers.1.bias": [128]}.items():
    count = shape[0] * (shape[1] if len(shape) == 2 else 1)
    tensor = struct.pack(f"<{count}f", *(random.gauss(0, 0.02) for _ in range(count)))
    header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(tensor)]}
    data += tensor
text = json.dumps(header).encode()
with open(sys.argv[1], "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + data)
