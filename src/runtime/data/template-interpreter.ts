/**
 * Runs a chat template as Jinja's sandbox in transformers does, with a budget: a template is a program from a stranger, so every step costs
 * something, by the size of what it makes, and a template that costs more than its conversation can need is stopped.
 */
import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";
import { pythonTime } from "./python-time.ts";

type Statement = NonNullable<Parameters<Interpreter["evaluate"]>[0]>;
type Value = ReturnType<Interpreter["evaluate"]>;
type Member = Statement & { readonly object: Statement; readonly computed: boolean; readonly property: Statement };

/** A value in the place of the expression that gave it. */
class Held {
  readonly type = "Held";
  constructor(readonly held: Value) {}
}

/** As deep as statements and calls may be in each other: a call takes about two, and the stack of an engine is full after some thousand. */
const deepest = 300;
/** The longest range of Jinja's sandbox. */
const longestRange = 100_000;

/** What a value costs: a step for every entry of a list or an object, and for 64 characters. */
function costOf({ value }: Value): number {
  if (typeof value === "string") return 1 + value.length / 64;
  if (Array.isArray(value)) return 1 + value.length;
  return value instanceof Map ? 1 + value.size : 1;
}

class BudgetedInterpreter extends Interpreter {
  private depth = 0;

  constructor(
    environment: Environment,
    private left: number,
    private readonly strict: boolean,
  ) {
    super(environment);
  }

  override evaluate(statement: Statement | undefined, environment: Environment): Value {
    if (statement instanceof Held) return statement.held;
    if (++this.depth > deepest) throw new Error("the template calls itself without an end");
    try {
      const value = super.evaluate(this.withObject(statement, environment), environment);
      this.left -= costOf(value);
      if (this.left < 0) throw new Error("the template does not come to an end");
      return value;
    } finally {
      this.depth--;
    }
  }

  /** An attribute of something undefined is an error, as it is in Jinja; the interpreter alone would give another undefined. */
  private withObject(statement: Statement | undefined, environment: Environment): Statement | undefined {
    if (!this.strict || statement?.type !== "MemberExpression") return statement;
    const member = statement as Member;
    const object = this.evaluate(member.object, environment);
    if (object.type === "UndefinedValue") {
      const { value } = member.property as { readonly value?: unknown };
      throw new Error(`${textOf(member.object)} is undefined, and has no ${String(value ?? "such entry")}`);
    }
    return { ...member, object: new Held(object) } as Statement;
  }
}

/** An expression for messages: names and what is taken out of them. */
function textOf(statement: Statement): string {
  if (statement.type === "MemberExpression") {
    const { object, property, computed } = statement as Member;
    return computed ? `${textOf(object)}[${textOf(property)}]` : `${textOf(object)}.${textOf(property)}`;
  }
  const { value } = statement as { readonly value?: unknown };
  if (statement.type === "StringLiteral") return JSON.stringify(value);
  return typeof value === "string" || typeof value === "number" ? String(value) : "an expression";
}

function range(...bounds: unknown[]): number[] {
  const [start, stop, step = 1] = bounds.length === 1 ? [0, bounds[0]] : bounds;
  const all = [start, stop, step];
  if (!all.every(Number.isSafeInteger) || step === 0) throw new Error(`range(${bounds.join(", ")}) is no range`);
  const [from, to, by] = all as [number, number, number];
  const count = Math.max(0, Math.ceil((to - from) / by));
  if (count > longestRange) throw new Error(`range of ${count} is longer than ${longestRange}`);
  return Array.from({ length: count }, (_unused, i) => from + i * by);
}

function globals(): Environment {
  const environment = new Environment();
  for (const [name, value] of Object.entries({ true: true, false: false, none: null })) {
    environment.set(name, value);
    environment.set(`${name[0]!.toUpperCase()}${name.slice(1)}`, value);
  }
  environment.set("range", range);
  environment.set("strftime_now", (format: string) => pythonTime(new Date(), format));
  environment.set("raise_exception", (message: unknown) => {
    throw new Error(String(message));
  });
  return environment;
}

/** A template that parses. */
export interface ParsedTemplate {
  /**
   * The text for some variables, which may be JSON and functions; `budget` is what it may cost, in steps. `strict`: nothing has attributes of
   * its own. Throws whatever goes wrong in the template.
   */
  render(variables: Readonly<Record<string, unknown>>, budget: number, strict: boolean): string;
}

/** Parses a template. Throws what is wrong with its syntax. */
export function parseTemplate(source: string): ParsedTemplate {
  const program = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  return {
    render(variables, budget, strict) {
      const environment = globals();
      for (const [name, value] of Object.entries(variables)) environment.set(name, value);
      return String(new BudgetedInterpreter(environment, budget, strict).run(program).value);
    },
  };
}
