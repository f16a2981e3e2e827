/** `webpeft methods`: the methods with their formulas and fields. */
import { everyMethod } from "../methods/index.ts";
import { emit, type PrintOptions, say } from "./output.ts";

export async function run(options: Record<string, unknown>): Promise<number | undefined> {
  for (const method of everyMethod) {
    const { peftType } = method;
    say(options as PrintOptions, `${peftType}\n${method.formulaLines.map((line) => `  ${line}`).join("\n")}`);
    const fields = method.fields.map(
      (field) => `${field.name} = ${JSON.stringify(field.seedDefault ?? field.default)}`,
    );
    say(options as PrintOptions, `  fields: ${fields.join(", ")}\n`);
    emit(options as PrintOptions, {
      type: "method",
      peft_type: peftType,
      formula: method.formulaLines,
      fields: method.fields,
    });
  }
  return 0;
}
