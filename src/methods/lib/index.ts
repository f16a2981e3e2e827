/** The builtins that every method may call, by name. */
import type { Builtin } from "./builtin.ts";
import { functionBuiltins } from "./functions.ts";
import { gateBuiltins } from "./gates.ts";
import { hostBuiltins } from "./host.ts";
import { initialBuiltins } from "./initial.ts";
import { numberBuiltins } from "./numbers.ts";
import { operatorBuiltins } from "./operators.ts";
import { productBuiltins } from "./products.ts";
import { rotationBuiltins } from "./rotation.ts";
import { selectionBuiltins } from "./selection.ts";
import { softmaxBuiltins } from "./softmax.ts";
import { tensorBuiltins } from "./tensors.ts";

export const builtins: ReadonlyMap<string, Builtin> = new Map(
  [
    numberBuiltins,
    functionBuiltins,
    softmaxBuiltins,
    initialBuiltins,
    hostBuiltins,
    tensorBuiltins,
    operatorBuiltins,
    productBuiltins,
    gateBuiltins,
    rotationBuiltins,
    selectionBuiltins,
  ]
    .flat()
    .map((builtin) => [builtin.name, builtin]),
);
