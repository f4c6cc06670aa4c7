// The test kit for Node: `createNetwork` with OpenSSL, the system's timers and files. Everything else is the kit of
// @atoll/pocket-ic, which runs in a browser as well.
export * from "@atoll/pocket-ic/kit/index";
export { createNetwork } from "./create-network.ts";
export { wasmFile } from "./wasm-file.ts";
