/**
 * Runs a parsed regular expression in time linear in (pattern x text): a backtracking machine that never visits the same
 * (instruction, position) twice, so that no pattern hangs. The first path found is the one Python finds.
 */
import type { Anchor, CharacterSet, ParsedRegex, RegexNode } from "./syntax.ts";
import { RegexSyntaxError } from "./syntax.ts";

type Instruction =
  | { readonly op: "set"; readonly set: CharacterSet }
  | { readonly op: "split"; first: number; second: number }
  | { readonly op: "jump"; to: number }
  | { readonly op: "save"; readonly slot: number }
  | { readonly op: "anchor"; readonly anchor: Anchor }
  | { readonly op: "look"; readonly program: Program; readonly behind: boolean; readonly negated: boolean }
  | { readonly op: "match" };

type Program = readonly Instruction[];

export interface RegexProgram {
  readonly program: Program;
  readonly groups: number;
  readonly ignoreCase: boolean;
}

const maximumInstructions = 10_000;

/** Throws RegexSyntaxError when the pattern is too large once its counts are written out. */
export function compileRegex(regex: ParsedRegex): RegexProgram {
  const budget = { left: maximumInstructions };
  return { program: assemble(regex.root, budget), groups: regex.groups, ignoreCase: regex.ignoreCase };
}

function assemble(root: RegexNode, budget: { left: number }): Program {
  const code: Instruction[] = [];
  const add = <T extends Instruction>(instruction: T): T => {
    if (budget.left-- <= 0) throw new RegexSyntaxError("the pattern is too large", 0);
    code.push(instruction);
    return instruction;
  };
  const optional = (lazy: boolean, body: () => void): void => {
    const split = add({ op: "split", first: 0, second: 0 });
    const inside = code.length;
    body();
    [split.first, split.second] = lazy ? [code.length, inside] : [inside, code.length];
  };
  const emit = (node: RegexNode): void => {
    switch (node.kind) {
      case "set":
        add({ op: "set", set: node.set });
        return;
      case "anchor":
        add({ op: "anchor", anchor: node.anchor });
        return;
      case "sequence":
        node.items.forEach(emit);
        return;
      case "choice":
        emitChoice(node.items);
        return;
      case "capture":
        add({ op: "save", slot: 2 * node.index });
        emit(node.item);
        add({ op: "save", slot: 2 * node.index + 1 });
        return;
      case "look":
        add({ op: "look", program: assemble(node.item, budget), behind: node.behind, negated: node.negated });
        return;
      case "repeat":
        emitRepeat(node.item, node.minimum, node.maximum, node.lazy);
    }
  };
  const emitChoice = (items: readonly RegexNode[]): void => {
    const exits: { to: number }[] = [];
    for (const [i, item] of items.entries()) {
      const split = i < items.length - 1 ? add({ op: "split", first: code.length + 1, second: 0 }) : undefined;
      emit(item);
      if (split === undefined) break;
      exits.push(add({ op: "jump", to: 0 }));
      split.second = code.length;
    }
    for (const exit of exits) exit.to = code.length;
  };
  const emitRepeat = (item: RegexNode, minimum: number, maximum: number, lazy: boolean): void => {
    for (let i = 0; i < minimum; i++) emit(item);
    if (maximum === Number.POSITIVE_INFINITY) {
      const start = code.length;
      optional(lazy, () => {
        emit(item);
        add({ op: "jump", to: start });
      });
      return;
    }
    const rest = (left: number): void => {
      if (left > 0) optional(lazy, () => [emit(item), rest(left - 1)]);
    };
    rest(maximum - minimum);
  };
  emit(root);
  add({ op: "match" });
  return code;
}

/** The text of every group (index 0 unused) when the pattern matches at the start; `whole`: when it matches all of `text`. */
export function runRegex(regex: RegexProgram, text: string, whole: boolean): (string | undefined)[] | undefined {
  const machine = new Machine(text, regex.ignoreCase);
  const saved = machine.run(regex.program, 0, whole ? text.length : undefined, 2 * regex.groups + 2);
  if (saved === undefined) return undefined;
  return Array.from({ length: regex.groups + 1 }, (_, group) => {
    const [begin, end] = [saved[2 * group]!, saved[2 * group + 1]!];
    return begin >= 0 && end >= 0 ? text.slice(begin, end) : undefined;
  });
}

const isWord = (text: string, at: number): boolean => /\w/.test(text[at] ?? "");

class Machine {
  /** Whether a look-around holds, by its instruction and position. */
  private readonly known = new Map<Instruction, Map<number, boolean>>();

  constructor(
    private readonly text: string,
    private readonly ignoreCase: boolean,
  ) {}

  /** Positions of the groups of the first match that starts at `start` and ends at `end` (anywhere if undefined). */
  run(program: Program, start: number, end: number | undefined, slots: number): Int32Array | undefined {
    const width = this.text.length + 1;
    const visited = new Uint8Array(program.length * width);
    const saved = new Int32Array(slots).fill(-1);
    // Pairs (instruction, position); an instruction below zero restores slot -1 - instruction to the position.
    const stack = [0, start];
    while (stack.length > 0) {
      let at = stack.pop()!;
      let pc = stack.pop()!;
      if (pc < 0) {
        saved[-1 - pc] = at;
        continue;
      }
      for (;;) {
        const cell = pc * width + at;
        if (visited[cell] === 1) break;
        visited[cell] = 1;
        const instruction = program[pc]!;
        if (instruction.op === "match") {
          if (end === undefined || at === end) return saved;
          break;
        }
        if (instruction.op === "jump") {
          pc = instruction.to;
          continue;
        }
        if (instruction.op === "split") {
          stack.push(instruction.second, at);
          pc = instruction.first;
          continue;
        }
        if (instruction.op === "save") {
          if (instruction.slot < slots) {
            stack.push(-1 - instruction.slot, saved[instruction.slot]!);
            saved[instruction.slot] = at;
          }
        } else if (instruction.op === "set") {
          if (at >= this.text.length || !this.contains(instruction.set, this.text.charCodeAt(at))) break;
          at++;
        } else if (!this.holds(instruction, at)) break;
        pc++;
      }
    }
    return undefined;
  }

  private contains(set: CharacterSet, code: number): boolean {
    const within = (c: number): boolean => set.ranges.some(([low, high]) => c >= low && c <= high);
    if (!this.ignoreCase) return within(code) !== set.negated;
    const character = String.fromCharCode(code);
    const found = within(character.toLowerCase().charCodeAt(0)) || within(character.toUpperCase().charCodeAt(0));
    return found !== set.negated;
  }

  private holds(instruction: Extract<Instruction, { op: "anchor" | "look" }>, at: number): boolean {
    if (instruction.op === "anchor") return this.anchored(instruction.anchor, at);
    const answers = this.known.get(instruction) ?? new Map<number, boolean>();
    this.known.set(instruction, answers);
    const answer = answers.get(at) ?? this.look(instruction.program, instruction.behind, at) !== instruction.negated;
    answers.set(at, answer);
    return answer;
  }

  private look(program: Program, behind: boolean, at: number): boolean {
    if (!behind) return this.run(program, at, undefined, 0) !== undefined;
    for (let start = at; start >= 0; start--) {
      if (this.run(program, start, at, 0) !== undefined) return true;
    }
    return false;
  }

  private anchored(anchor: Anchor, at: number): boolean {
    const { text } = this;
    switch (anchor) {
      case "start":
        return at === 0;
      case "end":
        return at === text.length;
      case "end-or-newline":
        return at === text.length || (at === text.length - 1 && text[at] === "\n");
      case "line-start":
        return at === 0 || text[at - 1] === "\n";
      case "line-end":
        return at === text.length || text[at] === "\n";
      case "word":
        return isWord(text, at - 1) !== isWord(text, at);
      case "not-word":
        return isWord(text, at - 1) === isWord(text, at);
    }
  }
}
