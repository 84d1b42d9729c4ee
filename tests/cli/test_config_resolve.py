"""precis config resolve: presets, config strings and pipelines, held against the Python libraries' own classes."""
import json

import pytest

BAD_USE = 1


def resolve(precis, config, *options):
    return precis.json("config", "resolve", config if isinstance(config, str) else json.dumps(config), *options)


def as_json(config):
    """A config object of a library, its dtypes as the bare names that config.json has."""
    return {key: str(value).removeprefix("torch.") if "dtype" in key and value is not None else value
            for key, value in config.to_dict().items()}


def test_a_preset_becomes_what_diffusers_class_holds(precis):
    from diffusers import BitsAndBytesConfig, GGUFQuantizationConfig, QuantoConfig
    import torch
    assert resolve(precis, "qint4", "--library", "diffusers")["config"] == as_json(QuantoConfig(weights_dtype="int4"))
    assert resolve(precis, "quanto:qfloat8", "--library", "diffusers")["config"] == as_json(QuantoConfig(weights_dtype="float8"))
    assert resolve(precis, "nf4", "--library", "diffusers")["config"] == as_json(BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4"))
    gguf = resolve(precis, "gguf:q4_k", "--library", "diffusers")
    assert gguf["config"] == as_json(GGUFQuantizationConfig(compute_dtype=torch.float32)) and gguf["not_in_library"] == ["type"]
    bf16 = resolve(precis, "q4_k:compute_dtype=bfloat16", "--library", "diffusers")
    assert bf16["config"] == as_json(GGUFQuantizationConfig(compute_dtype=torch.bfloat16))


def test_a_preset_becomes_what_transformers_class_holds(precis):
    from transformers import BitsAndBytesConfig, QuantoConfig
    assert resolve(precis, "qint4", "--library", "transformers")["config"] == as_json(QuantoConfig(weights="int4"))
    assert resolve(precis, "int8", "--library", "transformers")["config"] == as_json(BitsAndBytesConfig(load_in_8bit=True))
    gguf = precis("config", "resolve", "q4_k", "--library", "transformers", "--json")
    assert json.loads(gguf.stdout)["not_in_library"] == ["type"] and "no place for type" in gguf.stderr


@pytest.mark.parametrize("preset, library, words", [("qfloat8_e5m2", "diffusers", "float8"), ("qfloat8_e5m2", "transformers", "float8"),
                                                    ("gptq-4bit", "diffusers", "no config class")])
def test_a_preset_that_a_library_has_nothing_for(precis, preset, library, words):
    result = precis("config", "resolve", preset, "--library", library, code=BAD_USE)
    assert library in result.stderr and words in result.stderr


@pytest.mark.parametrize("arguments", [{"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, {"load_in_8bit": True, "llm_int8_threshold": 5.0},
                                       {"load_in_4bit": True, "llm_int8_skip_modules": ["proj_out"]}])
def test_the_difference_from_the_defaults_is_to_diff_dict(precis, arguments):
    import diffusers
    import transformers
    for library in (diffusers, transformers):
        expected = library.BitsAndBytesConfig(**arguments).to_diff_dict()
        given = {"quant_method": "bitsandbytes", **arguments}
        assert resolve(precis, given, "--library", library.__name__, "--diff")["config"] == expected


BACKEND = {"quant_backend": "bitsandbytes_4bit", "quant_kwargs": {"load_in_4bit": True}, "components_to_quantize": ["transformer", "text_encoder_2"]}
MAPPING = {"quant_mapping": {"transformer": {"quant_method": "quanto", "weights_dtype": "int4"}, "text_encoder_2": "nf4"}}


def test_a_pipelines_config_resolves_for_each_component(precis, tmp_path):
    both = resolve(precis, BACKEND, "--library", "diffusers")["components"]
    assert set(both) == {"transformer", "text_encoder_2"}
    assert all(c["config"]["load_in_4bit"] and c["method"] == "bitsandbytes_4bit" for c in both.values())
    every = resolve(precis, {k: v for k, v in BACKEND.items() if k != "components_to_quantize"})["components"]
    assert set(every) == {"*"}
    mapped = resolve(precis, MAPPING, "--library", "diffusers")["components"]
    assert mapped["transformer"]["config"]["weights_dtype"] == "int4" and mapped["text_encoder_2"]["config"]["bnb_4bit_quant_type"] == "nf4"
    toml = tmp_path / "pipeline.toml"
    toml.write_text('text_encoder_2 = "nf4"\n[transformer]\nquant_method = "quanto"\nweights_dtype = "int4"\n')
    assert resolve(precis, str(toml), "--library", "diffusers")["components"] == mapped
    toml.write_text('quant_backend = "bitsandbytes_4bit"\ncomponents_to_quantize = ["transformer", "text_encoder_2"]\n'
                    '[quant_kwargs]\nload_in_4bit = true\n')
    assert resolve(precis, str(toml), "--library", "diffusers")["components"] == both
    assert "component transformer" in precis("config", "resolve", json.dumps(MAPPING)).stdout


def test_a_component_with_a_wrong_config_is_named(precis):
    result = precis("config", "resolve", '{"transformer": "nf5"}', code=BAD_USE)
    assert "component transformer" in result.stderr and "nf5" in result.stderr
    assert "'bits' is 4" in precis("config", "resolve", '{"bits": 4}', code=BAD_USE).stderr
