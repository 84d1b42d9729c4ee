"""The rows of "Memory-efficient Diffusion Transformers with Quanto and Diffusers" (Hugging Face, July 2024), and those of
bitsandbytes beside them. Published figures are of one H100: memory left allocated in GiB, seconds an image (or batch)."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Row:
    table: str
    family: str
    label: str
    methods: dict = dataclasses.field(default_factory=dict)  # component -> method
    dtype: str = "bf16"
    images: int = 1
    fuse_qkv: bool = False
    exclude: str | None = "proj_out"  # layer of the transformer that is left out
    published: str = ""


def both(method):
    return {"transformer": method, "text_encoder": method}


def pixart():
    row = lambda table, label, *rest, **more: Row(table, "pixart", label, *rest, **more)
    for images, published in ((1, ("12.086 / 1.200", "11.547 / 1.540", "5.363 / 1.601")),
                              (4, ("12.087 / 4.482", "11.548 / 5.109", "5.364 / 5.141"))):
        batch = dict(images=images, exclude=None)
        yield row("batch", f"float, {images} image{'s' * (images > 1)}", {}, published=published[0], **batch)
        yield row("batch", "qfloat8 transformer", {"transformer": "qfloat8"}, published=published[1], **batch)
        yield row("batch", "qfloat8 transformer and encoder", both("qfloat8"), published=published[2], **batch)
    for method, dtype, published in (("qint8", "bf16", "1.454 s"), ("qint8", "f16", "1.538 s"),
                                     ("qfloat8", "bf16", "1.495 s"), ("qfloat8", "f16", "1.601 s")):
        yield row("dtype", f"{method} both, {dtype}", both(method), dtype=dtype, exclude=None, published=published)
    for images, published in ((1, "5.536 / 1.504"), (4, "5.538 / 4.989")):
        yield row("fused", f"qint8 both, {images} image{'s' * (images > 1)}", both("qint8"), images=images, exclude=None)
        yield row("fused", "the same, fused QKV", both("qint8"), images=images, fuse_qkv=True, exclude=None,
                  published=published)
    yield row("qint4", "qint4 transformer, proj_out float", {"transformer": "qint4"}, published="9.380 / 7.431")
    yield row("qint4", "qint4 both, proj_out float", both("qint4"), published="3.058 / 7.604")
    yield row("qint4", "qint4 transformer, proj_out too", {"transformer": "qint4"}, exclude=None)
    yield row("bitsandbytes", "nf4 both", both("nf4"))
    yield row("bitsandbytes", "int8 both", both("int8"))


def sd3():
    encoders = {1: "text_encoder", 2: "text_encoder_2", 3: "text_encoder_3"}
    yield Row("encoders", "sd3", "float", published="16.403 / 2.118", exclude=None)
    for which, published in (((), ""), ((1,), "14.384 / 2.730"), ((2,), "hurts quality"), ((3,), "8.294 / 2.781"),
                             ((1, 3), "8.204 / 2.789"), ((1, 2, 3), "8.200 / 2.858")):
        methods = {"transformer": "qfloat8"} | {encoders[i]: "qfloat8" for i in which}
        label = "qfloat8 transformer" + (f", encoders {' '.join(map(str, which))}" if which else "")
        yield Row("encoders", "sd3", label, methods, published=published, exclude=None)
    yield Row("bitsandbytes", "sd3", "nf4 transformer and encoder 3", {"transformer": "nf4", "text_encoder_3": "nf4"},
              exclude=None)


def auraflow():
    yield Row("methods", "auraflow", "float", exclude=None)
    for method in ("qfloat8", "qint8", "qint4"):
        yield Row("methods", "auraflow", f"{method} transformer", {"transformer": method},
                  exclude="proj_out" if method == "qint4" else None)
    yield Row("methods", "auraflow", "nf4 transformer", {"transformer": "nf4"}, exclude=None)


def rows():
    return [*pixart(), *sd3(), *auraflow()]
