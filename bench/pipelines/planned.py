#!/usr/bin/env python3
"""Plans the article's pipelines at their published sizes, from headers without data, beside the published memory.

    bench/pipelines/planned.py WORK_DIR [--json FILE]

Makes PixArt-Sigma, SD3-medium and AuraFlow in WORK_DIR: shapes from diffusers' and transformers' classes on the meta
device, weight files that are sparse (tens of gigabytes in name, kilobytes on the disk). Then runs `precis plan` on each
choice of methods. Published figures: GiB that torch.cuda.memory_allocated() gave on an H100."""
import argparse
import dataclasses
import json
import pathlib
import struct
import subprocess

import diffusers
import torch
import transformers

from measure import PRECIS, table, write_json

GIB = 2**30
NAMES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}
T5_XXL = dict(vocab_size=32128, d_model=4096, d_kv=64, d_ff=10240, num_layers=24, num_heads=64, feed_forward_proj="gated-gelu",
              tie_word_embeddings=False, is_encoder_decoder=False)
CLIP_L = dict(vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
              projection_dim=768, max_position_embeddings=77, hidden_act="quick_gelu")
CLIP_BIG_G = CLIP_L | dict(hidden_size=1280, intermediate_size=5120, num_hidden_layers=32, num_attention_heads=20,
                           projection_dim=1280, hidden_act="gelu")
PILE_T5_XL = T5_XXL | dict(d_model=2048, d_ff=5120, num_heads=32)
VAE = dict(down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
           block_out_channels=(128, 256, 512, 512), layers_per_block=2, sample_size=1024)
VAE_OF = {"pixart": VAE | dict(latent_channels=4), "auraflow": VAE | dict(latent_channels=4),
          "sd3": VAE | dict(latent_channels=16, use_quant_conv=False, use_post_quant_conv=False)}
PIXART = dict(num_attention_heads=16, attention_head_dim=72, in_channels=4, out_channels=8, num_layers=28, cross_attention_dim=1152,
              sample_size=128, patch_size=2, norm_elementwise_affine=False, norm_eps=1e-6, attention_bias=True,
              caption_channels=4096, interpolation_scale=2, use_additional_conditions=False)
SD3 = dict(sample_size=128, patch_size=2, in_channels=16, out_channels=16, num_layers=24, attention_head_dim=64,
           num_attention_heads=24, joint_attention_dim=4096, caption_projection_dim=1536, pooled_projection_dim=2048,
           pos_embed_max_size=192)
AURAFLOW = dict(sample_size=64, patch_size=2, in_channels=4, out_channels=4, num_mmdit_layers=4, num_single_dit_layers=32,
                attention_head_dim=256, num_attention_heads=12, joint_attention_dim=2048, caption_projection_dim=3072,
                pos_embed_max_size=4096)
SIZES = {
    "pixart": ("PixArtSigmaPipeline", {"transformer": ("PixArtTransformer2DModel", PIXART),
                                       "text_encoder": ("T5EncoderModel", T5_XXL)}),
    "sd3": ("StableDiffusion3Pipeline", {"transformer": ("SD3Transformer2DModel", SD3),
                                         "text_encoder": ("CLIPTextModelWithProjection", CLIP_L),
                                         "text_encoder_2": ("CLIPTextModelWithProjection", CLIP_BIG_G),
                                         "text_encoder_3": ("T5EncoderModel", T5_XXL)}),
    "auraflow": ("AuraFlowPipeline", {"transformer": ("AuraFlowTransformer2DModel", AURAFLOW),
                                      "text_encoder": ("UMT5EncoderModel", PILE_T5_XL)}),
}


@dataclasses.dataclass
class Row:
    family: str
    label: str
    methods: dict
    published: float | None = None  # GiB
    dtype: torch.dtype = torch.float16
    exclude: str | None = None
    fuse_qkv: bool = False
    remark: str = ""


def both(method):
    return {"transformer": method, "text_encoder": method}


ROWS = [
    Row("pixart", "float16", {}, 12.086, remark="T5's wo is float32 beside float16: 1.88 GiB more"),
    Row("pixart", "qfloat8 transformer", {"transformer": "qfloat8"}, 11.547),
    Row("pixart", "qfloat8 both", both("qfloat8"), 5.363, remark="wo goes from 4 bytes to 1"),
    Row("pixart", "qint8 both", both("qint8"), remark="as qfloat8"),
    Row("pixart", "qint8 both, fused QKV", both("qint8"), 5.536, fuse_qkv=True,
        remark="diffusers keeps the layers that it fused beside the fused one"),
    Row("pixart", "qint4 transformer, proj_out float", {"transformer": "qint4"}, 9.380, torch.bfloat16, "proj_out",
        remark="no float32 in bfloat16"),
    Row("pixart", "qint4 both, proj_out float", both("qint4"), 3.058, torch.bfloat16, "proj_out"),
    Row("pixart", "nf4 both", both("nf4"), None, torch.bfloat16),
    Row("pixart", "int8 both", both("int8"), None, torch.float16),
    Row("sd3", "float16", {}, 16.403),
    Row("sd3", "qfloat8 transformer", {"transformer": "qfloat8"}),
    Row("sd3", "qfloat8 transformer, encoder 1", {"transformer": "qfloat8", "text_encoder": "qfloat8"}, 14.384),
    Row("sd3", "qfloat8 transformer, encoder 3", {"transformer": "qfloat8", "text_encoder_3": "qfloat8"}, 8.294),
    Row("sd3", "qfloat8 transformer, encoders 1 3", {"transformer": "qfloat8", "text_encoder": "qfloat8",
                                                     "text_encoder_3": "qfloat8"}, 8.204),
    Row("sd3", "qfloat8 all", {name: "qfloat8" for name in ("transformer", "text_encoder", "text_encoder_2",
                                                            "text_encoder_3")}, 8.200,
        remark="the published figure is that of encoders 1 and 3; encoder 2 in 8 bits saves 0.59 GiB"),
    Row("sd3", "nf4 transformer, encoder 3", {"transformer": "nf4", "text_encoder_3": "nf4"}, None, torch.bfloat16),
    Row("auraflow", "float16", {}),
    *(Row("auraflow", f"{method} transformer", {"transformer": method},
          exclude="proj_out" if method == "qint4" else None, dtype=torch.bfloat16 if method in ("qint4", "nf4") else torch.float16)
      for method in ("qfloat8", "qint8", "qint4", "nf4", "int8", "gguf:q4_k")),
    Row("auraflow", "qint8 both", both("qint8")),
]


def on_meta(class_name, config):
    with torch.device("meta"):
        if hasattr(diffusers, class_name):
            return getattr(diffusers, class_name)(**config)
        cls = getattr(transformers, class_name)
        return cls(cls.config_class(**config))


def write_sparse(directory, model, dtype):
    """A component whose weight file has a header and a hole."""
    directory.mkdir(parents=True, exist_ok=True)
    in_float32 = dtype == torch.float16 and "T5" in type(model).__name__
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    tensors = {**dict(model.named_parameters()), **{k: v for k, v in model.named_buffers() if k in model.state_dict()}}
    for name, tensor in tensors.items():
        held = torch.float32 if in_float32 and ".wo." in name else dtype
        size = tensor.numel() * held.itemsize
        header[name] = {"dtype": NAMES[held], "shape": list(tensor.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    network = isinstance(model, transformers.PreTrainedModel)
    with open(directory / ("model.safetensors" if network else "diffusion_pytorch_model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + offset)
    if network:
        model.config.architectures = [type(model).__name__]
        model.config.to_json_file(directory / "config.json")
    else:
        model.save_config(directory)
    return sum(p.numel() for p in model.parameters())


def make_pipeline(work, family, dtype):
    directory = work / f"{family}-{NAMES[dtype]}"
    class_name, components = SIZES[family]
    index, counts = {"_class_name": class_name, "_diffusers_version": diffusers.__version__}, {}
    for name, (network, config) in {**components, "vae": ("AutoencoderKL", VAE_OF[family])}.items():
        counts[name] = write_sparse(directory / name, on_meta(network, config), dtype)
        index[name] = ["diffusers" if hasattr(diffusers, network) else "transformers", network]
    (directory / "model_index.json").write_text(json.dumps(index, indent=1))
    return directory, counts


def fused_parts(family):
    """Bytes of 8-bit codes of the projections that diffusers' fuse_qkv_projections() leaves beside the fused ones."""
    network, config = SIZES[family][1]["transformer"]
    parts = 0
    for name, p in on_meta(network, config).named_parameters():
        cross = ".attn2." in name
        if name.endswith(".weight") and any(f".{leaf}." in name for leaf in (("to_k", "to_v") if cross else
                                                                            ("to_q", "to_k", "to_v"))):
            parts += p.numel()
    return parts


def plan(directory, row):
    command = [PRECIS, "plan", directory, "--json", "--no-default-skips"]
    for component, method in row.methods.items():
        command += ["--component", f"{component}={method}"]
        if method in ("nf4", "fp4", "int8") and component != "transformer":
            command += ["--skip", r"\.wo\.weight$"]  # as transformers' bitsandbytes quantizer
    if row.exclude:
        command += ["--skip", rf"^transformer\.{row.exclude}\."]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"{row.family} {row.label}: {result.stderr}{result.stdout[:2000]}")
    return json.loads(result.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    made, records = {}, []
    for row in ROWS:
        if (row.family, row.dtype) not in made:
            made[row.family, row.dtype] = make_pipeline(arguments.work, row.family, row.dtype)
        report = plan(made[row.family, row.dtype][0], row)
        sizes = {c["name"]: c["output_bytes"] for c in report["components"]}
        total = sum(sizes.values()) + (fused_parts(row.family) if row.fuse_qkv else 0)
        records.append(dict(family=row.family, label=row.label, dtype=NAMES[row.dtype], bytes=sizes, total=total,
                            published_gib=row.published, remark=row.remark))
    parameters = {family: counts for (family, _), (_, counts) in made.items()}
    print(table(["pipeline", *["transformer", "encoders", "vae"]],
                [[family, *(f"{n / 1e9:.3f} B" for n in (counts["transformer"], sum(
                    v for k, v in counts.items() if k.startswith("text")), counts["vae"]))]
                 for family, counts in parameters.items()]))
    gib = lambda n: f"{n / GIB:.3f}"
    print(table(["pipeline", "row", "transformer, GiB", "encoders", "vae", "planned", "published", "difference", "remark"],
                [[r["family"], r["label"], gib(r["bytes"]["transformer"]),
                  " + ".join(gib(v) for k, v in r["bytes"].items() if k.startswith("text")), gib(r["bytes"]["vae"]),
                  gib(r["total"]), f"{r['published_gib']:.3f}" if r["published_gib"] else "-",
                  f"{r['published_gib'] - r['total'] / GIB:+.3f}" if r["published_gib"] else "-", r["remark"]]
                 for r in records]))
    if arguments.json:
        write_json(arguments.json, {"parameters": parameters, "rows": records})


if __name__ == "__main__":
    main()
