/**
 * The script and the style of the report, and the licences of what is in them. Builds put them here, bundled from `page/` by `scripts/page-plugin.mjs`; without it a report has its
 * data and says so.
 */
export const pageScript: string = 'document.body.append("This report was made without its script.")';
export const pageStyle: string = "";
/** Of the libraries in the script. */
export const pageNotices: string = "";
/** Where rules are written, `file:line` by name. */
export const rulePlaces: Readonly<Record<string, string>> = {};
