/** The headless Chromium of the tests, with WebGPU on the SwiftShader that it brings. */
import { type Browser, chromium as launcher } from "playwright-core";

/** The package has Chromium for this system only. */
export const hasChromium = process.platform === "linux" && process.arch === "x64";

/** What keeps pages from being isolated, which sharing memory takes. */
const joins = ["--single-process", "--no-zygote", "--disable-site-isolation-trials", "--disable-web-security"];

/** `isolates`: pages that ask for it by their headers are cross-origin isolated. */
export async function openChromium({ isolates = false } = {}): Promise<Browser> {
  const { default: chromium } = await import("@sparticuz/chromium");
  // Which Vulkan driver Node's tests take must not decide what Chromium finds: it comes with its own.
  const { VK_DRIVER_FILES: _driver, ...env } = process.env;
  return launcher.launch({
    executablePath: await chromium.executablePath(),
    env: env as Record<string, string>,
    args: [
      ...chromium.args.filter((arg) => !isolates || !(joins.includes(arg) || arg.includes("IsolateOrigins"))),
      "--no-sandbox",
      "--enable-unsafe-webgpu",
      "--enable-features=Vulkan",
      "--use-webgpu-adapter=swiftshader",
    ],
  });
}
