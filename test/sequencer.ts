/** The order in which files of tests begin. */
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** They take longest and begin first, so that no worker is left alone with one of them at the end. */
const slow = [
  "runtime/thirty-layers",
  "golden/methods",
  "cli/train",
  "budgets/budgets",
  "config/fields-used",
  "runtime/memory-budget",
  "cli/bad-inputs",
];

/** Files with a process of their own come at the end: before, they would end the processes that the others share. */
const rank = ({ moduleId, project }: TestSpecification): number => {
  if (project.name === "alone") return slow.length + 1;
  const at = slow.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
  return at < 0 ? slow.length : at;
};

export class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}
