"""precis perplexity and precis complete beside transformers, on a small Llama with a trained tokenizer."""
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "models"))
from small_tokenizers import llama_tokenizer  # noqa: E402

TEXT = ("The lighthouse keeper wrote down the weather every evening: wind from the west, a swell of two metres, ice on the rail. "
        "In the morning she crossed it out, since nothing of it had come true, and wrote the next one. ") * 6


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    directory = tmp_path_factory.mktemp("llama")
    tokenizer = llama_tokenizer(directory, 384)
    tokenizer.save_pretrained(directory)
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), hidden_size=64, intermediate_size=160, num_hidden_layers=3, num_attention_heads=4,
                                         num_key_value_heads=2, max_position_embeddings=128, initializer_range=0.15, bos_token_id=1, eos_token_id=2)).eval()
    # Single bytes and <unk> are never likeliest: sentencepiece and transformers show them differently.
    with torch.no_grad():
        model.lm_head.weight[[i for i, piece in enumerate(tokenizer.convert_ids_to_tokens(range(len(tokenizer)))) if piece.startswith("<")]] = 0
    model.save_pretrained(directory)
    return directory, tokenizer, model


def windows(count, context, stride):
    done = 1
    for begin in range(0, count, stride):
        end = min(begin + context, count)
        yield begin, done, end
        done = end
        if end == count:
            return


def log_probabilities(model, ids, context, stride):
    with torch.inference_mode():
        return torch.cat([model(ids[None, begin:end]).logits[0, done - 1 - begin:end - 1 - begin].log_softmax(-1)
                          for begin, done, end in windows(len(ids), context, stride)])


@pytest.mark.parametrize("options, context, stride", [([], 128, 64), (["--context", 48, "--stride", 5], 48, 5), (["--context", 2, "--stride", 1], 2, 1)])
def test_perplexity_is_that_of_the_library(precis, llama, tmp_path, options, context, stride):
    directory, tokenizer, model = llama
    (tmp_path / "text").write_text(TEXT)
    report = precis.json("perplexity", directory, "-f", tmp_path / "text", *options)
    ids = torch.tensor(tokenizer(TEXT)["input_ids"])
    nll = -log_probabilities(model, ids, context, stride).gather(1, ids[1:, None]).mean().item()
    assert report["tokens"] == len(ids) - 1
    assert report["perplexity"] == pytest.approx(math.exp(nll), rel=1e-4)


def test_a_quantized_model_is_compared_with_its_float_form(precis, llama, tmp_path):
    directory, tokenizer, model = llama
    (tmp_path / "text").write_text(TEXT)
    precis("quantize", directory, "-o", tmp_path / "nf4", "--type", "nf4")
    precis("dequantize", tmp_path / "nf4", "-o", tmp_path / "decoded", "--dtype", "f32")
    fly = precis.json("perplexity", directory, "--type", "nf4", "-f", tmp_path / "text", "--compare-float")
    stored = precis.json("perplexity", tmp_path / "nf4", "-f", tmp_path / "text", "--float", directory)
    for key in ("perplexity", "mean_divergence", "same_token_share"):
        assert fly[key] == pytest.approx(stored[key], rel=1e-5)
    ids = torch.tensor(tokenizer(TEXT)["input_ids"])
    ours, theirs = (log_probabilities(m, ids, 128, 64) for m in (LlamaForCausalLM.from_pretrained(tmp_path / "decoded"), model))
    assert fly["mean_divergence"] == pytest.approx((theirs.exp() * (theirs - ours)).sum(-1).mean().item(), rel=1e-3)
    assert fly["same_token_share"] == pytest.approx((ours.argmax(-1) == theirs.argmax(-1)).double().mean().item(), abs=0.01)
    assert fly["method"] and fly["loaded_bytes"] < fly["source_bytes"]


def test_it_goes_on_as_the_library_does(precis, llama):
    directory, tokenizer, model = llama
    prompt = "The lighthouse"
    ids = torch.tensor([tokenizer(prompt, add_special_tokens=False)["input_ids"]])
    expected = model.generate(ids, max_new_tokens=24, do_sample=False)[0]
    text = precis.json("complete", directory, "--prompt", prompt, "--tokens", 24)["text"]
    decoded = tokenizer.decode(expected, skip_special_tokens=True)
    assert prompt + text == decoded or prompt + text == decoded.removeprefix(" ")


def test_sampling_follows_the_seed(precis, llama):
    said = [precis.json("complete", llama[0], "--prompt", "The", "--tokens", 12, "--temperature", 2, "--seed", seed)["text"] for seed in (1, 1, 2)]
    assert said[0] == said[1] != said[2]


def test_what_does_not_fit_is_refused(precis, llama, tmp_path, pipelines):
    directory = llama[0]
    (tmp_path / "text").write_text(TEXT)
    (tmp_path / "empty").write_text("")
    file = ("-f", tmp_path / "text")
    assert "128" in precis("perplexity", directory, *file, "--context", 500, code=1).stderr
    assert "stride" in precis("perplexity", directory, *file, "--context", 8, "--stride", 8, code=1).stderr
    assert "tokens" in precis("perplexity", directory, "-f", tmp_path / "empty", code=1).stderr
    assert "nowhere" in precis("perplexity", directory, "-f", tmp_path / "nowhere", code=2).stderr
    (tmp_path / "latin1").write_bytes("Höhe".encode("latin-1"))
    assert "not UTF-8" in precis("perplexity", directory, "-f", tmp_path / "latin1", code=1).stderr
    assert "not UTF-8" in subprocess.run([precis.path, "complete", directory, "--prompt", b"\xff"], capture_output=True, text=True).stderr
    for tokens in (1000, 9223372036854775807):
        assert "model takes" in precis("complete", directory, "--prompt", "x", "--tokens", tokens, code=1).stderr
    assert "LlamaForCausalLM" in precis("complete", pipelines("sd3") / "transformer", "--prompt", "x", code=2).stderr
