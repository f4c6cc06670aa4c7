// What a deterministic package may use beside the ES library and WebAssembly (web-assembly.d.ts): UTF-8 text coding.
// Nothing here depends on the time, the machine or the network, so two replicas cannot come to different results.
// Together with `lib: es2024` and `types: []` these two files are the whole host of tsconfig.deterministic.json.
interface TextEncoderEncodeIntoResult {
  read: number;
  written: number;
}

declare class TextEncoder {
  constructor();
  readonly encoding: "utf-8";
  encode(input?: string): Uint8Array<ArrayBuffer>;
  encodeInto(source: string, destination: Uint8Array): TextEncoderEncodeIntoResult;
}

declare class TextDecoder {
  constructor(label?: "utf-8", options?: { fatal?: boolean; ignoreBOM?: boolean });
  readonly encoding: string;
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;
  decode(input?: ArrayBufferView | ArrayBufferLike, options?: { stream?: boolean }): string;
}
