/** The forecast of memory as commands tell it. */
import type { MemoryForecast } from "../runtime/session/memory.ts";

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** Parts of at least so many bytes are told by themselves. */
const worthTelling = 2 ** 16;

const list = (use: Readonly<Record<string, number>>): string =>
  Object.entries(use)
    .filter(([, bytes]) => bytes >= worthTelling)
    .map(([part, bytes]) => `${part} ${(bytes / 2 ** 20).toFixed(1)}`)
    .join(", ") || `less than ${worthTelling / 1024} KiB each`;

/** A forecast in a line. */
export const memoryLine = ({ device, host, shared, bytes }: MemoryForecast): string =>
  `memory      ${mebibytes(bytes)}${shared ? "" : " on the device"}: ${list({ ...device })}; on the host ${list({ ...host })}`;
