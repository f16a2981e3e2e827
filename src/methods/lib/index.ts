/** All builtins of the fragment language, by name. */
import type { Builtin } from "./builtin.ts";
import { expertBuiltins } from "./experts.ts";
import { functionBuiltins } from "./functions.ts";
import { gateBuiltins } from "./gates.ts";
import { hostBuiltins } from "./host.ts";
import { initialBuiltins } from "./initial.ts";
import { numberBuiltins } from "./numbers.ts";
import { operatorBuiltins } from "./operators.ts";
import { posteriorBuiltins } from "./posterior.ts";
import { productBuiltins } from "./products.ts";
import { recurrentBuiltins } from "./recurrent.ts";
import { rotationBuiltins } from "./rotation.ts";
import { selectionBuiltins } from "./selection.ts";
import { softmaxBuiltins } from "./softmax.ts";
import { sparseBuiltins } from "./sparse.ts";
import { tableRowBuiltins } from "./table-rows.ts";
import { tensorBuiltins } from "./tensors.ts";

export const builtins: ReadonlyMap<string, Builtin> = new Map(
  [
    numberBuiltins,
    functionBuiltins,
    softmaxBuiltins,
    initialBuiltins,
    hostBuiltins,
    tableRowBuiltins,
    tensorBuiltins,
    operatorBuiltins,
    productBuiltins,
    gateBuiltins,
    expertBuiltins,
    posteriorBuiltins,
    sparseBuiltins,
    recurrentBuiltins,
    rotationBuiltins,
    selectionBuiltins,
  ]
    .flat()
    .map((builtin) => [builtin.name, builtin]),
);
