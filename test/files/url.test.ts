import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { readAdapter } from "../../src/runtime/files/adapter.ts";
import { loadModel } from "../../src/runtime/files/model.ts";
import type { ProgressEvent } from "../../src/runtime/files/progress.ts";
import { urlSource } from "../../src/runtime/files/url.ts";
import { failure, golden } from "./helpers.ts";

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function serve(handler: Handler): Promise<string> {
  const server = createServer(handler);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const llama = (request: IncomingMessage): Buffer | undefined => {
  const name = new URL(request.url!, "http://x").pathname.replace("/models/llama/", "");
  return ["config.json", "model.safetensors"].includes(name)
    ? readFileSync(join(golden, "bases/llama", name))
    : undefined;
};

/** Answers with ranges. */
const ranges: Handler = (request, response) => {
  const bytes = llama(request);
  if (bytes === undefined) return void response.writeHead(404).end();
  const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "")!.map(Number);
  const part = bytes.subarray(from, to! + 1);
  response.writeHead(206, { "content-range": `bytes ${from}-${to}/${bytes.length}`, "content-length": part.length });
  response.end(part);
};

/** Knows no ranges. */
const whole: Handler = (request, response) => {
  const bytes = llama(request);
  if (bytes === undefined) response.writeHead(404).end();
  else response.writeHead(200, { "content-length": bytes.length }).end(bytes);
};

describe("models behind URLs", () => {
  it.each([
    ["ranges", ranges],
    ["no ranges", whole],
  ])("are read from a server with %s", async (_, handler) => {
    const requests: string[] = [];
    const url = await serve((request, response) => {
      requests.push(request.url!);
      handler(request, response);
    });
    const events: ProgressEvent[] = [];
    const model = await loadModel(`${url}/models/llama?token=1`, { progress: (event) => events.push(event) });
    const local = await loadModel(join(golden, "bases/llama"));
    for (const key of model.weights.keys()) {
      const [here, there] = [await local.weights.read(key), await model.weights.read(key)];
      expect(Buffer.compare(here.bytes, there.bytes)).toBe(0);
    }
    expect(requests.every((path) => path.endsWith("?token=1"))).toBe(true);
    expect(events.at(-1)).toMatchObject({ status: "done", progress: 100, file: "model.safetensors" });
    expect(events.filter((event) => event.status === "done")).toHaveLength(1);
    if (handler === whole) expect(requests.filter((path) => path.includes("safetensors"))).toHaveLength(1);
    expect(await model.tree!.open("tokenizer.json")).toBeUndefined();
    expect(await model.tree!.list()).toBeUndefined();
  });

  it("fail with a coded error", async () => {
    const url = await serve((request, response) => {
      if (request.url === "/500") response.writeHead(500).end("no");
      else if (request.url === "/cut") {
        response.writeHead(200, { "content-length": 100 }).write("half");
        setTimeout(() => response.destroy(), 20);
      } else if (request.headers.range === "bytes=0-63") {
        response.writeHead(206, { "content-range": "bytes 0-0/100" }).end("a");
      } else if (request.url === "/short") response.writeHead(206, { "content-range": "bytes 0-9/100" }).end("abc");
      else if (request.url === "/long")
        response.writeHead(206, { "content-range": "bytes 0-9/100" }).end("a".repeat(99));
      else if (request.url === "/changed")
        response.writeHead(206, { "content-range": "bytes 0-9/50" }).end("0123456789");
      else response.writeHead(200).end("everything");
    });
    expect((await failure(() => urlSource(`${url}/500`))).code).toBe("FILE-FETCH");
    expect((await failure(() => urlSource(`${url}/cut`))).code).toBe("FILE-FETCH");
    const unreached = await failure(() => urlSource("http://127.0.0.1:1/x"));
    expect([unreached.code, unreached.got]).toEqual(["FILE-FETCH", expect.stringMatching(/^fetch failed: ./)]);
    for (const name of ["short", "long", "changed", "other"]) {
      const source = await urlSource(`${url}/${name}`);
      expect(source!.size).toBe(100);
      expect((await failure(() => source!.read(0, 10))).code).toBe("FILE-FETCH");
      expect((await failure(() => source!.read(95, 10))).code).toBe("FILE-TRUNCATED");
    }
  });

  it.each([
    ["whole", {}],
    ["in ranges", { "content-range": "bytes 0-63/900" }],
  ])("are missing where a page comes in their place, %s", async (_, headers) => {
    const page = `<!DOCTYPE html><title>app</title>${" ".repeat(900)}`;
    const url = await serve((request, response) => {
      const bytes = llama(request);
      if (bytes !== undefined) return void response.writeHead(200, { "content-type": "text/html" }).end(bytes);
      response.writeHead("content-range" in headers ? 206 : 200, { "content-type": "text/html", ...headers }).end(page);
    });
    const model = await loadModel(`${url}/models/llama`);
    expect(await model.tree!.open("tokenizer.json")).toBeUndefined();
    const instead = { code: "FILE-NOT-FOUND", got: expect.stringContaining("HTML") };
    expect(await failure(() => loadModel(`${url}/nothing`))).toMatchObject({
      ...instead,
      where: `${url}/nothing/config.json`,
    });
    const adapter = await failure(() => readAdapter(`${url}/adapter`));
    expect(adapter).toMatchObject({ ...instead, where: `${url}/adapter/adapter_config.json` });
  });

  it("stop at a signal", async () => {
    const url = await serve(() => {});
    const controller = new AbortController();
    const loading = loadModel(url, { signal: controller.signal });
    setTimeout(() => controller.abort(), 20);
    await expect(loading).rejects.toThrow(/abort/i);
  });
});
