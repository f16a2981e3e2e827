/**
 * The script and the style of the report. Builds put them here, bundled from `page/` by `scripts/page-plugin.mjs`; without it a report has its
 * data and says so.
 */
export const pageScript: string = 'document.body.append("This report was made without its script.")';
export const pageStyle: string = "";
