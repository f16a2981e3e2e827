/** What goes wrong with commands, data, devices and sessions. */
export const runCodes = {
  "CLI-GRAD": "`--grad` wants an adapter, whose gradients are written, and no `--merged`.",
  "CLI-INSPECT":
    "`inspect` writes files to `--out`, or prints what `--print` or `--kernels` ask for; other options say which part.",
  "CLI-SOURCES": "A command takes one of `--config`, `--adapter` and `--full`, not none of them and not two.",
  "CLI-STEPS": "One ready batch has no epochs: say `--steps N`.",
  "CLI-TARGET": "`--target` is `default`, `cpu`, `wasm`, or a JSON file with fields of a target.",
  "CONVERT-OTHER":
    "The adapter changes what a LoRA of its modules cannot (norms, single tokens, both ends of a tie): merge it instead.",
  "CONVERT-RANK":
    "`--rank` is larger than the rank of any matrix that the adapter changes: the message names the largest.",
  "DATA-BATCH": "A batch lacks a tensor, or has one of another shape or name than the program reads.",
  "DATA-CHAT-TEMPLATE":
    "The model's chat template is missing, does not run, or hides which tokens are the assistant's.",
  "DATA-EMPTY": "The data holds no example of two tokens or more: check that the file is the one you meant.",
  "DATA-INPUT-MISSING": "A run was started without an input that the program reads.",
  "DATA-INPUT-SIZE": "An input of a run has another length than the program was compiled for.",
  "DATA-INTEGER-RANGE": "A number does not fit the integers that it is wanted as.",
  "DATA-KIND":
    "Training data is `.txt`, `.jsonl` or `.safetensors`; the message says which of them the model's head learns from.",
  "DATA-LABELS-MASKED":
    "Every label is -100, so that there is nothing to learn or no loss; often `--length` cuts all answers off.",
  "DATA-LABELS-MISSING": "Gradients are of a loss, and a loss needs a tensor `labels`.",
  "DATA-LINE":
    "A line of the data is no JSON object of a known kind: text, prompt and completion, or messages; for classifiers of rows one or two texts and a label, of tokens words with a label each, for spans question, context and answer.",
  "DATA-LABELS-UNREAD": "Warning: lines have labels, and the model has no head that reads them.",
  "DATA-LOST": "Warning: examples are longer than `--length`, so that their ends are cut off or they are left out.",
  "DATA-OPTION":
    "An option of the samples, such as `task`, was given to an adapter that does not read it, or `--doc-stride` for data without questions.",
  "DATA-PROMPT": "The prompt holds no token: give some text, or a model whose tokenizer begins texts with a token.",
  "DATA-TASK": "Some examples name a task and others do not: name all, or give `--task N` for those without.",
  "DATA-TENSOR-DTYPE": "A weight that was given in memory is neither a tensor nor a typed array of numbers.",
  "DATA-TENSOR-MISSING": "A weight that the program reads was not given.",
  "DATA-TENSOR-NOT-FINITE": "A tensor holds NaN or infinity: its file is damaged, or its training diverged.",
  "DATA-TENSOR-SHAPE": "A weight that was given in memory has no shape.",
  "DATA-TENSOR-SIZE": "The data of a tensor has another size than its shape, or the program, says.",
  "DATA-TOKEN-RANGE": "A token id, label or task is outside of what the model or the adapter has.",
  "DATA-TOKENIZER": "The model's tokenizer files cannot be used; the message says why.",
  "DATA-TOKENIZER-MISSING":
    "Text needs the model's `tokenizer.json` in its folder; ready token ids as `.safetensors` do not.",
  "DATA-TOKENIZER-SIZE":
    "Warning: the adapter's tokenizer has tokens for which the base model has no rows: use the resized base.",
  "DATA-TOKENIZER-TIME": "A regular expression of the tokenizer does not come to an end with a text, and was stopped.",
  "DATA-VALID-SHAPE": "A ready batch to validate on has the shape of the training batch; one program runs both.",
  "DEVICE-CACHE": "The bundled software driver could not be unpacked: set `WEBPEFT_CACHE` to a folder with 30 MB left.",
  "DEVICE-LOST": "The device was lost or disposed: start again, with a smaller batch or length if it happens again.",
  "DEVICE-MEMORY":
    "The device is out of memory, or a program needs more than the 4 GiB that WebAssembly has: take a smaller batch or length, or `--memory`. V8 keeps some 10 GiB of addresses free behind every memory of WebAssembly, which `ulimit -v` may forbid.",
  "DEVICE-NONE": "No WebGPU device was found, or none that `auto` takes; `webpeft doctor` shows what was tried.",
  "DEVICE-OPTION": "Opening a device has no option of this name, or not with this value.",
  "DEVICE-SELF-TEST":
    "The device gets a known training step wrong: a defect of a driver or an engine, please report it; take another.",
  "DEVICE-TFJS": "No backend of TensorFlow.js starts; the message has the reason of each.",
  "DEVICE-VALIDATION": "The device refused a command: a defect of webpeft or of the driver, please report it.",
  "DEVICE-WASM":
    "WebAssembly is missing, or a page's rules forbid to compile it: allow `'wasm-unsafe-eval'`, or take another device.",
  "GENERATE-WINDOW":
    "Warning: the text outgrew the program and is continued from its last tokens: give a larger length.",
  "MERGE-BIAS":
    "The adapter gives a bias to a layer that cannot have one in the merged model: keep the adapter beside the base.",
  "MERGE-BIAS-ADDED": "Warning: the merged model gets biases that the base lacks, and a field of its config says so.",
  "MERGE-GAP":
    "The merged model does not compute what the adapter computes, so it was not written: take a base of a wider type.",
  "MERGE-HEAD-DRAWN":
    "Tensors of the head are in no file, so that a merged or converted one would be random: train them in `modules_to_save`.",
  "MERGE-METHOD": "The method changes more than weights, so it cannot be merged: keep the adapter beside the base.",
  "MERGE-NOT-FINITE": "A merged weight is not finite, or does not fit the base's dtype.",
  "MERGE-OPTION": "What a merge depends on, such as `task` or `gates`, is missing, unknown or of another size.",
  "MERGE-UNTIED": "Warning: the adapter changes one end of a tied weight alone, so the merged model is no longer tied.",
  "MEASURE-DEVICE":
    "Measuring wants a device that runs kernels and tells their times, and a program that was compiled for its target to train or to infer.",
  "PRECISION-SIZE": "The program is too large to be evaluated in f64: compile it for fewer rows, tokens or layers.",
  "RESULT-NOT-FINITE": "A result holds NaN or infinity; the message names the first operation that made one.",
  "SESSION-ADAPTER-NAME": "An adapter of a session needs a name that no other one there has.",
  "SESSION-ADAPTER-UNKNOWN": "The session has no adapter of this name; the message lists those that it has.",
  "SESSION-COMBINE": "These adapters cannot be added up: they are of types or shapes that have no sum.",
  "SESSION-COMBINE-OPTION": "Adding up adapters has no option of this name, or not with this value.",
  "SESSION-DISPOSED": "The session is disposed: start another one.",
  "SESSION-DRAWS": "Predictions are drawn a whole number of times, at least once.",
  "SESSION-EXPERTS": "An adapter that is mixed was not given, or its file holds tensors of another base.",
  "SESSION-INITIAL": "Values that an adapter is to begin with have an unknown key, another size, or are not finite.",
  "SESSION-MODE": "The program was compiled for something else than what is asked of it; the message says for what.",
  "SESSION-OPTION": "A call of a session has no option of this name, or not with this value.",
  "SESSION-REPORT": "The adapter in use reports nothing under this name.",
  "SESSION-STATE": "An optimizer state is malformed, or of another model or adapter config.",
  "TRAIN-ENCODER":
    "The adapter's folder lacks the encoder that is trained: train where webpeft wrote it, or begin afresh.",
  "TRAIN-NOT-FINITE":
    "A step gave NaN or infinity and was not taken: use a smaller learning rate, or clip the gradient.",
  "TRAIN-NOTHING": "The adapter has no tensor that trains.",
  "TRAIN-RESUME-BROKEN": "The newest checkpoint is not as it was written: remove it to go on from the one before.",
  "TRAIN-RESUME-NONE":
    "`--resume` found no checkpoint: check `--out`, or leave `--resume` out to begin; after a run that ended, train on with `--adapter`.",
  "TRAIN-RESUME-OTHER":
    "The checkpoint is of a run with other options, config or data, or another arithmetic (device, version of Node): give the same ones, or another `--out`.",
  "TRAIN-STOPPED": "Training was stopped before its end and its state is saved; the help shows how to go on.",
  "TRAIN-TOP-K":
    "The adapter's file holds only its largest logits: train from one saved with `save_only_topk_weights` false.",
} as const;
