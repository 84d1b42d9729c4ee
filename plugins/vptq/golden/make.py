"""Makes the files beside it: indices, centroids and scales drawn at random, decoded and multiplied by vptq 0.0.5 on a CPU.
Usage: make.py, with vptq installed (pip install --no-deps vptq==0.0.5.post1; it decodes without its CUDA library)."""
import pathlib
import sys
import types

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2]))
# Imported by the package for the type of an argument alone.
sys.modules["sentence_transformers"] = package = types.ModuleType("sentence_transformers")
package.SentenceTransformer = sys.modules["sentence_transformers.SentenceTransformer"] = types.ModuleType("SentenceTransformer")
package.SentenceTransformer.SentenceTransformer = object
import torch  # noqa: E402
from vptq.layers.vqlinear import VQuantLinear  # noqa: E402
from vptq.utils.pack import pack_index  # noqa: E402

from tests.oracle.make_golden import NAME, save_case, weight  # noqa: E402


def entry(rows, columns, vector, centroids, residual=-1, groups=1, outliers=0, norm=True, perm=False):
    return {"in_features": columns, "out_features": rows, "vector_lens": [4 if outliers else -1, vector],
            "num_centroids": [16 if outliers else -1, centroids], "num_res_centroids": [-1, residual],
            "group_num": groups, "group_size": (columns - outliers) // groups, "outlier_size": outliers,
            "indices_as_float": False, "enable_norm": norm, "enable_perm": perm, "is_indice_packed": True}


CASES = {
    "v8-k256": entry(16, 64, 8, 256),
    "v8-k64-r16": entry(24, 72, 8, 64, 16),
    "padded": entry(20, 50, 6, 32, 32),
    "bare": entry(20, 50, 6, 32, 8, norm=False),
    "perm": entry(24, 72, 8, 64, 16, perm=True),
    "groups": entry(20, 72, 8, 32, 16, groups=3, perm=True),
    "outliers": entry(22, 68, 8, 64, 16, outliers=4, perm=True),
}


def drawn(case, dtype):
    """A layer of random contents."""
    made = torch.Generator().manual_seed(11)
    layer = VQuantLinear(**case, bias=True, dtype=dtype, enable_proxy_error=False)
    bits, residual = layer.index_bits, layer.res_index_bits
    shape = (layer.num_codebooks, layer.num_indices, layer.group_size)

    def indices(width):
        return torch.randint(0, 2**width, shape, generator=made).to(torch.uint16)

    layer.indices.data = pack_index(indices(bits), bits, indices(residual) if residual else None, residual)
    for book, scale in ((layer.centroids, 1), (layer.res_centroids, 0.2), (layer.outlier_centroids, 1)):
        if book is not None:
            book.weight.data = torch.randn(book.weight.shape, generator=made).mul(scale).to(dtype)
    if layer.enable_outlier:
        layer.outlier_indices.data = torch.randint(0, 16, layer.outlier_indices.shape, generator=made).to(torch.int16)
    if layer.enable_perm:
        layer.perm.data = torch.randperm(layer.in_features, generator=made).to(torch.int16)
    if layer.enable_norm:
        layer.weight_scale.data = torch.rand(layer.in_features, generator=made).mul(0.1).to(dtype)
        layer.weight_bias.data = torch.randn(layer.in_features, generator=made).mul(0.01).to(dtype)
    layer.bias.data = torch.randn(layer.out_features, generator=made).to(dtype)
    return layer


def decoded(layer):
    identity = torch.eye(layer.in_features, dtype=layer.centroids.weight.dtype)
    bias, layer.bias = layer.bias, None
    weight = layer(identity).T.contiguous()
    layer.bias = bias
    return weight


for name, case in CASES.items():
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        shape = [case["out_features"], case["in_features"]]
        with torch.no_grad():
            layer = drawn(case, dtype)
            tensors = {"expected." + key: value for key, value in layer.state_dict().items()}
            tensors["input.bias"] = tensors["expected.bias"]
            tensors["input.weight"] = weight(5, *shape, dtype, "gauss")
            tensors["dequantized.weight"] = decoded(layer)
            if dtype != torch.float16:
                tensors["forward.x"] = weight(6, 3, shape[1], dtype, "gauss") * 30
                tensors["forward.y"] = layer(tensors["forward.x"])
        path = HERE / "vptq" / f"{name}-{shape[0]}x{shape[1]}-{NAME[dtype]}.safetensors"
        save_case(path, "vptq", {**case, "shape": shape, "weight_dtype": str(dtype)[6:]}, tensors, packages=["vptq"])
