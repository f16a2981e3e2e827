/** Activations between the layers of a base model, by their names in `config.json`. */
import type { Builder } from "../ir/builder.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import { text } from "./config.ts";
import type { ModelConfig } from "./model.ts";

export type Activation = "silu" | "gelu" | "gelu_tanh" | "relu" | "relu_squared";

const names: Readonly<Record<string, Activation>> = {
  silu: "silu",
  swish: "silu",
  gelu: "gelu",
  gelu_python: "gelu",
  gelu_new: "gelu_tanh",
  gelu_pytorch_tanh: "gelu_tanh",
  relu: "relu",
  relu2: "relu_squared",
};

/** Reads the activation of a field. Throws `MODEL-ACTIVATION` for those that are not built. */
export const readActivation = (config: ModelConfig, field: string, fallback: string): Activation =>
  activationNamed(text(config, field, fallback), field);

/** The activation of a name that stands in a field. Throws `MODEL-ACTIVATION`. */
export function activationNamed(name: string, field: string): Activation {
  if (Object.hasOwn(names, name)) return names[name]!;
  throw new WebpeftError("MODEL-ACTIVATION", {
    message: "this activation is not built",
    where: `config.json: ${field}`,
    expected: Object.keys(names).join(", "),
    got: name,
  });
}

/** 0.5 x (1 + share) where share is the odd function that tells gelu's kinds apart. */
function gelu(builder: Builder, x: number, share: number): number {
  return builder.mul(builder.scale(x, 0.5), builder.plus(share, builder.constantLike(x, 1)));
}

export function activate(builder: Builder, activation: Activation, x: number): number {
  switch (activation) {
    case "silu":
      return builder.mul(x, builder.add("sigmoid", [x]));
    case "gelu":
      return gelu(builder, x, builder.add("erf", [builder.scale(x, Math.SQRT1_2)]));
    case "gelu_tanh": {
      // tanh(sqrt(2 / pi) (x + 0.044715 x^3))
      const cube = builder.mul(builder.mul(x, x), x);
      const inner = builder.scale(builder.plus(x, builder.scale(cube, 0.044715)), Math.sqrt(2 / Math.PI));
      return gelu(builder, x, builder.add("tanh", [inner]));
    }
    case "relu":
      return builder.add("maximum", [x, builder.zerosLike(x)]);
    case "relu_squared": {
      const positive = builder.add("maximum", [x, builder.zerosLike(x)]);
      return builder.mul(positive, positive);
    }
  }
  return activation satisfies never;
}
