/** The builtins that every method may call, by name. */
import type { Builtin } from "./builtin.ts";
import { gateBuiltins, initialBuiltins } from "./draws.ts";
import { functionBuiltins } from "./functions.ts";
import { numberBuiltins } from "./numbers.ts";
import { operatorBuiltins } from "./operators.ts";
import { softmaxBuiltins } from "./softmax.ts";
import { tensorBuiltins } from "./tensors.ts";

export const builtins: ReadonlyMap<string, Builtin> = new Map(
  [
    ...[numberBuiltins, functionBuiltins, softmaxBuiltins, initialBuiltins],
    ...[tensorBuiltins, operatorBuiltins, gateBuiltins],
  ]
    .flat()
    .map((builtin) => [builtin.name, builtin]),
);
