// V8's budgets for inlining Wasm functions, raised for the whole process: instrumented code is larger, and without more
// room V8 silently stops inlining it. Has to be called before the first module is compiled.
import { setFlagsFromString } from "node:v8";

const V8_FLAGS = [
  "--wasm-inlining-factor=12",
  "--wasm-inlining-min-budget=500",
  "--wasm-inlining-max-size=2000",
  "--wasm-inlining-budget=20000",
];

export function inlineWasm(): void {
  for (const flag of V8_FLAGS) setFlagsFromString(flag);
}
