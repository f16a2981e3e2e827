#!/usr/bin/env python3
"""Trains every method with webpeft and loads it in PEFT, and the other way round; compares logits and writes docs/parity.md.

    npm run build && python test/peft/parity.py [METHOD ...]

Needs Python 3.11. The first run makes a virtual environment, see environment.py.
Methods named on the command line are run alone, and nothing is written.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from environment import enter_environment

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / "test/fixtures/golden/bases/llama"
STEPS, RATE, ALLOWED = 5, 1e-2, 1e-4


enter_environment()

import peft  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

transformers.utils.logging.disable_progress_bar()
warnings.filterwarnings("ignore")

LINEAR = {"target_modules": ["q_proj", "v_proj", "down_proj"]}
EVEN = {"target_modules": ["q_proj", "v_proj"]}
MIXED = {"hidden_size": 32, "xlora_size": 16, "adapters": {"0": "0", "1": "1"}}  # PEFT: names are numbers, paths from the working directory

PROJECTED = {"num_virtual_tokens": 4, "prefix_projection": True, "encoder_hidden_size": 16}

# name in the table, peft_type, PEFT's config class, settings that fit the model's widths of 16, 32 and 48
SETTINGS = [
    ("LoRA", "LORA", "LoraConfig", LINEAR | {"r": 8, "lora_alpha": 16}),
    ("DoRA", "LORA", "LoraConfig", LINEAR | {"r": 8, "lora_alpha": 16, "use_dora": True}),
    ("LoRA, embedding", "LORA", "LoraConfig", {"r": 8, "target_modules": ["embed_tokens", "q_proj"]}),
    ("LoRA, tokens", "LORA", "LoraConfig", EVEN | {"r": 4, "trainable_token_indices": [5, 9, 11]}),
    ("AdaLoRA", "ADALORA", "AdaLoraConfig", LINEAR | {"init_r": 4, "target_r": 4, "total_step": 20}),
    ("OFT", "OFT", "OFTConfig", LINEAR | {"oft_block_size": 8}),
    ("OFT, exact Cayley", "OFT", "OFTConfig", LINEAR | {"oft_block_size": 8, "use_cayley_neumann": False}),
    ("OFT, constrained", "OFT", "OFTConfig", LINEAR | {"oft_block_size": 8, "coft": True, "eps": 0.01}),
    ("BOFT", "BOFT", "BOFTConfig", LINEAR | {"boft_block_size": 4}),
    ("IA3", "IA3", "IA3Config", LINEAR | {"feedforward_modules": ["down_proj"]}),
    ("VeRA", "VERA", "VeraConfig", LINEAR | {"r": 16}),
    ("FourierFT", "FOURIERFT", "FourierFTConfig", LINEAR | {"n_frequency": 64}),
    ("LN tuning", "LN_TUNING", "LNTuningConfig", {}),
    ("Trainable tokens", "TRAINABLE_TOKENS", "TrainableTokensConfig", {"token_indices": [5, 9, 11]}),
    ("LoHa", "LOHA", "LoHaConfig", LINEAR | {"r": 4}),
    ("LoKr", "LOKR", "LoKrConfig", LINEAR | {"r": 2}),
    ("HRA", "HRA", "HRAConfig", LINEAR | {"r": 4}),
    ("MiSS", "MISS", "MissConfig", LINEAR | {"r": 8}),
    ("MiSS, bat", "MISS", "MissConfig", LINEAR | {"r": 8, "init_weights": "bat"}),
    ("DeLoRA", "DELORA", "DeloraConfig", LINEAR | {"r": 4}),
    ("GraLoRA", "GRALORA", "GraloraConfig", LINEAR | {"r": 8, "gralora_k": 2}),
    ("RoAd", "ROAD", "RoadConfig", LINEAR | {"group_size": 8}),
    ("HiRA", "HIRA", "HiraConfig", LINEAR | {"r": 4}),
    ("RandLoRA", "RANDLORA", "RandLoraConfig", LINEAR | {"r": 8, "randlora_alpha": 16}),
    ("SHiRA", "SHIRA", "ShiraConfig", LINEAR | {"r": 2, "random_seed": 3}),
    ("VB-LoRA", "VBLORA", "VBLoRAConfig", EVEN | {"r": 4, "num_vectors": 16, "vector_length": 8}),
    ("C3A", "C3A", "C3AConfig", LINEAR | {"block_size": 8}),
    ("WaveFT", "WAVEFT", "WaveFTConfig", LINEAR | {"n_frequency": 64}),
    ("Poly", "POLY", "PolyConfig", LINEAR | {"r": 4, "n_tasks": 3, "n_skills": 2}),
    ("CPT", "CPT", "CPTConfig", {"cpt_token_ids": [4, 5, 6], "cpt_tokens_type_mask": [1, 2, 4]}),
    ("AdaptionPrompt", "ADAPTION_PROMPT", "AdaptionPromptConfig", {"adapter_len": 4, "adapter_layers": 2}),
    ("Prompt tuning", "PROMPT_TUNING", "PromptTuningConfig", {"num_virtual_tokens": 4}),
    ("Prefix tuning", "PREFIX_TUNING", "PrefixTuningConfig", {"num_virtual_tokens": 4}),
    ("Prefix tuning, projected", "PREFIX_TUNING", "PrefixTuningConfig", PROJECTED),
    ("P-tuning", "P_TUNING", "PromptEncoderConfig", {"num_virtual_tokens": 4, "encoder_hidden_size": 16}),
    ("X-LoRA", "XLORA", "XLoraConfig", MIXED | {"xlora_depth": 1}),
    ("X-LoRA, by layer", "XLORA", "XLoraConfig", MIXED | {"xlora_depth": 3, "layerwise_scalings": True, "top_k_lora": 1}),
]
# settings of the LoRAs that X-LoRA mixes; they are drawn at random
EXPERTS = [EVEN | {"r": 4, "lora_alpha": 8}, {"r": 2, "lora_alpha": 6, "target_modules": ["q_proj", "embed_tokens"]}]
EXTRA_INPUTS = {"POLY": {"task_ids": [0, 2]}, "CPT": {"input_type_mask": [[1] * 4 + [4] * 4] * 2}}
# what PEFT 0.21.2 cannot load, and why
WITHOUT_PEFT = {"BONE": "gone from PEFT since 0.19; its files are MiSS's"}


def webpeft(*arguments):
    command = ["node", str(ROOT / "dist/cli.js"), *map(str, arguments), "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"webpeft {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


def built_methods():
    script = "import { methods } from './dist/index.js'; console.log(JSON.stringify([...methods.keys()]))"
    done = subprocess.run(["node", "--input-type=module", "-e", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def batch_for(peft_type):
    generator = torch.Generator().manual_seed(7)
    ids = torch.randint(4, 64, (2, 8), generator=generator)
    batch = {"input_ids": ids, "labels": ids.clone(), "attention_mask": torch.ones_like(ids)}
    return batch | {name: torch.tensor(value) for name, value in EXTRA_INPUTS.get(peft_type, {}).items()}


def base_model(peft_type="LORA"):
    model = transformers.AutoModelForCausalLM.from_pretrained(BASE, attn_implementation="eager", dtype=torch.float32).eval()
    model.config.use_cache = peft_type != "XLORA"  # PEFT's X-LoRA insists
    return model


def run(model, batch):
    return model(**{name: value.clone() for name, value in batch.items()})


def logits_of(model, batch):
    """Without labels: PEFT's AdaLoRA cannot take them in inference mode."""
    with torch.no_grad():
        return run(model, {name: value for name, value in batch.items() if name != "labels"}).logits


def webpeft_logits(adapter, batch_file, folder):
    webpeft("eval", "--model", BASE, "--adapter", adapter, "--input", batch_file, "--out", folder / "logits.safetensors")
    return load_file(folder / "logits.safetensors")["logits"]


def difference(got, want):
    """The largest difference as a part of the largest entry."""
    if got.shape != want.shape:
        raise RuntimeError(f"shape {list(got.shape)}, expected {list(want.shape)}")
    return float((got - want).abs().max() / want.abs().max())


def config_of(name, settings):
    return getattr(peft, name)(task_type="CAUSAL_LM", **settings)


def write_experts(peft_type, folder):
    if peft_type != "XLORA":
        return
    for name, settings in enumerate(EXPERTS):
        torch.manual_seed(13 + name)
        config = config_of("LoraConfig", settings | {"init_lora_weights": False})
        peft.get_peft_model(base_model(), config).save_pretrained(folder / str(name))


def save_in_peft(model, peft_type, folder):
    """What PEFT writes; of X-LoRA's classifier it loses tensors, so that all of them are written here under the keys that it loads."""
    if peft_type != "XLORA":
        return model.save_pretrained(folder)
    model.peft_config["default"].save_pretrained(folder)
    classifier = {key: value for key, value in model.state_dict().items() if ".internal_xlora_classifier." in key}
    save_file(classifier, folder / "adapter_model.safetensors")


def load_in_peft(peft_type, folder):
    with contextlib.chdir(folder):
        return peft.PeftModel.from_pretrained(base_model(peft_type), folder).eval()


def webpeft_to_peft(peft_type, class_name, settings, batch_file, folder):
    config = folder / "config"  # a folder, as PEFT writes it
    config_of(class_name, settings).save_pretrained(config)
    write_experts(peft_type, config)
    options = ["--steps", STEPS, "--lr", RATE, "--no-sampling", "--out", folder / "trained"]
    webpeft("train", "--model", BASE, "--config", config / "adapter_config.json", "--data", batch_file, *options)
    batch = batch_for(peft_type)
    return webpeft_logits(folder / "trained", batch_file, folder), logits_of(load_in_peft(peft_type, folder / "trained"), batch)


def peft_to_webpeft(peft_type, class_name, settings, batch_file, folder):
    saved = folder / "saved"
    write_experts(peft_type, saved)
    saved.mkdir(exist_ok=True)
    torch.manual_seed(11)
    batch = batch_for(peft_type)
    with contextlib.chdir(saved):
        model = peft.get_peft_model(base_model(peft_type), config_of(class_name, settings)).eval()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        run(model, batch).loss.backward()
        optimizer.step()
    save_in_peft(model, peft_type, saved)
    # from the file: PEFT projects constrained OFT in place at every call
    return webpeft_logits(saved, batch_file, folder), logits_of(load_in_peft(peft_type, saved), batch)


DIRECTIONS = {"webpeft trains, PEFT loads": webpeft_to_peft, "PEFT trains, webpeft loads": peft_to_webpeft}


def compare(label, peft_type, class_name, settings, direction, base_logits):
    """The row's last three cells: difference, change by the adapter, result."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        batch_file = folder / "batch.safetensors"
        save_file(batch_for(peft_type), batch_file)
        got, want = DIRECTIONS[direction](peft_type, class_name, settings, batch_file, folder)
    gap = difference(got, want)
    # With virtual tokens in front the adapter's logits are more; the last ones are the text's.
    change = difference(want[:, -base_logits.shape[1]:], base_logits)
    if change < 100 * ALLOWED:
        raise RuntimeError(f"the adapter changes the logits by {change:.1e} only: the comparison would show nothing")
    return gap, change


def rows(chosen):
    base_logits = logits_of(base_model(), batch_for("LORA"))
    built = built_methods()
    missing = [name for name in built if name not in WITHOUT_PEFT and name not in {row[1] for row in SETTINGS}]
    if missing:
        raise SystemExit(f"no settings for {', '.join(missing)}")
    for label, peft_type, class_name, settings in SETTINGS:
        if peft_type not in built or (chosen and peft_type not in chosen):
            continue
        for direction in DIRECTIONS:
            try:
                gap, change = compare(label, peft_type, class_name, settings, direction, base_logits)
                row = (label, direction, f"{gap:.1e}", f"{change:.1e}", "ok" if gap <= ALLOWED else "too large")
            except Exception as error:  # one method's failure must not hide the others
                row = (label, direction, "", "", f"failed: {str(error).splitlines()[0][:160]}")
            print(" | ".join(row), flush=True)
            yield row
    for peft_type, reason in WITHOUT_PEFT.items():
        if peft_type in built and not chosen:
            yield (peft_type, "", "", "", reason)


def document(found):
    versions = f"PEFT {peft.__version__}, transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}"
    web = json.loads((ROOT / "package.json").read_text())["version"]
    lines = [
        "# Parity with PEFT",
        "",
        "Written by `test/peft/parity.py`, which installs PEFT from PyPI. One side trains an adapter of the golden llama (two layers, f32)",
        f"for {STEPS} steps and saves it; both sides load the folder and compute the logits of one batch (2 x 8). The difference is the largest one,",
        "relative to the largest logit; the change is how far the adapter moved the base's logits, in the same measure.",
        f"At most {ALLOWED:.0e} is allowed. webpeft ran on its WebAssembly executor, PEFT on torch's CPU.",
        "",
        f"webpeft {web}, {versions}.",
        "",
        "| method | direction | difference | change | |",
        "|---|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in found),
        "",
    ]
    return "\n".join(lines)


def main():
    chosen = sys.argv[1:]
    found = list(rows(chosen))
    if not chosen:
        (ROOT / "docs/parity.md").write_text(document(found))
    bad = [row for row in found if row[1] and row[4] != "ok"]
    sys.exit(f"{len(bad)} comparisons failed" if bad else 0)


main()
