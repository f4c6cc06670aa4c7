// Loaded before a program (`--import`): the libraries that are faster than plain JavaScript cannot be loaded any more,
// as on a machine for which there is no native build or that runs no foreign WebAssembly.
import { registerHooks } from "node:module";

registerHooks({
  resolve(specifier, context, next) {
    if (/^(?:secp256k1|mcl-wasm)(?:\/|$)/.test(specifier)) throw new Error(`${specifier} is not for this machine`);
    return next(specifier, context);
  },
});
