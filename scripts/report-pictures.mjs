// The pictures of `docs/inspect.md`, taken of reports that are made here: `npm run build && node scripts/report-pictures.mjs`. Four minutes.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import packed from "@sparticuz/chromium";
import { chromium } from "playwright-core";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "webpeft-pictures-"));
const model = ["--model", "examples/tiny-llama"];

function webpeft(...args) {
  execFileSync(process.execPath, ["dist/cli.js", ...args], { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
}

function makeReports() {
  for (const name of ["lora", "oft"]) {
    const of = [...model, "--config", `examples/configs/${name}.json`, "--batch", "4", "--length", "64"];
    webpeft("inspect", ...of, "--measure", "--device", "cpu", "--out", join(folder, name));
  }
  webpeft("inspect", "--diff", join(folder, "lora"), join(folder, "oft"), "--out", join(folder, "diff"));
  const data = ["--data", "examples/data/austen-train.txt", "--valid", "examples/data/austen-heldout.txt"];
  const schedule = ["--lr", "0.003", "--warmup", "6", "--schedule", "cosine"];
  const run = ["--steps", "60", "--eval-every", "10", "--batch-size", "8", "--length", "64", "--device", "cpu"];
  const out = ["--out", join(folder, "adapter"), "--report", join(folder, "training.html")];
  webpeft("train", ...model, "--config", "examples/configs/lora.json", ...data, ...run, ...schedule, ...out);
}

/** A picture, the report, the address in it, what is clicked, and the size where it is another. */
const pictures = [
  ["inspect-overview", "lora", "view=overview"],
  ["inspect-kernels", "lora", "view=kernels", ["main tbody tr >> nth=1", "aside .wgsl button >> nth=2"]],
  ["inspect-graph", "lora", "view=graph", [".graph .is-folded >> nth=0"]],
  ["inspect-memory", "lora", "view=memory"],
  ["inspect-steps", "lora", "view=steps"],
  ["inspect-passes", "lora", "view=passes", ["main td .chip >> nth=1"]],
  ["inspect-decisions", "lora", "view=decisions", [], 560],
  ["inspect-diff", "diff", ""],
  ["training-report", "training", "", [], 800],
];

const fileOf = (report) => join(folder, report === "training" ? "training.html" : `${report}/report.html`);

/** PNG to WebP, which the browser writes. */
async function webpOf(browser, png) {
  const page = await browser.newPage();
  const text = await page.evaluate(async (source) => {
    const image = new Image();
    image.src = source;
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.toDataURL("image/webp", 0.72);
  }, `data:image/png;base64,${png.toString("base64")}`);
  await page.close();
  return Buffer.from(text.slice(text.indexOf(",") + 1), "base64");
}

async function take(browser, [name, report, address, clicks = [], height = 720]) {
  const page = await browser.newPage({ viewport: { width: 1280, height } });
  await page.goto(`${pathToFileURL(fileOf(report))}#${address}`);
  await page.waitForTimeout(1500);
  for (const [at, selector] of clicks.entries()) {
    // What is clicked last in a text is only pointed at: it would lead away.
    const target = page.locator(selector);
    await target.scrollIntoViewIfNeeded();
    if (at === clicks.length - 1 && selector.includes("wgsl")) await target.hover();
    else await target.click();
    await page.waitForTimeout(700);
  }
  const webp = await webpOf(browser, await page.screenshot());
  writeFileSync(join(root, `docs/images/${name}.webp`), webp);
  console.log(`${name}.webp ${webp.length} bytes`);
  await page.close();
}

makeReports();
const executablePath = await packed.executablePath();
// In one process the first page that is closed would end all.
const args = packed.args.filter((arg) => arg !== "--single-process" && arg !== "--no-zygote");
const browser = await chromium.launch({ executablePath, args: [...args, "--no-sandbox"] });
for (const picture of pictures) await take(browser, picture);
await browser.close();
rmSync(folder, { recursive: true });
