/** Sites: the places of a base model that an adapter may change. `attach` replaces every one of them. */
import type { Attributes } from "../graph.ts";
import type { OpRecord } from "../op-record.ts";
import { f32, sameShape, sameType, type Type, tensor } from "../types.ts";
import { asTensor, isFloat, operatorLevel, requireThat } from "./common.ts";

const site = (
  name: string,
  arity: OpRecord["arity"],
  doc: string,
  infer: (inputs: readonly Type[], attributes: Attributes) => Type,
  attributes: NonNullable<OpRecord["attributes"]> = {},
): OpRecord => ({ ...operatorLevel, name, arity, attributes, doc, infer });

export const siteOps: readonly OpRecord[] = [
  site(
    "site.linear",
    "variadic",
    "y[..., out] = x[..., in] W^T (+ b). Inputs: x, weight f32[out,in], optionally bias f32[out]. Attribute: path (module path).",
    (inputs) => {
      const x = asTensor("site.linear", inputs[0]);
      const w = asTensor("site.linear", inputs[1]);
      const bias = inputs[2] === undefined || sameType(inputs[2], f32(w.shape[0]!));
      const fits = isFloat(w, 2) && x.dtype === "f32" && x.shape.at(-1) === w.shape[1] && bias && inputs.length <= 3;
      requireThat(fits, "site.linear", "f32 x[..., in], W[out,in], b[out]", inputs);
      return tensor("f32", [...x.shape.slice(0, -1), w.shape[0]!]);
    },
    { path: "text" },
  ),
  site(
    "site.embedding",
    2,
    "Rows of the table f32[v,d] for i32 ids [...s]: [...s, d]. Attribute: path.",
    (inputs) => {
      const table = asTensor("site.embedding", inputs[0]);
      const ids = asTensor("site.embedding", inputs[1]);
      requireThat(isFloat(table, 2) && ids.dtype === "i32", "site.embedding", "a table f32[v,d] and i32 ids", inputs);
      return tensor("f32", [...ids.shape, table.shape[1]!]);
    },
    { path: "text" },
  ),
  site(
    "site.matrices",
    "variadic",
    "y[..., out] = x[..., in] M^T with the only matrix of a parameter f32[out,in], or x f32[t,r,in] through one of several f32[e,out,in] for every t, by " +
      "numbers i32[t]. Inputs: x, the parameter, of several the numbers. Attribute: path (of the module, and the parameter's name).",
    (inputs) => {
      const [x, parameter, numbers] = inputs.map((type) => asTensor("site.matrices", type));
      const [out, width] = parameter!.shape.slice(-2);
      const isOne = inputs.length === 2 && isFloat(parameter!, 2);
      const areSeveral =
        inputs.length === 3 && isFloat(parameter!, 3) && isFloat(x!, 3) && sameShape(numbers!.shape, [x!.shape[0]!]);
      const fits =
        x!.dtype === "f32" && x!.shape.at(-1) === width && (isOne || (areSeveral && numbers!.dtype === "i32"));
      requireThat(fits, "site.matrices", "x f32[..., in], f32[out,in], or f32[t,r,in], f32[e,out,in], i32[t]", inputs);
      return tensor("f32", [...x!.shape.slice(0, -1), out!]);
    },
    { path: "text" },
  ),
  site(
    "site.norm",
    "variadic",
    "Normalisation over the last axis, times gain (+ bias). Inputs: x, gain [d], optionally bias [d]. Attributes: path, kind (rms | layer | rms-from-one | layer-from-one), epsilon.",
    (inputs, attributes) => {
      const x = asTensor("site.norm", inputs[0]);
      const vector = f32(x.shape.at(-1) ?? 0);
      const vectors = inputs.slice(1);
      const fits = vectors.length >= 1 && vectors.length <= 2 && vectors.every((type) => sameType(type, vector));
      const known = ["rms", "layer", "rms-from-one", "layer-from-one"].includes(attributes.kind as string);
      requireThat(
        x.dtype === "f32" && fits && known,
        "site.norm",
        "kind rms, layer, rms-from-one or layer-from-one, f32 x[..., d], gain[d], bias[d]",
        inputs,
      );
      return x;
    },
    { path: "text", kind: "text", epsilon: "number" },
  ),
  site(
    "site.prompt",
    2,
    "Embeddings f32[b,s,d] with virtual tokens in front: f32[b,tokens+s,d]. Inputs: embeddings, table f32[v,d]. Attribute: tokens.",
    (inputs, attributes) => {
      const [x, table] = [asTensor("site.prompt", inputs[0]), asTensor("site.prompt", inputs[1])];
      const fits = isFloat(x, 3) && isFloat(table, 2) && x.shape[2] === table.shape[1];
      requireThat(fits, "site.prompt", "embeddings f32[b,s,d] and a table f32[v,d]", inputs);
      return tensor("f32", [x.shape[0]!, x.shape[1]! + (attributes.tokens as number), x.shape[2]!]);
    },
    { tokens: "number" },
  ),
  site(
    "site.labels",
    1,
    "Labels i32[b,t] of virtual tokens and text, as the adapter has them. Input: those of the model, which gives virtual tokens none.",
    (inputs) => {
      const labels = asTensor("site.labels", inputs[0]);
      requireThat(labels.dtype === "i32" && labels.shape.length === 2, "site.labels", "i32[b,t]", inputs);
      return labels;
    },
  ),
  site(
    "site.weights",
    1,
    "Weights f32[b,t] of the labels in the loss; 1 without an adapter. Input: labels i32[b,t].",
    (inputs) => {
      const labels = asTensor("site.weights", inputs[0]);
      requireThat(labels.dtype === "i32" && labels.shape.length === 2, "site.weights", "i32[b,t]", inputs);
      return tensor("f32", labels.shape);
    },
  ),
  site(
    "site.attention",
    "variadic",
    "Context of an attention: the type of queries. Inputs: queries f32[b,s,n,g,d], keys and values f32[b,t,n,d], seen bool[..s,before+t], " +
      "weights of keys and values f32[n d,in], optionally their biases f32[n d], optionally what is added to the scores, f32[n,s,t] or with b and g. Attributes: path, scale (of the scores), cap (of the scores; 0: none), before (virtual keys in front).",
    (inputs) => {
      const [queries, keys, values, , key, value, ...more] = inputs.map((type) => asTensor("site.attention", type));
      const biases = more.filter(({ shape }) => shape.length === 1);
      const [width, deep] = [queries?.shape.at(-1), keys?.shape[2]];
      const projects = [key, value].every((w) => w !== undefined && isFloat(w, 2) && w.shape[0] === width! * deep!);
      const fits = isFloat(queries!, 5) && isFloat(keys!, 4) && isFloat(values!, 4) && projects;
      requireThat(
        fits && (biases.length === 0 || biases.length === 2) && more.length - biases.length <= 1,
        "site.attention",
        "queries f32[b,s,n,g,d], keys, values f32[b,t,n,d], a mask, two weights f32[n d,in], none or two biases, what is added to the scores",
        inputs,
      );
      return queries!;
    },
    { path: "text", scale: "number", cap: "number", before: "number" },
  ),
  site(
    "site.attended",
    1,
    "What an attention block gives to the residual stream, unchanged. Attribute: path (of its attention).",
    (inputs) => {
      const x = asTensor("site.attended", inputs[0]);
      requireThat(isFloat(x, 3), "site.attended", "f32[b,s,d]", inputs);
      return x;
    },
    { path: "text" },
  ),
];
