// Custom sections of a Wasm module: the place of a canister's metadata (`icp:public <name>`, `icp:private <name>`),
// which toolchains append to the compiled module. Interface specification, "Canister metadata".

const PREAMBLE = 8;

export function withCustomSection(module: Uint8Array, name: string, content: Uint8Array): Uint8Array {
  const nameBytes = new TextEncoder().encode(name);
  const nameLength = leb128(nameBytes.length);
  const size = leb128(nameLength.length + nameBytes.length + content.length);
  return Uint8Array.from([...module, 0, ...size, ...nameLength, ...nameBytes, ...content]);
}

/** All custom sections in order, by walking the section headers only. */
export function customSections(module: Uint8Array): { name: string; content: Uint8Array }[] {
  const sections: { name: string; content: Uint8Array }[] = [];
  let at = PREAMBLE;
  while (at < module.length) {
    const id = module[at] ?? 0;
    const [size, start] = readLeb128(module, at + 1);
    if (id === 0) {
      const [length, nameStart] = readLeb128(module, start);
      const name = new TextDecoder().decode(module.subarray(nameStart, nameStart + length));
      sections.push({ name, content: module.slice(nameStart + length, start + size) });
    }
    at = start + size;
  }
  return sections;
}

function leb128(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest & 127) | 128);
    rest >>>= 7;
  }
  return [...bytes, rest];
}

/** The value and the offset behind it. */
function readLeb128(bytes: Uint8Array, from: number): [value: number, next: number] {
  let value = 0;
  for (let at = from, shift = 0; ; at += 1, shift += 7) {
    const byte = bytes[at] ?? 0;
    value |= (byte & 127) << shift;
    if (byte < 128) return [value >>> 0, at + 1];
  }
}
