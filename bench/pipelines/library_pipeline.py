#!/usr/bin/env python3
"""Runs a pipeline by diffusers with optimum-quanto or bitsandbytes; seeds.py starts it and talks to it in lines.

The first line on standard input is the job as JSON, answered with {"versions"} when the libraries are imported; "load" is
answered with {"loaded"}, the bytes of every component; each "run" with {"seconds", "files"}, of processor time; the end of the input ends it."""
import gc
import json
import sys
import time
import warnings

warnings.filterwarnings("ignore")
import diffusers
import torch
import transformers
from diffusers.quantizers.bitsandbytes import bnb_quantizer
from optimum import quanto

diffusers.logging.set_verbosity_error(), diffusers.logging.disable_progress_bar()
transformers.logging.set_verbosity_error(), transformers.logging.disable_progress_bar()

# diffusers refuses bitsandbytes on a machine without a GPU; its loading code itself runs on a CPU.
for quantizer in (bnb_quantizer.BnB4BitDiffusersQuantizer, bnb_quantizer.BnB8BitDiffusersQuantizer):
    quantizer.validate_environment = lambda self, *args, **kwargs: None

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
QUANTO = {"qint8": quanto.qint8, "qint4": quanto.qint4, "qint2": quanto.qint2, "qfloat8": quanto.qfloat8}


def answer(message):
    print(json.dumps(message), flush=True)


def tensor_bytes(tensor):
    if hasattr(tensor, "quant_state") and tensor.quant_state is not None:
        state = tensor.quant_state
        parts = [state.absmax, state.code] + ([state.state2.absmax, state.state2.code] if state.nested else [])
        return tensor.data.nbytes + sum(part.nbytes for part in parts)
    if getattr(tensor, "SCB", None) is not None:
        return tensor.data.nbytes + tensor.SCB.nbytes
    if hasattr(tensor, "__tensor_flatten__"):
        return sum(tensor_bytes(getattr(tensor, name)) for name in tensor.__tensor_flatten__()[0])
    return tensor.nbytes


def module_bytes(module):
    return sum(tensor_bytes(t) for t in [*module.parameters(), *module.buffers()])


def bitsandbytes_component(job, name, method, dtype):
    index = json.load(open(f"{job['source']}/model_index.json"))
    library, class_name = index[name]
    package = {"diffusers": diffusers, "transformers": transformers}[library]
    options = dict(load_in_8bit=True) if method == "int8" else dict(
        load_in_4bit=True, bnb_4bit_quant_type=method, bnb_4bit_compute_dtype=dtype)
    config = package.BitsAndBytesConfig(**options)
    return getattr(package, class_name).from_pretrained(f"{job['source']}/{name}", quantization_config=config,
                                                        device_map="cpu", torch_dtype=dtype)


def load(job):
    dtype = DTYPES[job["dtype"]]
    ready = {name: bitsandbytes_component(job, name, method, dtype)
             for name, method in job["methods"].items() if method not in QUANTO}
    pipe = diffusers.DiffusionPipeline.from_pretrained(job["source"], torch_dtype=dtype, **ready)
    pipe.set_progress_bar_config(disable=True)
    if job["fuse_qkv"]:
        pipe.transformer.fuse_qkv_projections()
    for name, method in job["methods"].items():
        if method in QUANTO:
            network = getattr(pipe, name)
            quanto.quantize(network, weights=QUANTO[method], exclude=job["exclude"] if name == "transformer" else None)
            quanto.freeze(network)
    gc.collect()
    return pipe


def run(pipe, job):
    options = dict(num_inference_steps=job["steps"], height=job["pixels"], width=job["pixels"],
                   num_images_per_prompt=job["images"], max_sequence_length=job["length"],
                   generator=torch.Generator("cpu").manual_seed(job["seed"]))
    if job["family"] == "pixart":
        options |= dict(use_resolution_binning=False, clean_caption=False)
    start = time.process_time()
    images = pipe(job["prompt"], **options).images
    seconds = time.process_time() - start
    files = [f"{job['output']}-{i}.png" for i in range(len(images))]
    for image, file in zip(images, files):
        image.save(file)
    answer({"seconds": seconds, "files": files})


def serve(job):
    torch.set_num_threads(job["threads"])
    answer({"versions": {m.__name__: m.__version__ for m in (torch, diffusers, transformers)}})
    if sys.stdin.readline().strip() != "load":
        return
    start = time.perf_counter()
    pipe = load(job)
    if job.get("save"):
        quanto_class = getattr(quanto, "Quantized" + type(pipe.transformer).__name__)
        quanto_class(pipe.transformer).save_pretrained(job["save"])
    bytes_of = {name: module_bytes(m) for name, m in pipe.components.items() if isinstance(m, torch.nn.Module)}
    answer({"loaded": bytes_of, "seconds": time.perf_counter() - start})
    while sys.stdin.readline().strip() == "run":
        run(pipe, job)


def main():
    try:
        serve(json.loads(sys.stdin.readline()))
    except Exception as error:
        answer({"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"})


if __name__ == "__main__":
    main()
