/** Calls that stand in line. */
import { describe, expect, it } from "vitest";
import { Turns } from "../../src/runtime/executors/turns.ts";

const pause = (): Promise<void> => new Promise((done) => setTimeout(done));

describe("turns", () => {
  it("are taken at once while nothing is waited for", () => {
    expect(new Turns().take(undefined, () => 1)).toBe(1);
  });

  it("keep the order of the calls, whatever is ready first and whatever fails", async () => {
    const turns = new Turns();
    const order: string[] = [];
    const open: (() => void)[] = [];
    const gate = (): Promise<void> =>
      new Promise((done) => {
        open.push(done);
      });
    const first = turns.take(gate(), () => order.push("first"));
    const failing = turns.take(Promise.reject(new Error("no pipeline")), () => order.push("never"));
    const third = turns.take(gate(), () => order.push("third"));
    const fourth = turns.take(undefined, () => order.push("fourth"));
    await expect(failing).rejects.toThrow("no pipeline");
    open[1]!();
    await pause();
    expect(order).toEqual([]);
    open[0]!();
    await Promise.all([first, third, fourth]);
    expect(order).toEqual(["first", "third", "fourth"]);
    await pause();
    expect(turns.take(undefined, () => "at once")).toBe("at once");
  });
});
