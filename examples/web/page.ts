/** The page of this example: compiles what stands in its field, and draws the program below it. */
import { compile, loadModel, type ReportView, WebpeftError } from "webpeft";

const find = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;

async function show(): Promise<void> {
  const [figures, error] = [find("figures"), find("error")];
  error.textContent = "";
  try {
    const model = await loadModel(new URL("model", location.href).href);
    const program = await compile(model, JSON.parse(find<HTMLTextAreaElement>("config").value), {
      batch: 2,
      length: 64,
    });
    const dispatches = program.plan.stages.find(({ name }) => name === "micro")?.dispatches.length ?? 0;
    figures.textContent = `${program.kernels.length} kernels, ${dispatches} dispatches for a batch`;
    program.view(find("graph"), { view: find<HTMLSelectElement>("view").value as ReportView, height: "560px" });
  } catch (cause) {
    if (!(cause instanceof WebpeftError || cause instanceof SyntaxError)) throw cause;
    error.textContent = String(cause);
  }
}

find("form").addEventListener("submit", (event) => {
  event.preventDefault();
  void show();
});
find("view").addEventListener("change", () => void show());
void show();
