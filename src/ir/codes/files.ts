/** What is wrong with files that are read or written, and with base models. */
export const fileCodes = {
  "FILE-ADAPTER-AMBIGUOUS": "Two keys of the adapter's file mean one tensor: remove one.",
  "FILE-ADAPTER-BASE": "Note: the file holds tensors of the base model; they are used in place of the base's own.",
  "FILE-ADAPTER-CONSTANT":
    "A constant in the file is not what the method's formula gives, of which the program is made.",
  "FILE-ADAPTER-DTYPE":
    "A tensor of the file holds integers where the method has floats: it is damaged, or was quantised.",
  "FILE-ADAPTER-MISSING":
    "The file lacks tensors of the adapter: it belongs to another config or to another base model.",
  "FILE-ADAPTER-OLD": "The file was written by a version of PEFT whose tensors mean something else: train it again.",
  "FILE-ADAPTER-PLACES": "Places that the file holds lie outside of their array, or are not in increasing order.",
  "FILE-ADAPTER-PREFIX": "Warning: keys lack the prefix by which PEFT finds them; saving the adapter again writes it.",
  "FILE-ADAPTER-PROJECTIONS": "Warning: `save_projection` is false, so the projections in the file are ignored.",
  "FILE-ADAPTER-REBUILT":
    "Warning: random tensors that the file lacks are drawn again from the config's seed, as PEFT does.",
  "FILE-ADAPTER-SHAPE": "A tensor of the file has another shape than config and base model ask for.",
  "FILE-ADAPTER-TIES":
    "Two tensors of the file mean one tensor and differ: the adapter is of a base that ties nothing.",
  "FILE-ADAPTER-UNEXPECTED": "Warning: the file holds tensors that the adapter does not have; they are ignored.",
  "FILE-CHANGED": "A file was changed while it was in use: load it again, and let nothing else write to it.",
  "FILE-DISK-FULL": "There is no room for a file, and nothing was written: free space, or choose another folder.",
  "FILE-ENCODER-MISSING":
    "The program trains an encoder that the adapter's folder lacks: compile with `encoder: false` to use it as it is.",
  "FILE-ENCODER-OTHER":
    "Warning: the encoder's file does not give what the adapter's file holds; what it gives is used.",
  "FILE-FETCH": "A file could not be downloaded; the message has the server's answer.",
  "FILE-INDEX": "The index of a model's shards has no `weight_map` of file names by key.",
  "FILE-INDEX-DUPLICATE": "The index of a model's shards has a key twice.",
  "FILE-INDEX-MISMATCH":
    "The index of a model's shards and the shards do not hold the same keys: download the model again.",
  "FILE-JSON": "A file is not a JSON object: the place of the fault follows its name.",
  "FILE-NO-FOLDERS": "A page has no folders by path: give the handle of a folder, or take the bytes.",
  "FILE-NOT-A-FILE": "A folder, or something else that is no file, stands where a file is wanted.",
  "FILE-NOT-A-FOLDER": "A file stands where a folder is wanted, or what was given stands for no folder.",
  "FILE-NOT-FOUND": "There is no such file or folder, or it cannot be read.",
  "FILE-NOT-UTF8": "A text file is not UTF-8: save it again as UTF-8.",
  "FILE-OPTION": "Loading or saving has no option of this name, or not with this value.",
  "FILE-OUTPUT-EXISTS": "The output folder exists and is not empty: choose another, or allow overwriting.",
  "FILE-OUTPUT-FOREIGN":
    "The output folder holds what would be lost, or loaded in the place of what is written: move it, or choose another folder.",
  "FILE-OUTPUT-LOCK-STALE":
    "Note: a run that ended without cleaning up held the output folder; its lock was taken over.",
  "FILE-OUTPUT-LOCKED": "Another run writes into the output folder: wait for its end, or choose another folder.",
  "FILE-PATH": "A name in a file leads out of the folder that was given, so it is not followed.",
  "FILE-PICKLE": "Pickled weights can run code, so they are not read: save them again as safetensors.",
  "FILE-READ": "The system could not read a file; the message has its reason.",
  "FILE-SAFETENSORS-DTYPE": "A tensor of a safetensors file has a dtype that is not read.",
  "FILE-SAFETENSORS-DUPLICATE": "The header of a safetensors file has a key twice.",
  "FILE-SAFETENSORS-ENTRY": "A tensor's entry in a safetensors header lacks dtype, shape or offsets.",
  "FILE-SAFETENSORS-HEADER":
    "The header of a safetensors file is no JSON object in UTF-8: the file is damaged, or of another kind.",
  "FILE-SAFETENSORS-HEADER-SIZE":
    "A safetensors file claims a header of impossible size: the file is damaged, or of another kind.",
  "FILE-SAFETENSORS-HOLE": "A safetensors file has bytes that belong to no tensor.",
  "FILE-SAFETENSORS-METADATA": "The metadata of a safetensors file are not texts by name.",
  "FILE-SAFETENSORS-OFFSETS": "A tensor's offsets in a safetensors header are no begin and end.",
  "FILE-SAFETENSORS-OVERLAP": "Two tensors of a safetensors file share bytes.",
  "FILE-SAFETENSORS-SHAPE": "A tensor's shape in a safetensors header is no list of whole numbers.",
  "FILE-SAFETENSORS-SIZE": "A tensor's shape in a safetensors header does not fit its bytes.",
  "FILE-SAFETENSORS-TRUNCATED": "A safetensors file ends before its tensors do: download or copy it again.",
  "FILE-SHARD-DUPLICATE": "A tensor is in two shards of a model.",
  "FILE-SHARD-MISSING":
    "A shard that a model's index names is not there: download the model again, with all of its files.",
  "FILE-TENSOR-MISSING": "A file has no tensor of the name that was asked for.",
  "FILE-TOO-LARGE": "A text file is larger than is read at once: split it.",
  "FILE-TRUNCATED": "A file ends before the bytes that were asked for: download or copy it again.",
  "FILE-WRITE": "The system could not write a file; the message has its reason.",
  "MODEL-ACTIVATION": "The base model's activation function is not built; the message lists those that are.",
  "MODEL-ARCHITECTURE":
    "The base model has another head than the ones that are built for its family: the message lists them.",
  "MODEL-DROPOUT":
    "Warning: the base model's own dropout is not applied in training: set it to 0, or use the adapter's.",
  "MODEL-FEATURE": "A field of the base's `config.json` asks for a variant that is not built.",
  "MODEL-FIELD": "A field of the base's `config.json` is missing, or has a value that it cannot have.",
  "MODEL-HEAD-DRAWN":
    "Warning: tensors of the head are in no file, or are there for another number of labels, and are drawn anew.",
  "MODEL-HEADS": "The base's widths and numbers of attention heads do not go together.",
  "MODEL-LAYERS": "The base's `config.json` asks for more layers than its files hold, or than any model has.",
  "MODEL-LENGTH":
    "The sequences are longer than the model has positions; a warning where it was only trained on shorter ones.",
  "MODEL-PROBLEM-TYPE":
    "`problem_type` of the base's `config.json` is none of those that classifiers of rows have: one class, several at once, or numbers.",
  "MODEL-QUANTIZED": "The base model is quantised: use the checkpoint of the same model in f32, f16 or bf16.",
  "MODEL-ROPE": "The base model's kind of rotary embedding is not built.",
  "MODEL-SHAPE": "Sizes of the base's `config.json` are no whole multiples of each other where they have to be.",
  "MODEL-TIES":
    "Warning: the base's config ties two weights that its file holds with different values; they are not tied.",
  "MODEL-TYPE": "No family of base models of this `model_type` is built; the message lists those that are.",
  "MODEL-WEIGHT-DTYPE": "A weight of the base has a dtype that is not computed with: convert it to f32, f16 or bf16.",
  "MODEL-WEIGHT-MISSING": "The base's files lack a tensor that its config asks for: they do not belong together.",
  "MODEL-WEIGHT-SHAPE": "A tensor of the base has another shape than its config says: they do not belong together.",
} as const;
