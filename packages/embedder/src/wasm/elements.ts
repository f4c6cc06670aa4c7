// Element segments with the functions' new indexes; everything else as it was.
// The table itself never changes at run time: what could change it is refused at install.
import type { InjectedIndexes } from "./function-emitter.ts";
import type { Span } from "./parse.ts";
import { Reader } from "./reader.ts";
import type { Writer } from "./writer.ts";

export function rewriteElements(bytes: Uint8Array, span: Span, out: Writer, indexes: InjectedIndexes): void {
  const reader = new Reader(bytes, span.start, span.end);
  const moved = (index: number): number => (index < indexes.importedFunctions ? index : index + indexes.shift);
  const segments = reader.u32();
  out.u32(segments);
  for (let segment = 0; segment < segments; segment++) {
    const flags = reader.u32();
    out.u32(flags);
    if ((flags & 1) === 0) {
      if (flags & 2) out.u32(reader.u32());
      rewriteConstant(reader, out, moved);
    }
    if (flags & 3) out.byte(reader.byte());
    const items = reader.u32();
    out.u32(items);
    for (let item = 0; item < items; item++) {
      if (flags & 4) rewriteConstant(reader, out, moved);
      else out.u32(moved(reader.u32()));
    }
  }
}

/** A constant operator and `end`; validation has seen that it is one. */
function rewriteConstant(reader: Reader, out: Writer, moved: (index: number) => number): void {
  const start = reader.pos;
  const opcode = reader.byte();
  if (opcode === 0xd2) {
    out.byte(opcode);
    out.u32(moved(reader.u32()));
    out.byte(reader.byte());
    return;
  }
  if (opcode === 0x42) reader.s64();
  else if (opcode === 0xd0) reader.byte();
  else reader.s32();
  reader.byte();
  out.copy(reader.bytes, start, reader.pos);
}
