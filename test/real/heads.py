"""Every head of every family that webpeft builds against transformers, and under LoRA against PEFT: python3 test/real/heads.py [FAMILY...]

Models are tiny: the configs of the golden bases, with weights of their own, as transformers' class makes and saves them; where the family has no
class, its generic one for the head. Rows are whole, padded on the left and padded on the right, with a token for padding within one; then without a
mask. Classifiers of rows have classes, one number, numbers and flags; where no token stands for padding they get a single row. What else configs say
of heads is in FIELDS. PEFT's adapter is LoRA on two modules with the head in modules_to_save, on the model with its head, on one that was saved
without, and on the family's model of language. What a place gives that is padding is not compared. About ten minutes.
"""

import copy
import json
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test/peft"))

from environment import enter_environment  # noqa: E402

enter_environment()

import torch  # noqa: E402
import transformers  # noqa: E402
from tiny import (  # noqa: E402
    LABELS,
    LANGUAGE,
    OF_ROWS,
    ROWS,
    WRITTEN,
    adapted,
    batch_of,
    class_of,
    configs_of,
    drawn,
    head_modules,
    stack_of,
)

NODE = ["node", str(ROOT / "test/real/heads.mjs")]
ALLOWED = 1e-5  # of the largest number
# What else configs say of heads, for the first base of each family whose config has such a field.
FIELDS = [
    (LANGUAGE, {"tie_word_embeddings": True}),
    (LANGUAGE, {"tie_word_embeddings": False}),
    (["ForCausalLM"], {"output_router_logits": True}),
    (["ForMaskedLM"], {"decoder_bias": False, "classifier_bias": True, "norm_bias": True}),
    ([*OF_ROWS, "ForTokenClassification"], {"num_labels": 2}),
    ([*OF_ROWS, "ForTokenClassification"], {"id2label": {0: "no", 1: "yes", 2: "both", 3: "none"}}),
    (OF_ROWS, {"num_labels": 1, "problem_type": "multi_label_classification"}),
    (OF_ROWS, {"problem_type": "single_label_classification"}),
    (OF_ROWS, {"classifier_pooling": "mean"}),
    (OF_ROWS, {"classifier_pooling": "cls"}),
    (OF_ROWS, {"pooler_hidden_act": "relu"}),
    (["ForSequenceClassification"], {"pad_token_id": -1}),
    ([*OF_ROWS, "ForTokenClassification", "ForQuestionAnswering"], {"classifier_bias": True, "classifier_activation": "silu", "norm_bias": True}),
    ([*OF_ROWS, "ForTokenClassification", "ForQuestionAnswering"], {"classifier_dropout": 0.5}),
    ([*OF_ROWS, "ForTokenClassification", "ForQuestionAnswering"], {"hidden_act": "silu"}),
]
PROBLEMS = {
    "classes": {},
    "number": {"num_labels": 1},
    "numbers": {"problem_type": "regression"},
    "flags": {"problem_type": "multi_label_classification"},
}


def numbers_of(output, ending):
    if ending == "ForQuestionAnswering":
        return torch.stack([output.start_logits, output.end_logits], -1)
    return output.last_hidden_state if ending in ("Model", "EncoderModel") else output.logits


class Webpeft:
    def __init__(self):
        self.process = subprocess.Popen(NODE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, folder, batch, adapter=None):
        lists = {name: tensor.flatten().tolist() for name, tensor in batch.items()}
        rows, length = batch["input_ids"].shape if "input_ids" in batch else (len(batch["pixel_values"]), 1)
        asked = {"model": str(folder), "batch": lists, "rows": rows, "length": length}
        if adapter is not None:
            asked["adapter"] = str(adapter)
        if "labels" in batch and batch["labels"].dim() == 2 and batch["labels"].shape[1] == WRITTEN:
            asked["labelLength"] = WRITTEN
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


class Results:
    def __init__(self):
        self.largest, self.count, self.failed, self.heads = 0.0, 0, [], {}

    def compare(self, name, got, model, batch, ending):
        with torch.no_grad():
            output = model(**{key: value.clone() for key, value in batch.items()})
        wanted, loss = numbers_of(output, ending), getattr(output, "loss", None)
        if "error" in got:
            return self.fail(name, got["error"].split("\n")[0] + " " + " ".join(got["error"].split("\n")[1:3]))
        found = torch.tensor(got["logits"])
        if found.numel() != wanted.numel():
            return self.fail(name, f"{found.numel()} numbers, of {list(wanted.shape)}")
        found = found.reshape(wanted.shape)
        mask = batch.get("attention_mask")
        if mask is not None and wanted.dim() == 3 and wanted.shape[:2] == mask.shape and ending != "ForConditionalGeneration":
            found, wanted = found[mask == 1], wanted[mask == 1]
        apart = float((found - wanted).abs().max() / wanted.abs().max())
        of_loss = 0.0
        if loss is not None:
            of_loss = abs(got.get("loss", float("nan")) - float(loss)) / abs(float(loss))
        self.count += 1
        if not (apart <= ALLOWED and of_loss <= ALLOWED):
            return self.fail(name, f"logits {apart:.1e}, loss {of_loss:.1e} ({got.get('loss')} for {loss})")
        self.largest = max(self.largest, apart, of_loss)

    def fail(self, name, what):
        self.failed.append(name)
        print(f"{name}: {what}", flush=True)


def check(name, config, ending, is_first, built, results, webpeft):
    made, is_generic = class_of(config, ending)
    if made is None:
        return print(f"{name} {ending}: transformers has no such class", flush=True)
    results.heads[config.model_type, ending] = is_generic
    what = f"{name} {made.__name__}{' (generic)' if is_generic else ''}"
    # Of the family's classes the one whose weights adapters for other heads are mostly trained on.
    language = next((class_of(config, one)[0] for one in built if is_first and one in LANGUAGE), None)
    for seed, problem in enumerate(PROBLEMS if ending in OF_ROWS else ["classes"]):
        own = copy.deepcopy(config)
        own.num_labels = 2 if ending == "ForQuestionAnswering" else LABELS
        for field, value in PROBLEMS[problem].items():
            setattr(own, field, value)
        try:
            one_head(f"{what}, {problem}", made, own, ending, problem, seed, language, results, webpeft)
        except Exception:
            results.fail(f"{what}, {problem}", traceback.format_exc()[-500:])
    if is_first:
        with_fields(what, made, config, ending, results, webpeft)
    if ending == "ForSequenceClassification" and not {"ForCausalLM", "LMHeadModel"}.isdisjoint(built):
        own.problem_type, own.num_labels, own.pad_token_id = None, LABELS, None
        with tempfile.TemporaryDirectory() as folder:
            model = drawn(made, own, len(PROBLEMS))
            model.save_pretrained(folder)
            batch = batch_of(own, ending, "classes", 1, True, len(PROBLEMS))
            results.compare(f"{what}, no token for padding", webpeft(folder, batch), model, batch, ending)


def with_fields(what, made, config, ending, results, webpeft):
    """One comparison for each way that fields of the config are otherwise."""
    for seed, (endings, fields) in enumerate(FIELDS):
        if ending not in endings or not all(hasattr(config, field) for field in fields):
            continue
        own = copy.deepcopy(config)
        own.num_labels, own.problem_type = 2 if ending == "ForQuestionAnswering" else LABELS, None
        for field, value in fields.items():
            setattr(own, field, value)
        problem = "flags" if fields.get("problem_type") == "multi_label_classification" else "classes"
        label = f"{what}, {', '.join(f'{field} {value}' for field, value in fields.items())}"
        try:
            with tempfile.TemporaryDirectory() as folder:
                model = drawn(made, own, seed)
                model.save_pretrained(folder)
                batch = batch_of(own, ending, problem, ROWS, True, seed)
                results.compare(label, webpeft(folder, batch), model, batch, ending)
        except Exception:
            results.fail(label, traceback.format_exc()[-500:])


def one_head(what, made, config, ending, problem, seed, language, results, webpeft):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = drawn(made, config, seed)
        model.save_pretrained(folder / "base")
        padded = batch_of(config, ending, problem, ROWS, True, seed)
        results.compare(f"{what}, padded", webpeft(folder / "base", padded), model, padded, ending)
        if problem == "classes" and "attention_mask" in padded:
            whole = {key: value for key, value in padded.items() if key not in ("attention_mask", "token_type_ids")}
            results.compare(f"{what}, no mask", webpeft(folder / "base", whole), model, whole, ending)
        if problem != "classes" or ending in ("Model", "EncoderModel"):
            return
        bare = getattr(model, model.base_model_prefix, None) if head_modules(model, ending) else None
        if type(bare).__name__ not in ("NoneType", "T5Model", "MT5Model", "UMT5Model"):
            bare.save_pretrained(folder / "bare")
        if language is not None and head_modules(model, ending):
            other = drawn(language, config, seed + 1)
            left = stack_of(other).load_state_dict(stack_of(model).state_dict(), strict=False)
            if not left.unexpected_keys:  # BERT's has no pooler, which would be drawn
                other.save_pretrained(folder / "language")
        under = adapted(model, ending, seed)
        under.save_pretrained(folder / "adapter")
        for base in ["base", "bare", "language"]:
            if (folder / base).exists():
                got = webpeft(folder / base, padded, folder / "adapter")
                # PEFT's model for questions loses token_type_ids; what it wraps does not.
                results.compare(f"{what}, LoRA on {base}", got, under.base_model, padded, ending)


def main():
    transformers.utils.logging.disable_progress_bar()
    built = json.loads(subprocess.run([*NODE, "families"], capture_output=True, text=True, check=True).stdout)
    wanted = sys.argv[1:] or list(built)
    results, webpeft, known = Results(), Webpeft(), set()
    for name, config in configs_of(wanted):
        is_first = config.model_type not in known
        known.add(config.model_type)
        for ending in built[config.model_type]:
            check(name, config, ending, is_first, built[config.model_type], results, webpeft)
    for family in set(wanted) - known:
        results.fail(family, "there is no base with a config of this family")
    print(f"{len(known)} families, {len(results.heads)} heads ({sum(results.heads.values())} of generic parts), {results.count} comparisons, largest difference {results.largest:.1e} of {ALLOWED:.0e}")
    if results.failed:
        print(f"{len(results.failed)} differ")
    sys.exit(1 if results.failed else 0)


main()
