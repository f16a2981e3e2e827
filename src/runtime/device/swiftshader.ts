/**
 * SwiftShader, a Vulkan driver in software, out of the Chromium that npm `@sparticuz/chromium` carries. It is unpacked once into a cache
 * folder: `libvk_swiftshader.so`, a link `libvulkan.so.1` to it, and a copy of `dawn.node` beside them, because Dawn looks for Vulkan
 * in its own folder first. A link inside `node_modules` would hide the driver of a real GPU from every other use of Dawn.
 */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { findPackage, type InstalledPackage } from "./host.ts";
import { readTarEntry } from "./tar.ts";

export const chromiumPackage = "@sparticuz/chromium";
const library = "libvk_swiftshader.so";

/** Path of a `dawn.node` that runs on SwiftShader. Throws `DEVICE-NONE` where there is none, `DEVICE-CACHE` when it cannot be written. */
export async function installSwiftShader(dawn: InstalledPackage): Promise<string> {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new WebpeftError("DEVICE-NONE", {
      message: "the bundled software driver (SwiftShader) is for Linux on x64 only",
      got: `${process.platform} ${process.arch}`,
      help: "use a machine with a GPU driver, or `--device cpu`",
    });
  }
  const chromium = await findPackage(chromiumPackage);
  if (chromium === undefined) {
    throw new WebpeftError("DEVICE-NONE", {
      message: `the software driver comes with the package ${chromiumPackage}, which is not installed`,
      help: `run \`npm install ${chromiumPackage}\`, or install a Vulkan driver, or use \`--device cpu\``,
    });
  }
  const { access } = await import("node:fs/promises");
  const { join } = await import("node:path");
  const name = `swiftshader-${chromium.version}-dawn-${dawn.version}`;
  const folder = join(await cacheFolder(), name);
  const binary = join(folder, "dawn.node");
  const known = await access(binary).then(
    () => true,
    () => false,
  );
  if (!known) await unpack(folder, dawn, chromium);
  return binary;
}

/** `$WEBPEFT_CACHE`, or `webpeft` in the user's cache folder. */
async function cacheFolder(): Promise<string> {
  const { homedir } = await import("node:os");
  const { join, resolve } = await import("node:path");
  const own = process.env.WEBPEFT_CACHE;
  if (own) return resolve(own);
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "webpeft");
}

/** Fills a folder of a temporary name and renames it: other processes see all of it or nothing. */
async function unpack(folder: string, dawn: InstalledPackage, chromium: InstalledPackage): Promise<void> {
  const { access, copyFile, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } = await import(
    "node:fs/promises"
  );
  const { dirname, join } = await import("node:path");
  const { brotliDecompress } = await import("node:zlib");
  const { promisify } = await import("node:util");
  let temporary: string | undefined;
  try {
    await mkdir(dirname(folder), { recursive: true, mode: 0o700 });
    temporary = await mkdtemp(`${folder}.`);
    const packed = await readFile(join(chromium.folder, "bin", "swiftshader.tar.br"));
    const bytes = readTarEntry(await promisify(brotliDecompress)(packed), library);
    if (bytes === undefined) throw new Error(`${chromiumPackage} ${chromium.version} has no ${library}`);
    await writeFile(join(temporary, library), bytes, { mode: 0o755 });
    await symlink(library, join(temporary, "libvulkan.so.1"));
    await copyFile(join(dawn.folder, "dist", "linux-x64", "dawn.node"), join(temporary, "dawn.node"));
    await rename(temporary, folder).catch(async (error: unknown) => {
      // Another process was faster; its folder is as good.
      await access(join(folder, "dawn.node")).catch(() => {
        throw error;
      });
    });
  } catch (cause) {
    throw new WebpeftError(
      "DEVICE-CACHE",
      {
        message: "the software driver could not be unpacked",
        where: folder,
        got: cause instanceof Error ? cause.message : String(cause),
        help: "set WEBPEFT_CACHE to a folder that can be written and has 30 MB left",
      },
      { cause },
    );
  } finally {
    if (temporary !== undefined) await rm(temporary, { recursive: true, force: true });
  }
}
