// What a Node process lends to a replica: the ports on files, OpenSSL and the system's clock, and the HTTP server.
// A driver picks what it needs; nothing here knows the protocol.
export { createNodeCrypto, sha256 } from "./crypto-node.ts";
export { type HttpServer, type HttpServerOptions, startHttpServer } from "./http-server.ts";
export { isSealed, type KeyFile, readKeyFile, readPrivateFile, writeKeyFile } from "./key-file.ts";
export { createOutcallClient, type OutcallClientOptions } from "./outcall-client.ts";
export { keepRecording, RECORDING_SUFFIX, requireRecordingsFolder } from "./recordings-folder.ts";
export { openStateFolder, type StateFolder } from "./state-folder.ts";
export { NodeStorage } from "./storage-node.ts";
export { nodeClock, nodeEntropy } from "./system-ports.ts";
export { inlineWasm } from "./wasm-inlining.ts";
