"""Products of ggml's CPU back end, called in its libraries, as llama.cpp multiplies: x in float32, rounded to 8 bits by ggml,
weights in the layout that ggml repacks them to where it has one."""
import ctypes
import pathlib

import gguf
import numpy

FLOAT32 = 0
POINTER, SIZE = ctypes.c_void_p, ctypes.c_size_t


class InitParams(ctypes.Structure):
    _fields_ = [("memory_size", SIZE), ("memory", POINTER), ("no_alloc", ctypes.c_bool)]


class Ggml:
    """The functions that products take, of libggml-base.so and libggml-cpu.so in `folder`."""

    def __init__(self, folder, threads):
        self.base = ctypes.CDLL(str(pathlib.Path(folder) / "libggml-base.so"), mode=ctypes.RTLD_GLOBAL)
        self.cpu = ctypes.CDLL(str(pathlib.Path(folder) / "libggml-cpu.so"), mode=ctypes.RTLD_GLOBAL)
        i32, i64 = ctypes.c_int, ctypes.c_int64
        declare(self.base, {
            "ggml_init": (POINTER, [InitParams]),
            "ggml_new_tensor_2d": (POINTER, [POINTER, i32, i64, i64]),
            "ggml_mul_mat": (POINTER, [POINTER, POINTER, POINTER]),
            "ggml_new_graph": (POINTER, [POINTER]),
            "ggml_build_forward_expand": (None, [POINTER, POINTER]),
            "ggml_nbytes": (SIZE, [POINTER]),
            "ggml_quantize_chunk": (SIZE, [i32, POINTER, POINTER, i64, i64, i64, POINTER]),
            "ggml_backend_buft_alloc_buffer": (POINTER, [POINTER, SIZE]),
            "ggml_backend_buft_get_alloc_size": (SIZE, [POINTER, POINTER]),
            "ggml_backend_buffer_get_base": (POINTER, [POINTER]),
            "ggml_backend_buffer_free": (None, [POINTER]),
            "ggml_backend_tensor_alloc": (i32, [POINTER, POINTER, POINTER]),
            "ggml_backend_tensor_set": (None, [POINTER, POINTER, SIZE, SIZE]),
            "ggml_backend_cpu_buffer_type": (POINTER, []),
            "ggml_backend_reg_dev_get": (POINTER, [POINTER, SIZE]),
            "ggml_backend_reg_get_proc_address": (POINTER, [POINTER, ctypes.c_char_p]),
            "ggml_backend_dev_supports_op": (ctypes.c_bool, [POINTER, POINTER]),
            "ggml_backend_graph_compute": (i32, [POINTER, POINTER]),
        })
        declare(self.cpu, {
            "ggml_backend_cpu_init": (POINTER, []),
            "ggml_backend_cpu_set_n_threads": (None, [POINTER, i32]),
            "ggml_backend_cpu_reg": (POINTER, []),
        })
        self.backend = self.cpu.ggml_backend_cpu_init()
        self.cpu.ggml_backend_cpu_set_n_threads(self.backend, threads)
        registered = self.cpu.ggml_backend_cpu_reg()
        self.device = self.base.ggml_backend_reg_dev_get(registered, 0)
        address = self.base.ggml_backend_reg_get_proc_address(registered, b"ggml_backend_dev_get_extra_bufts")
        found = ctypes.CFUNCTYPE(ctypes.POINTER(POINTER), POINTER)(address)(self.device)
        self.layouts = []
        while found and found[len(self.layouts)]:
            self.layouts.append(found[len(self.layouts)])
        self.layouts.append(self.base.ggml_backend_cpu_buffer_type())

    def place(self, tensor, layout):
        size = self.base.ggml_backend_buft_get_alloc_size(layout, tensor)
        buffer = self.base.ggml_backend_buft_alloc_buffer(layout, size)
        self.base.ggml_backend_tensor_alloc(buffer, tensor, self.base.ggml_backend_buffer_get_base(buffer))
        return buffer

    def encode(self, quant_type, numbers):
        """numbers[rows][columns] in float32, every column of importance 1."""
        block, size = gguf.GGML_QUANT_SIZES[quant_type]
        out = numpy.empty(numbers.size // block * size, numpy.uint8)
        importance = numpy.ones(numbers.shape[1], numpy.float32)
        self.base.ggml_quantize_chunk(quant_type, numbers.ctypes.data, out.ctypes.data, 0, *numbers.shape, importance.ctypes.data)
        return out


def declare(library, functions):
    for name, (result, arguments) in functions.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments


class GgmlLinear:
    """y[rows][features] = x W^T. A graph for each number of rows, as llama.cpp keeps them; x's values do not matter."""

    def __init__(self, ggml, kind, features):
        self.ggml, self.features = ggml, features
        self.quant_type = getattr(gguf.GGMLQuantizationType, kind)
        self.context = ggml.base.ggml_init(InitParams(1 << 20, None, True))
        self.weight = ggml.base.ggml_new_tensor_2d(self.context, self.quant_type, features, features)
        self.graphs = {}
        some = ggml.encode(self.quant_type, numpy.random.default_rng(1).normal(0, 0.02, (16, features)).astype(numpy.float32))
        stored = numpy.tile(some, features // 16)
        for layout in ggml.layouts:
            buffer = ggml.place(self.weight_for(layout), layout)
            if layout == ggml.layouts[-1] or ggml.base.ggml_backend_dev_supports_op(ggml.device, self.product(1)):
                break
            ggml.base.ggml_backend_buffer_free(buffer)
        ggml.base.ggml_backend_tensor_set(self.weight, stored.ctypes.data, 0, stored.nbytes)

    def weight_for(self, layout):
        self.weight = self.ggml.base.ggml_new_tensor_2d(self.context, self.quant_type, self.features, self.features)
        return self.weight

    def product(self, rows):
        self.x = self.ggml.base.ggml_new_tensor_2d(self.context, FLOAT32, self.features, rows)
        return self.ggml.base.ggml_mul_mat(self.context, self.weight, self.x)

    def __call__(self, x):
        base, rows = self.ggml.base, x.shape[0]
        if rows not in self.graphs:
            y = self.product(rows)
            plain = self.ggml.layouts[-1]
            self.ggml.place(self.x, plain)
            self.ggml.place(y, plain)
            numbers = numpy.random.default_rng(2).normal(0, 1, (rows, self.features)).astype(numpy.float32)
            base.ggml_backend_tensor_set(self.x, numbers.ctypes.data, 0, numbers.nbytes)
            self.graphs[rows] = base.ggml_new_graph(self.context)
            base.ggml_build_forward_expand(self.graphs[rows], y)
        base.ggml_backend_graph_compute(self.ggml.backend, self.graphs[rows])
