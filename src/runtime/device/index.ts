export { bufferUsage, mapMode } from "./constants.ts";
export { openDevice } from "./device.ts";
export { chooseExecutor, listDevices } from "./search.ts";
export type * from "./types.ts";
