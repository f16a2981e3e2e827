/** The data of reports, out of the elements that hold them: the page's own, and that of another report that was opened. */
import { type ReportData, reportVersion } from "../report-types.ts";

async function unpacked(base64: string): Promise<string> {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

async function dataIn(element: Element): Promise<ReportData> {
  const text = element.textContent;
  const isPacked = element.getAttribute("type") === "application/gzip";
  return JSON.parse(isPacked ? await unpacked(text.trim()) : text) as ReportData;
}

export const readData = (): Promise<ReportData> => dataIn(document.getElementById("data")!);

/** The data of the second program of a report of two. */
export async function readOther(): Promise<ReportData | undefined> {
  const element = document.getElementById("other");
  return element === null ? undefined : dataIn(element);
}

/** The data of a file, or in words what is wrong with it. Nothing in the file is run. */
export async function openReport(file: File): Promise<ReportData | string> {
  const element = new DOMParser().parseFromString(await file.text(), "text/html").getElementById("data");
  const noReport = `${file.name} is no report of webpeft: choose a report.html that webpeft inspect wrote.`;
  if (element === null) return noReport;
  let data: ReportData;
  try {
    data = await dataIn(element);
  } catch {
    return `${file.name} is damaged: its data cannot be read.`;
  }
  if (!Array.isArray(data?.stages) || !Array.isArray(data.kernels)) return noReport;
  return data.version === reportVersion
    ? data
    : `${file.name} was written by another version of webpeft: write it again with the one that wrote this page.`;
}
