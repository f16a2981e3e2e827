/** Numbers and sizes as people read them, in commands and in the report. */

/** Three digits and a unit: 12.3 M. */
export function count(n: number): string {
  const units: readonly (readonly [number, string])[] = [
    [1e12, "T"],
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ];
  const unit = units.find(([size]) => n >= size);
  return unit === undefined ? String(Math.round(100 * n) / 100) : `${digits(n / unit[0])} ${unit[1]}`;
}

/** 12.3 Mflop, and a blank where there is no other unit. */
export const flops = (n: number): string => count(n).replace(/\d$/, "$& ").concat("flop");

/** Powers of 1024. */
export function bytes(n: number): string {
  if (n >= 2 ** 30) return `${digits(n / 2 ** 30)} GiB`;
  if (n >= 2 ** 20) return `${digits(n / 2 ** 20)} MiB`;
  return n >= 1024 ? `${digits(n / 1024)} KiB` : `${n} B`;
}

export function time(ms: number): string {
  if (ms >= 1000) return `${digits(ms / 1000)} s`;
  return ms >= 1 ? `${digits(ms)} ms` : `${digits(1000 * ms)} µs`;
}

const digits = (n: number): string => (n >= 100 ? n.toFixed(0) : n >= 10 ? n.toFixed(1) : n.toFixed(2));

/** Of a number to what it is compared with: 5.3e-7. */
export const ratio = (of: number): string =>
  of === 0 ? "0" : of === Number.MAX_VALUE ? "not finite" : of.toExponential(1);

export const percent = (part: number, whole: number): string =>
  whole === 0 ? "" : `${((100 * part) / whole).toFixed(1)} %`;
