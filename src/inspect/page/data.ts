/** The data of the page, out of the element that holds it. */
import type { ReportData } from "../report-types.ts";

async function unpacked(base64: string): Promise<string> {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

export async function readData(): Promise<ReportData> {
  const element = document.getElementById("data") as HTMLScriptElement;
  const text = element.textContent;
  return JSON.parse(element.type === "application/gzip" ? await unpacked(text.trim()) : text) as ReportData;
}
