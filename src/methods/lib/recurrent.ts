/** Recurrent networks over a few known steps, written out: the backward pass follows from the steps. */
import type { Builder } from "../../ir/builder.ts";
import { type Builtin, makesTensor, optional } from "./builtin.ts";

interface LstmWeights {
  /** [4 h, in] and [4 h, h]: rows of the gates input, forget, cell and output, as PyTorch has them. */
  readonly ofInput: number;
  readonly ofState: number;
  /** [4 h]: both biases of PyTorch, added up. */
  readonly bias: number;
}

/** Every step is a dozen nodes of the graph. */
const mostSteps = 1024;

/** States [steps, h] of an LSTM over x [steps, in], from zeros; `reverse` begins with the last step. */
function lstm(b: Builder, x: number, { ofInput, ofState, bias }: LstmWeights, reverse: boolean): number {
  const steps = b.shape(x)[0]!;
  const width = b.shape(ofState)[1]!;
  const inputs = b.einsum("ti,gi->tg", x, ofInput);
  const given = b.plus(inputs, b.broadcast(bias, b.shape(inputs), [1]));
  const part = (gates: number, k: number): number => b.slice(gates, [0, k * width], [1, (k + 1) * width]);
  const states: number[] = [];
  let [state, cell]: (number | undefined)[] = [];
  for (let turn = 0; turn < steps; turn++) {
    const t = reverse ? steps - 1 - turn : turn;
    const own = b.slice(given, [t, 0], [t + 1, 4 * width]);
    const gates = state === undefined ? own : b.plus(own, b.einsum("th,gh->tg", state, ofState));
    const open = (k: number): number => b.add("sigmoid", [part(gates, k)]);
    const added = b.mul(open(0), b.add("tanh", [part(gates, 2)]));
    cell = cell === undefined ? added : b.plus(b.mul(open(1), cell), added);
    state = b.mul(open(3), b.add("tanh", [cell]));
    states[t] = state;
  }
  return b.concat(states, 0);
}

export const recurrentBuiltins: readonly Builtin[] = [
  makesTensor(
    "lstm",
    { x: "tensor", of_input: "tensor", of_state: "tensor", bias: "tensor", reverse: optional("condition", false) },
    "States [steps, h] of an LSTM over x [steps, in], begun with zeros; weights [4 h, in], [4 h, h] and [4 h] in PyTorch's order of gates. reverse: from the last step to the first.",
    ({ x, of_input: ofInput, of_state: ofState, bias, reverse }, b, context) => {
      const shapes = [x, ofInput, ofState, bias].map((id) => b.shape(id));
      const [[steps, n], , [, width = 0]] = shapes as [number[], number[], number[]];
      const wanted = [[steps, n], [4 * width, n], [4 * width, width], [4 * width]];
      if (JSON.stringify(shapes) !== JSON.stringify(wanted))
        throw context.fail(
          "The sizes of an LSTM do not fit.",
          "[t, n], [4 h, n], [4 h, h], [4 h]",
          JSON.stringify(shapes),
        );
      if (steps! > mostSteps)
        throw context.fail("The LSTM has too many steps to be written out.", `at most ${mostSteps}`, String(steps));
      return lstm(b, x, { ofInput, ofState, bias }, reverse);
    },
  ),
];
