#!/usr/bin/env python3
"""Combines adapters with PEFT's add_weighted_adapter and writes how each combination changes the weights of the golden llama.

    python test/peft/weighted.py

Writes test/fixtures/golden/weighted: the sources as PEFT saves them, cases.json (what is combined, with webpeft's names of the options) and
expected.safetensors (`<case>/<weight>`: merged minus base). Singular vectors have no sign of their own, so factors are not compared.
The versions of DARE are here with density 1 only: below it PEFT draws from torch's generator.
"""

import copy
import json
import shutil
import warnings
from pathlib import Path

from environment import enter_environment

enter_environment()

import peft  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

transformers.utils.logging.disable_progress_bar()
warnings.filterwarnings("ignore")
torch.set_num_threads(1)

GOLDEN = Path(__file__).resolve().parents[1] / "fixtures/golden"
OUT = GOLDEN / "weighted"

SHARED = ["embed_tokens", "layers.0.self_attn.v_proj"]
SOURCES = {
    "first": peft.LoraConfig(r=4, lora_alpha=8, target_modules=SHARED, init_lora_weights=False),
    "rooted": peft.LoraConfig(r=4, lora_alpha=3, target_modules=SHARED, init_lora_weights=False, use_rslora=True),
    "small": peft.LoraConfig(r=2, lora_alpha=6, target_modules=["v_proj"], init_lora_weights=False),
    "scales": peft.IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"], init_ia3_weights=False),
    "others": peft.IA3Config(target_modules=["k_proj", "v_proj"], feedforward_modules=[], init_ia3_weights=False),
}
PAIR, TRIPLE = {"first": 0.7, "rooted": -0.4}, {"first": 0.7, "rooted": -0.4, "small": 1.5}


def case(name, weights, **options):
    return {"name": name, "adapters": list(weights), "weights": list(weights.values()), "options": options}


CASES = [
    case("linear", PAIR, combination="linear"),
    case("cat", PAIR, combination="cat"),
    case("svd", PAIR, combination="svd"),
    case("ties", PAIR, combination="ties", density=0.5),
    case("ties-frequency", PAIR, combination="ties", density=0.5, majoritySign="frequency"),
    case("magnitude-prune", PAIR, combination="magnitude_prune", density=0.3),
    case("dare-linear-all", PAIR, combination="dare_linear", density=1),
    case("dare-ties-all", PAIR, combination="dare_ties", density=1),
    case("cat-ranks", TRIPLE, combination="cat"),
    case("svd-rank-3", TRIPLE, combination="svd", rank=3),
    case("ties-svd", TRIPLE, combination="ties_svd", density=0.5),
    case("ties-svd-frequency", TRIPLE, combination="ties_svd", density=0.5, majoritySign="frequency"),
    case("magnitude-prune-svd", TRIPLE, combination="magnitude_prune_svd", density=0.3),
    case("dare-linear-svd-all", TRIPLE, combination="dare_linear_svd", density=1),
    case("dare-ties-svd-all", TRIPLE, combination="dare_ties_svd", density=1),
    case("one-alone", {"first": -0.6}, combination="svd"),
    # PEFT keeps use_rslora of the first source beside lora_alpha = r
    case("rooted-first", {"rooted": -0.4, "first": 0.7}, combination="linear") | {"peft_factor": 2},
    case("vectors", {"scales": 0.7, "others": -0.4}),
]
PEFT_NAMES = {"combination": "combination_type", "rank": "svd_rank", "majoritySign": "majority_sign_method", "density": "density"}


def base_model():
    return transformers.AutoModelForCausalLM.from_pretrained(GOLDEN / "bases/llama", dtype=torch.float32)


def write_sources():
    for seed, (name, config) in enumerate(SOURCES.items()):
        torch.manual_seed(seed)
        config.task_type = "CAUSAL_LM"
        model = peft.get_peft_model(base_model(), config)
        for key, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.data = torch.randn_like(parameter) * 0.2 + (1 if "ia3_l" in key else 0)
        model.peft_config["default"].base_model_name_or_path = "../../bases/llama"
        model.save_pretrained(OUT / name)
        (OUT / name / "README.md").unlink()


def combined(adapters, weights, options):
    """PEFT's model with the combination merged in."""
    model = peft.PeftModel.from_pretrained(base_model(), OUT / adapters[0], adapter_name=adapters[0])
    for name in adapters[1:]:
        model.load_adapter(OUT / name, adapter_name=name)
    model.add_weighted_adapter(adapters, weights, "sum", **{PEFT_NAMES[key]: value for key, value in options.items()})
    model.set_adapter("sum")
    return copy.deepcopy(model).merge_and_unload()


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    write_sources()
    base = base_model().state_dict()
    changes = {}
    for one in CASES:
        merged = combined(one["adapters"], one["weights"], one["options"]).state_dict()
        changed = {key: merged[key] - base[key] for key in base if not torch.equal(merged[key], base[key])}
        changes |= {f"{one['name']}/{key}": change for key, change in changed.items()}
        print(one["name"], *(f"{key} {float(change.abs().max()):.2f}" for key, change in changed.items()))
    save_file(changes, OUT / "expected.safetensors")
    (OUT / "cases.json").write_text(json.dumps({"peft": peft.__version__, "cases": CASES}, indent=2) + "\n")


main()
