/** What is wrong with an adapter's config, and with the text of a method. */
export const configCodes = {
  "CONFIG-BIAS": "`bias` is `none`, `all`, or a name that ends with `_only`.",
  "CONFIG-CONV1D":
    "PEFT does not apply this method to Conv1D layers (GPT-2) and could not load such an adapter: take another method.",
  "CONFIG-EXCLUDE-UNUSED": "Warning: `exclude_modules` leaves nothing out; check its spelling.",
  "CONFIG-EXPERT-NAME":
    "The name of an adapter that is mixed is also the name of a folder: no slashes, no drives, not dots alone.",
  "CONFIG-EXPERTS":
    "The adapters that are mixed are not those that the config names, or one of them trains tensors of the base itself.",
  "CONFIG-EXPERTS-NESTED": "An adapter that is mixed mixes others: name the folders of those instead.",
  "CONFIG-FAN-IN-FAN-OUT":
    "Warning: `fan_in_fan_out` says how the base stores its matrices, and is corrected to what is so.",
  "CONFIG-FEEDFORWARD": "`feedforward_modules` names some of `target_modules`; an empty list means none.",
  "CONFIG-FIELD-MISSING": "A field that has no default and that the base model does not tell is missing: give it.",
  "CONFIG-FIELD-NO-EFFECT":
    "Note: a field steers something that PEFT has and webpeft has not; the numbers are the same without it.",
  "CONFIG-FIELD-RANGE": "A number of the config is outside of what its field allows.",
  "CONFIG-FIELD-SITES":
    "A field names modules that do not exist, that it cannot change, or that are adapted in another way already.",
  "CONFIG-FIELD-TYPE": "A field has a value of the wrong type.",
  "CONFIG-FIELD-UNKNOWN":
    "Warning: the method has no such field. It is ignored, and written back as it is; check its spelling.",
  "CONFIG-FIELD-VALUE": "A field has a value that is none of those that it may have.",
  "CONFIG-FIELDS-MIXED": "The config has fields of two methods of one `peft_type`: keep those of one.",
  "CONFIG-HEAD":
    "The config's task needs a head that the base model does not have: give its labels, or the task; the message says which is missing.",
  "CONFIG-LAYERS":
    "`layers_to_transform`, `layers_pattern` or the number of adapted layers do not go together, or exceed the model.",
  "CONFIG-LAYERS-TOP-LEVEL":
    "Note: a layer's number stands at the top of the path, where PEFT does not look without `layers_pattern`.",
  "CONFIG-MODEL-FACT":
    "The config says a number of the base model that is another there: leave it out, or take the right model.",
  "CONFIG-NOT-OBJECT": "An adapter's config is an object of JSON values with finite numbers.",
  "CONFIG-PATTERN-UNUSED": "Warning: keys of `rank_pattern`, `alpha_pattern` or the like fit no adapted module.",
  "CONFIG-REGEX": "A text where modules are named is a Python regular expression, and this one does not read as one.",
  "CONFIG-RUNTIME": "Warning: `runtime_config` belongs to a run of PEFT, not to a file, and is ignored.",
  "CONFIG-SAVE-HEAD":
    "Note: PEFT trains heads of some names by itself, and the model's has another: name it in `modules_to_save` if it is to train.",
  "CONFIG-SAVE-KIND":
    "`modules_to_save` names a module that is adapted too, or a list of modules: name what is inside of it.",
  "CONFIG-SAVE-PLAIN-END":
    "Note: names in `modules_to_save` are ends of paths, so that more modules train than seem to be named.",
  "CONFIG-SAVE-UNUSED": "Warning: a name of `modules_to_save` fits no module; check its spelling.",
  "CONFIG-SITE-NOT-FOUND":
    "The base model lacks what the method changes: token embeddings, or attentions that can be reached into.",
  "CONFIG-TARGET-CONVOLUTION":
    "The method does not adapt convolutions here: exclude the module, train it in full, or take another method.",
  "CONFIG-TARGET-KIND":
    "A target is of a kind that the method does not adapt: name the layers inside of it, or exclude it.",
  "CONFIG-TARGETS-EMPTY": "`target_modules` is empty: name at least one module.",
  "CONFIG-TARGETS-EXCLUDED": "`exclude_modules` and `modules_to_save` leave none of the targets.",
  "CONFIG-TARGETS-INCOMPATIBLE": "The targets are there, and none is of a kind that the method adapts.",
  "CONFIG-TARGETS-NO-DEFAULT": "There are no default targets for this kind of model: give `target_modules`.",
  "CONFIG-TARGETS-NOT-FOUND":
    "No module of the base model has a name that `target_modules` says; the message shows names that exist.",
  "CONFIG-TARGETS-UNMATCHED":
    "What `target_modules` hits is excluded, and the rest of it hits nothing: check both fields.",
  "CONFIG-TARGETS-UNUSED":
    "Warning: some names of `target_modules` fit no module; check their spelling and the base model.",
  "CONFIG-TASK-TYPE": "`task_type` is missing where the method needs it, or is none of PEFT's.",
  "CONFIG-TIES":
    "What ties weights asks for what cannot stay tied: both ends train differently, or a table has several owners.",
  "CONFIG-TIES-UNUSED": "Warning: `ensure_weight_tying` was asked for where nothing is tied or no end is named.",
  "CONFIG-TOKENIZER":
    "A prompt that begins as text is read by the base model's tokenizer, and the config names another.",
  "CONFIG-TYPE-MISMATCH": "The config's `peft_type` is not that of the method it is used for.",
  "CONFIG-TYPE-MISSING": "The config has no `peft_type`, which says the method.",
  "CONFIG-TYPE-UNKNOWN": "There is no method of this `peft_type`; `webpeft methods` lists those that are built.",
  "METHOD-ARGUMENT":
    "A function of a method's text is called with other arguments than it takes; the help shows how it is called.",
  "METHOD-CONSTRAINT":
    "A `require` of the method does not hold for this config or module. A warning where the text says so.",
  "METHOD-CYCLE": "A name of a method's text is defined by itself.",
  "METHOD-DECLARATION": "A declaration in a method's text contradicts another, or has a part that it cannot have.",
  "METHOD-FILE":
    "Note: PEFT reads the adapter that is saved in another way than webpeft, or not at all; the message says how.",
  "METHOD-LIMIT": "A method's text is larger or deeper than is read, or makes more than that: split it with `let`.",
  "METHOD-NAME": "A method's text uses a name that does not exist there; the help shows the nearest one.",
  "METHOD-NAME-TAKEN": "Warning: a method of one's own has the name of a built-in one and takes its place.",
  "METHOD-NUMBER":
    "A number that the method's text works out is not finite: a number of the config is too large for it.",
  "METHOD-RANDOM-RANGE": "A random selection takes more places than there are, or from more than are drawn from.",
  "METHOD-SHADOWED": "Warning: a name in a method's text hides a word of the language.",
  "METHOD-SHAPE":
    "An extent or an index in a method's text comes out as what no tensor has, mostly by a division with a rest.",
  "METHOD-SITE": "The method cannot change modules of this kind, or the base model has nothing that it reads.",
  "METHOD-SIZE": "A tensor of the adapter, or all together, are far too large: a field is far too large.",
  "METHOD-STATIC": "A shape, condition or key in a method's text reads what is known only later.",
  "METHOD-SYNTAX": "The text of a method does not read as one; the message says what may stand at this place.",
  "METHOD-TEXT-DIFFERS": "Note: the method's text that is given is not the one that the adapter was saved with.",
  "METHOD-TYPE":
    "Values in a method's text do not go together: shapes that do not fit, a tensor where an operator is wanted.",
  "METHOD-UNREAD": "Warning: nothing reads a declared tensor, so it does not train.",
  "METHOD-UNSUPPORTED": "The config asks for a method or for a variant of one that PEFT has and webpeft has not.",
} as const;
