"""Tiny models of transformers with weights of their own, batches for their heads, and LoRA of PEFT on them. The configs are those of the golden bases."""

import json
import sys
from pathlib import Path

import peft
import torch
import transformers
from transformers import modeling_layers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.pytorch_utils import Conv1D

BASES = Path(__file__).resolve().parents[1] / "fixtures/golden/bases"
ROWS, LENGTH, WRITTEN, LABELS = 3, 10, 7, 3
TASKS = {
    "ForSequenceClassification": "SEQ_CLS",
    "ForTokenClassification": "TOKEN_CLS",
    "ForQuestionAnswering": "QUESTION_ANS",
    "ForCausalLM": "CAUSAL_LM",
    "LMHeadModel": "CAUSAL_LM",
    "ForConditionalGeneration": "SEQ_2_SEQ_LM",
}
HEAD_FIELDS = ["architectures", "id2label", "label2id", "problem_type"]
OF_ROWS = ["ForSequenceClassification", "ForImageClassification"]
LANGUAGE = ["ForCausalLM", "LMHeadModel", "ForMaskedLM", "ForConditionalGeneration"]


def configs_of(families):
    """Names and configs of bases, once where they differ in their heads alone."""
    seen = set()
    for folder in sorted(BASES.iterdir()):
        fields = json.loads((folder / "config.json").read_text())
        if fields["model_type"] in families:
            config = CONFIG_MAPPING[fields["model_type"]].from_dict(fields | {"dtype": "float32", "problem_type": None})
            if getattr(config, "pad_token_id", None) is None and not hasattr(config, "image_size"):
                config.pad_token_id = 0
            own = {key: value for key, value in config.to_dict().items() if key not in HEAD_FIELDS}
            if str(own) not in seen:
                seen.add(str(own))
                yield folder.name, config


def class_of(config, ending):
    """transformers' class of a head; of its generic parts where the family has none; None where it has no such head."""
    parent = transformers.AutoModel._model_mapping[type(config)]
    every = vars(sys.modules[parent.__module__]).items()
    kin = [one for name, one in every if name.endswith(ending) and getattr(one, "config_class", None) is type(config)]
    if ending == "Model":
        kin = [parent]
    if kin:
        return min(kin, key=lambda one: len(one.__name__)), False
    generic = getattr(modeling_layers, f"Generic{ending}", None)
    # The generic class makes its layer as wide as the hidden states.
    if generic is None or getattr(config, "word_embed_proj_dim", config.hidden_size) != config.hidden_size:
        return None, False
    pretrained = next(one for one in parent.__mro__ if one.__name__.endswith("PreTrainedModel"))
    return type(parent.__name__.removesuffix("Model") + ending, (generic, pretrained), {"config_class": type(config)}), True


def drawn(made, config, seed):
    """A model of a class with weights of its own."""
    # Places that see nothing give other numbers in fused attention, which losses of texts and softmax over places read; Falcon's eager one adds biases twice.
    config._attn_implementation = "sdpa" if getattr(config, "alibi", False) else "eager"
    model = made(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() > 1:
                parameter.copy_(noise / parameter.shape[-1] ** 0.5)
            else:
                parameter.add_(0.2 * noise)
    return model.eval()


def batch_of(config, ending, problem, rows, padded, seed):
    generator = torch.Generator().manual_seed(seed)
    numbers = lambda low, high, *shape: torch.randint(low, high, shape, generator=generator)  # noqa: E731
    classes = config.num_labels
    labels = {
        "number": torch.randn(rows, generator=generator),
        "numbers": torch.randn(rows, classes, generator=generator),
        "flags": numbers(0, 2, rows, classes).float(),
        "classes": numbers(0, classes, rows),
    }
    if ending == "ForImageClassification" or hasattr(config, "image_size"):
        side, channels = config.image_size, config.num_channels
        pixels = {"pixel_values": torch.randn(rows, channels, side, side, generator=generator)}
        return pixels | ({} if ending == "Model" else {"labels": labels[problem]})
    pad = getattr(config, "pad_token_id", None)
    special = [one for one in (pad, getattr(config, "eos_token_id", None)) if isinstance(one, int)]
    ids = numbers(0, config.vocab_size, rows, LENGTH)
    while any((ids == one).any() for one in special):
        ids = torch.where(sum(ids == one for one in special).bool(), numbers(0, config.vocab_size, rows, LENGTH), ids)
    mask = torch.ones_like(ids)
    if rows > 1:
        mask[1, :3], mask[2, -4:] = 0, 0
        ids[mask == 0] = max(pad, 0)
        ids[0, 4] = max(pad, 0)
    if config.model_type in ("t5", "mt5", "umt5"):
        for row in range(rows):
            ids[row, mask[row].nonzero().max()] = config.eos_token_id
    batch = {"input_ids": ids}
    if padded:
        batch["attention_mask"] = mask
    types = getattr(config, "type_vocab_size", 0) if config.model_type != "mpnet" else 0
    if types:
        batch["token_type_ids"] = numbers(0, types, rows, LENGTH)
    if ending in OF_ROWS:
        batch["labels"] = labels[problem]
    elif ending == "ForQuestionAnswering":
        batch |= {"start_positions": numbers(0, LENGTH, rows), "end_positions": numbers(0, LENGTH, rows)}
        if rows > 1:
            batch["end_positions"][1] = LENGTH + 5
    elif ending == "ForConditionalGeneration":
        batch["labels"] = numbers(2, config.vocab_size, rows, WRITTEN)
        batch["labels"][0, -2:] = -100
    elif ending not in ("Model", "EncoderModel"):
        batch["labels"] = numbers(0, config.num_labels if ending == "ForTokenClassification" else config.vocab_size, rows, LENGTH)
        batch["labels"][mask == 0] = -100
        batch["labels"][0, 3] = -100
    return batch


def stack_of(model):
    return getattr(model, model.base_model_prefix, model)


def head_modules(model, ending):
    if ending not in (*OF_ROWS, "ForTokenClassification", "ForQuestionAnswering"):
        return []
    stacks = {model.base_model_prefix, "shared", "encoder", "decoder"}
    return [name for name, child in model.named_children() if name not in stacks and any(True for _ in child.parameters())]


def targets_of(model, ending):
    """Two names of layers of the stack that no module of the head has."""
    head = set(head_modules(model, ending))
    linear = [(name, name.rsplit(".")[-1]) for name, one in model.named_modules() if isinstance(one, (torch.nn.Linear, Conv1D))]
    used = {last for name, last in linear if name.split(".")[0] in head} | head
    ends = list(dict.fromkeys(last for name, last in linear if any(part.isdigit() for part in name.split(".")) and last not in used))
    return [ends[0], ends[-1]] if len(ends) > 1 else ends


def adapted(model, ending, seed):
    torch.manual_seed(seed)
    saved = head_modules(model, ending)
    settings = {"r": 3, "lora_alpha": 5, "init_lora_weights": False, "target_modules": targets_of(model, ending)}
    config = peft.LoraConfig(task_type=TASKS.get(ending), **settings, **({"modules_to_save": saved} if saved else {}))
    made = peft.get_peft_model(model, config).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "modules_to_save" in name:
                parameter.add_(0.3 * torch.randn(parameter.shape) / parameter.shape[-1] ** 0.5)
    return made
